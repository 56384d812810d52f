"""Each edition says all that an edition has to say, and its locks are those of its pins."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from plugins.module_utils import conda

EDITIONS = Path(__file__).resolve().parents[2] / "playbooks/editions"
NEEDED = {"name", "repository", "version", "file", "dependencies", "pip", "mxnet", "gpu_architectures"}
MORE = {"cuda_toolkits", "lab"}


@pytest.mark.parametrize("file", sorted(EDITIONS.glob("*.yml")), ids=lambda file: file.stem)
class TestEdition:
    def test_it_says_all_and_nothing_else(self, file: Path) -> None:
        said = {name.removeprefix("edition_") for name in yaml.safe_load(file.read_text())}
        assert said - MORE == NEEDED

    def test_it_is_called_as_its_file(self, file: Path) -> None:
        assert yaml.safe_load(file.read_text())["edition_name"] == file.stem

    def test_it_reads_one_commit(self, file: Path) -> None:
        assert re.fullmatch(r"[0-9a-f]{40}", yaml.safe_load(file.read_text())["edition_version"])

    def test_every_pin_names_one_version(self, file: Path) -> None:
        edition = yaml.safe_load(file.read_text())
        pins = edition["edition_pip"] + edition["edition_mxnet"]["cpu"] + edition["edition_mxnet"]["gpu"]
        pins += edition.get("edition_lab", [])
        assert [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.]+", pin)] == []

    @pytest.mark.parametrize("kind", ["cpu", "gpu"])
    def test_its_lock_has_every_pin(self, file: Path, kind: str) -> None:
        edition = yaml.safe_load(file.read_text())
        locked = conda.read_lock(file.with_name(f"{file.stem}.{kind}.txt").read_text())
        pins = {conda.pip_name(pin): pin for pin in edition["edition_pip"] + edition["edition_mxnet"][kind]}
        assert {name: locked[name].requirement for name in pins} == pins

    @pytest.mark.parametrize("kind", ["cpu", "gpu"])
    def test_its_lock_leaves_to_conda_what_conda_brings(self, file: Path, kind: str) -> None:
        locked = conda.read_lock(file.with_name(f"{file.stem}.{kind}.txt").read_text())
        specs = yaml.safe_load(file.read_text())["edition_dependencies"]
        assert {conda.conda_name(spec) for spec in specs} & set(locked) == set()


def locked(file: Path, kind: str) -> dict[str, str]:
    """The requirement of each package in a lock."""
    return {
        name: one.requirement for name, one in conda.read_lock(file.with_suffix(f".{kind}.txt").read_text()).items()
    }


def with_lab(file: Path) -> bool:
    return "edition_lab" in yaml.safe_load(file.read_text())


@pytest.mark.parametrize("file", sorted(EDITIONS.glob("*.yml")), ids=lambda file: file.stem)
def test_jupyterlab_is_locked_where_the_edition_has_it(file: Path) -> None:
    assert [file.with_suffix(f".{kind}.lab.txt").exists() for kind in ("cpu", "gpu")] == [with_lab(file)] * 2


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
@pytest.mark.parametrize("file", [*filter(with_lab, sorted(EDITIONS.glob("*.yml")))], ids=lambda file: file.stem)
def test_jupyterlab_comes_beside_what_the_edition_has(file: Path, kind: str) -> None:
    """So that an environment goes from one interface to the other, and back, in place."""
    classic, lab = locked(file, kind), locked(file, f"{kind}.lab")
    assert classic.items() <= lab.items()
    assert set(yaml.safe_load(file.read_text())["edition_lab"]) <= set(lab.values())
