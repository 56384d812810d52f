"""The cuda role's tables agree with themselves and with each other."""

from __future__ import annotations

from itertools import pairwise

import pytest
from cuda_machine import TABLES
from packaging.version import Version

GPUS, ARCHITECTURES, PLATFORMS = TABLES["gpus"], TABLES["architectures"], TABLES["platforms"]
TOOLKITS, NVIDIA = TABLES["toolkits"], TABLES["nvidia_driver"]
SOURCES = {name: platform["driver"] for name, platform in PLATFORMS.items()} | {"NVIDIA": NVIDIA}
BRANCHES = [(source, branch) for source, driver in SOURCES.items() for branch in driver["branches"]]
COLUMNS = {
    "architectures": {"compute", "cuda_min", "cuda_max", "driver_min", "driver_max", "modules"},
    "platforms": {"components", "kernel", "gcc", "build_tools", "nvidia", "keyring_sha256", "toolkit", "driver"},
    "toolkits": {"driver", "driver_floor", "gcc", "repositories", "url", "sha256", "disk"},
}


@pytest.mark.parametrize("table", COLUMNS)
def test_every_row_has_every_column(table: str) -> None:
    for row in TABLES[table].values():
        assert set(row) - {"patches"} == COLUMNS[table]


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

    def test_open_modules_begin_with_turing_and_are_all_there_is_with_blackwell(self, name: str) -> None:
        row = ARCHITECTURES[name]
        compute = Version(row["compute"])
        assert ("open" in row["modules"]) == (compute >= Version("7.5"))
        assert ("proprietary" in row["modules"]) == (compute < Version("10"))

    def test_a_toolkit_makes_code_for_it(self, name: str) -> None:
        row = ARCHITECTURES[name]
        newest = Version(row["cuda_max"] or "99")
        assert any(Version(row["cuda_min"]) <= Version(number) <= newest for number in TOOLKITS)


def test_newer_architectures_ask_for_no_older_driver_or_toolkit() -> None:
    rows = sorted(ARCHITECTURES.values(), key=lambda row: Version(row["compute"]))
    for older, newer in pairwise(rows):
        assert older["driver_min"] <= newer["driver_min"] and older["driver_max"] <= newer["driver_max"]
        assert Version(older["cuda_min"]) <= Version(newer["cuda_min"])


@pytest.mark.parametrize(("source", "branch"), BRANCHES)
class TestBranch:
    def test_it_serves_some_gpu(self, source: str, branch: int) -> None:
        limits = [ARCHITECTURES[gpu["architecture"]] | gpu for gpu in GPUS]
        assert any(row["driver_min"] <= branch <= row["driver_max"] for row in limits)

    def test_its_modules_are_of_the_known_kinds(self, source: str, branch: int) -> None:
        assert set(SOURCES[source]["branches"][branch]) <= {"open", "proprietary"}

    def test_open_modules_came_with_515(self, source: str, branch: int) -> None:
        assert branch >= 515 or "open" not in SOURCES[source]["branches"][branch]


@pytest.mark.parametrize("name", ["T4", "A10G", "L4", "L40S", "A100"])
@pytest.mark.parametrize("source", SOURCES)
def test_gpus_of_the_book_have_a_driver_everywhere(source: str, name: str) -> None:
    row = next(ARCHITECTURES[gpu["architecture"]] | gpu for gpu in GPUS if gpu["name"] == name)
    branches = SOURCES[source]["branches"]
    assert [
        one
        for one in branches
        if row["driver_min"] <= one <= row["driver_max"] and set(branches[one]) & set(row["modules"])
    ]


def test_nvidia_s_preferred_branch_is_one_of_its_own() -> None:
    assert NVIDIA["preferred"] in NVIDIA["branches"]


@pytest.mark.parametrize("number", TOOLKITS)
class TestToolkit:
    def test_its_runfile_bears_its_version_and_its_driver(self, number: str) -> None:
        row = TOOLKITS[number]
        name = row["url"].rpartition("/")[2]
        assert name.startswith(f"cuda_{number}.") and f"_{row['driver']}_linux" in name

    def test_its_driver_is_no_older_than_the_first_that_runs_it(self, number: str) -> None:
        row = TOOLKITS[number]
        assert Version(row["driver_floor"]) <= Version(row["driver"])

    def test_its_files_have_checksums(self, number: str) -> None:
        row = TOOLKITS[number]
        for file in (row, *row.get("patches", [])):
            assert len(file["sha256"]) == 64 and int(file["sha256"], 16)
            assert file["url"].startswith("https://developer")

    def test_its_repositories_are_those_of_the_distributions(self, number: str) -> None:
        assert set(TOOLKITS[number]["repositories"]) <= {platform["nvidia"] for platform in PLATFORMS.values()}

    def test_it_takes_room_thrice(self, number: str) -> None:
        downloaded, unpacked, installed = TOOLKITS[number]["disk"]
        assert 1000 < downloaded < unpacked <= installed


def test_newer_toolkits_ask_for_no_older_driver_or_compiler() -> None:
    rows = [TOOLKITS[number] for number in sorted(TOOLKITS, key=Version)]
    for older, newer in pairwise(rows):
        assert Version(older["driver"]) < Version(newer["driver"]) and older["gcc"] <= newer["gcc"]
