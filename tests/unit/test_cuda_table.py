"""The cuda role's table agrees with itself."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from packaging.version import Version

TABLE = yaml.safe_load((Path(__file__).resolve().parents[2] / "roles/cuda/vars/main.yml").read_text())
GPUS, ARCHITECTURES, PLATFORMS = TABLE["__cuda_gpus"], TABLE["__cuda_architectures"], TABLE["__cuda_platforms"]
BRANCHES = [(system, branch) for system, platform in PLATFORMS.items() for branch in platform["branches"]]


@pytest.mark.parametrize("column", ["pci", "name"])
def test_each_gpu_is_named_once(column: str) -> None:
    values = [gpu[column] for gpu in GPUS]
    assert sorted(values) == sorted(set(values))


@pytest.mark.parametrize("gpu", GPUS, ids=lambda gpu: gpu["name"])
class TestGpu:
    def test_its_id_is_four_hexadecimal_digits_in_text(self, gpu: dict) -> None:
        assert isinstance(gpu["pci"], str) and len(gpu["pci"]) == 4 and int(gpu["pci"], 16)
        assert gpu["pci"] == gpu["pci"].lower()

    def test_its_name_can_be_given_on_a_command_line(self, gpu: dict) -> None:
        assert gpu["name"].replace("-", "").isalnum() and gpu["name"] not in ("auto", "none")

    def test_its_architecture_is_in_the_table(self, gpu: dict) -> None:
        assert gpu["architecture"] in ARCHITECTURES

    def test_its_own_driver_limit_is_within_its_architecture_s(self, gpu: dict) -> None:
        limits = ARCHITECTURES[gpu["architecture"]]
        assert limits["driver_min"] <= gpu.get("driver_min", limits["driver_min"]) <= limits["driver_max"]


@pytest.mark.parametrize("name", ARCHITECTURES)
class TestArchitecture:
    def test_it_has_a_gpu(self, name: str) -> None:
        assert any(gpu["architecture"] == name for gpu in GPUS)

    def test_its_ranges_are_not_empty(self, name: str) -> None:
        row = ARCHITECTURES[name]
        assert row["driver_min"] <= row["driver_max"]
        assert not row["cuda_max"] or Version(row["cuda_min"]) <= Version(row["cuda_max"])

    def test_open_modules_begin_with_turing(self, name: str) -> None:
        row = ARCHITECTURES[name]
        assert row["open"] == (Version(row["compute"]) >= Version("7.5"))


def test_newer_architectures_ask_for_no_older_driver_or_toolkit() -> None:
    rows = sorted(ARCHITECTURES.values(), key=lambda row: Version(row["compute"]))
    for older, newer in pairwise(rows):
        assert older["driver_min"] <= newer["driver_min"] and older["driver_max"] <= newer["driver_max"]
        assert Version(older["cuda_min"]) <= Version(newer["cuda_min"])


@pytest.mark.parametrize(("system", "branch"), BRANCHES)
def test_each_branch_of_a_distribution_serves_some_gpu(system: str, branch: int) -> None:
    limits = [ARCHITECTURES[gpu["architecture"]] | gpu for gpu in GPUS]
    assert any(row["driver_min"] <= branch <= row["driver_max"] for row in limits)


@pytest.mark.parametrize("name", ["T4", "A10G", "L4", "L40S", "A100"])
@pytest.mark.parametrize("system", PLATFORMS)
def test_gpus_of_the_book_have_a_driver_everywhere(system: str, name: str) -> None:
    row = next(ARCHITECTURES[gpu["architecture"]] | gpu for gpu in GPUS if gpu["name"] == name)
    assert [branch for branch in PLATFORMS[system]["branches"] if row["driver_min"] <= branch <= row["driver_max"]]
