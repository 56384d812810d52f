"""The pip part of the conda_env module: locks, pip and uv, and what is left where a change fails."""

from __future__ import annotations

import pytest
from conda_place import Place, conda, wheel

__all__ = ["conda"]


@pytest.fixture(params=["pip", "uv"])
def installer(request: pytest.FixtureRequest, conda: Place) -> dict[str, str]:
    """The options for pip, and for uv."""
    return {"uv": conda.uv()} if request.param == "uv" else {}


def test_a_lock_takes_the_place_of_the_files_requirements(conda: Place, installer: dict[str, str]) -> None:
    definition = {"dependencies": ["python=3.11", {"pip": ["cpu==0.1", "library"]}]}
    asked = {"definition": definition, "pip_lock": conda.locked("cpu"), **installer}
    answer = conda(**asked)
    assert (answer["packages"]["cpu"], answer["packages"]["library"], conda.imported()) == ("1.0", "1.0", "cpu")
    assert conda(**asked)["changed"] is False and conda.beside() == ["e"]
    assert (conda.folder / "uv-calls").exists() is bool(installer)
    assert [path for path in conda.prefix.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o002] == []


def test_a_file_of_another_hash_is_not_installed(conda: Place, installer: dict[str, str]) -> None:
    lock = conda.locked("cpu")
    wheel(conda.folder / "wheels", "cpu", "library")
    answer = conda(pip_lock=lock, **installer)
    assert answer["failed"] and "hash" in answer["msg"].lower()
    assert not list(conda.prefix.glob("lib/python*/site-packages/cpu*"))


def test_a_lock_brings_what_it_names_and_nothing_else(conda: Place, installer: dict[str, str]) -> None:
    answer = conda(definition={"dependencies": ["python=3.11"]}, pip_lock=conda.locked("cpu"), **installer)
    assert {"cpu", "library"} & set(answer["packages"]) == {"cpu"}


def test_what_a_lock_forgot_comes_without_it(conda: Place, installer: dict[str, str]) -> None:
    asked = {"definition": {"dependencies": ["python=3.11"]}, "pip_lock": conda.locked("gpu"), **installer}
    assert conda(**asked)["packages"]["library"] == "1.0"
    assert conda(**asked)["changed"] is False


def test_a_pin_that_the_lock_does_not_meet_counts(conda: Place, installer: dict[str, str]) -> None:
    wheel(conda.folder / "wheels", "cpu", version="2.0")
    answer = conda(pip=["cpu==2.0"], pip_lock=conda.locked("cpu"), **installer)
    assert answer["packages"]["cpu"] == "2.0"


def test_builds_are_swapped_by_their_lock(conda: Place, installer: dict[str, str]) -> None:
    conda(pip_lock=conda.locked("cpu"), **installer)
    asked = {"pip": ["gpu==1.0"], "pip_absent": ["cpu"], "pip_lock": conda.locked("gpu", "library"), **installer}
    assert conda(**asked)["changed"] is True
    assert (conda.imported(), conda.beside()) == ("gpu", ["e"])
    assert conda(**asked)["changed"] is False


def test_the_old_build_stays_where_the_new_one_is_not_to_be_had(conda: Place, installer: dict[str, str]) -> None:
    conda(**installer)
    lock = conda.locked("gpu", "library")
    (conda.folder / "wheels/library-1.0-py3-none-any.whl").unlink()
    answer = conda(pip=["gpu==1.0"], pip_absent=["cpu"], pip_lock=lock, **installer)
    assert answer["failed"] and "library" in answer["msg"] and "as it was before" in answer["msg"]
    assert conda.imported() == "cpu"


def test_the_old_build_comes_back_where_the_new_one_cannot_be_installed(
    conda: Place, installer: dict[str, str]
) -> None:
    """pip finds it out when the old one is gone already."""
    conda(**installer)
    before = sorted(str(path) for path in conda.prefix.rglob("*"))
    future = {"library-1.0.dist-info/WHEEL": "Wheel-Version: 9.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    wheel(conda.folder / "wheels", "library", module="library", **future)
    gpu = {"pip": ["gpu==1.0"], "pip_absent": ["cpu"], **installer}
    answer = conda(**gpu)
    assert answer["failed"] and f"{conda.prefix} is as it was before" in answer["msg"]
    assert conda.imported() == "cpu"
    assert sorted(str(path) for path in conda.prefix.rglob("*")) == before
    wheel(conda.folder / "wheels", "library", module="library", version="1.1")
    assert (conda(**gpu)["changed"], conda.imported(), conda.beside()) == (True, "gpu", ["e"])


def test_conda_that_fails_leaves_the_environment_as_it_was(conda: Place) -> None:
    conda()
    answer = conda("conda", dependencies=["other=2"])
    assert answer["failed"] and "nothing provides it" in answer["msg"] and "as it was before" in answer["msg"]
    assert conda.imported() == "cpu"
    assert conda()["changed"] is False


def test_a_return_that_was_cut_off_is_completed(conda: Place) -> None:
    """Killed between its two renames, it leaves no environment, but its copy."""
    conda()
    work = conda.prefix.with_name(".e.work")
    work.mkdir()
    conda.prefix.rename(work / "before")
    conda.prefix.with_name(".e.lock").write_text("4711\n")
    answer = conda()
    assert (answer["created"], conda.imported(), conda.beside()) == (False, "cpu", ["e"])


def test_what_a_uv_that_was_killed_left_is_taken_away(conda: Place) -> None:
    """It was through but for the end of its process, so no other uv comes and takes its lock for its own."""
    conda()
    (conda.prefix / ".lock").touch()
    conda.prefix.with_name(".e.lock").write_text("4711\n")
    assert conda()["changed"] is False
    assert not (conda.prefix / ".lock").exists()
