"""The conda_env module on a conda that only makes virtual environments, with a real pip and a few small wheels."""

from __future__ import annotations

import fcntl
import subprocess

import pytest
from conda_place import Place, conda

__all__ = ["conda"]

GPU = {"pip": ["gpu==1.0"], "pip_absent": ["cpu"]}


def test_builds_what_is_missing_and_then_leaves_it_alone(conda: Place) -> None:
    first = conda()
    assert (first["changed"], first["created"], first["packages"]["cpu"]) == (True, True, "1.0")
    assert conda.imported() == "cpu"
    calls = conda.calls.read_text()
    assert conda()["changed"] is False
    assert conda.calls.read_text() == calls, "a run with nothing to do started conda"


def test_leaves_nothing_beside_the_environment(conda: Place) -> None:
    conda()
    assert conda.beside() == ["e"]


def test_never_creates_by_conda_create(conda: Place) -> None:
    conda()
    conda(**GPU)
    assert {line.split(" -p")[0] for line in conda.calls.read_text().splitlines()} == {"env update"}


def test_check_mode_tells_and_touches_nothing(conda: Place) -> None:
    assert conda(check=True)["changed"] is True
    assert not conda.prefix.parent.exists()
    conda()
    told = conda(check=True, **GPU)
    assert (told["changed"], conda.imported(), conda.beside()) == (True, "cpu", ["e"])
    assert "gpu==1.0 (missing)" in told["diff"]["prepared"]


def test_check_mode_before_conda_is_there(conda: Place) -> None:
    told = conda(check=True, executable="/no/conda", file="/no/environment.yml")
    assert (told["changed"], told["created"]) == (True, True)


def test_shows_the_difference(conda: Place) -> None:
    conda()
    diff = conda(**GPU)["diff"]
    assert "cpu 1.0\n" in diff["before"] and "cpu 1.0\n" not in diff["after"] and "gpu 1.0\n" in diff["after"]


def test_swaps_one_build_for_another(conda: Place) -> None:
    conda()
    assert conda(**GPU)["changed"] is True
    assert conda.imported() == "gpu"
    assert conda(**GPU)["changed"] is False


def test_keeps_the_old_build_where_the_new_one_is_not_to_be_had(conda: Place) -> None:
    conda()
    (conda.folder / "wheels/library-1.0-py3-none-any.whl").unlink()
    answer = conda(**GPU)
    assert answer["failed"] and "library" in answer["msg"]
    assert conda.imported() == "cpu"


def test_repairs_a_missing_dependency_of_a_requirement(conda: Place) -> None:
    conda(**GPU)
    command = [conda.prefix / "bin/python", "-m", "pip", "uninstall", "-qy", "library"]
    subprocess.run(command, check=True, capture_output=True)
    assert conda(**GPU)["unmet"] == ["library (missing, gpu needs it)"]
    assert conda(**GPU)["changed"] is False


@pytest.mark.parametrize("fault", ["early", "late"])
def test_continues_what_was_interrupted(conda: Place, fault: str) -> None:
    assert conda(fault=fault)["failed"]
    repaired = conda()
    assert (repaired["changed"], conda.imported(), conda.beside()) == (True, "cpu", ["e"])
    assert conda()["changed"] is False


def test_a_reason_is_given_when_conda_fails(conda: Place) -> None:
    answer = conda(fault="conda")
    assert answer["failed"] and answer["msg"].endswith("PackagesNotFoundError: nothing provides it")
    assert conda.beside() == [".e.work"], "a lock without a folder was left"


def test_a_question_is_answered_by_nobody(conda: Place) -> None:
    assert conda(fault="asks")["msg"].endswith("Proceed ([y]/n)? nobody answers")


def test_a_pip_that_is_broken_is_told_however_much_it_is_asked(conda: Place) -> None:
    conda()
    pip = next(conda.prefix.glob("lib/python*/site-packages/pip"))
    pip.unlink()
    pip.mkdir()
    # More than a pipe holds: it would break where the child ends before it has read all.
    answer = conda(check=True, pip=[f"cpu-{number}==1.0" for number in range(9000)])
    assert "No module named 'pip._vendor'" in answer["unmet"][0]


def test_fails_when_conda_says_yes_and_does_nothing(conda: Place) -> None:
    answer = conda(fault="silent")
    assert answer["failed"] and "python=3.11 (nothing is installed)" in answer["msg"]


@pytest.mark.parametrize("state", ["present", "absent"])
@pytest.mark.parametrize("locked", [False, True])
def test_refuses_a_folder_that_is_no_environment(conda: Place, state: str, locked: bool) -> None:
    conda.prefix.mkdir(parents=True)
    (conda.prefix / "thesis.tex").write_text("mine")
    if locked:
        conda.prefix.with_name(".e.lock").write_text("1\n")
    answer = conda(state=state)
    assert answer["failed"] and "nothing was touched" in answer["msg"]
    assert (conda.prefix / "thesis.tex").read_text() == "mine"


def test_refuses_the_base(conda: Place) -> None:
    (conda.folder / "conda/conda-meta").mkdir()
    (conda.folder / "conda/conda-meta/history").touch()
    for state in ("present", "absent"):
        answer = conda(prefix=str(conda.folder / "conda"), state=state)
        assert answer["failed"] and "base environment" in answer["msg"]


def test_refuses_to_begin_without_space(conda: Place) -> None:
    answer = conda(free_space=1 << 40)
    assert answer["failed"] and "enlarge the disk" in answer["msg"]
    assert not conda.calls.exists()


def test_waits_for_another_run_and_names_it(conda: Place) -> None:
    conda.prefix.parent.mkdir(parents=True)
    with conda.prefix.with_name(".e.lock").open("w") as lock:
        lock.write("4711\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        answer = conda(lock_timeout=0)
    assert answer["failed"] and "process 4711" in answer["msg"]


def test_absent_removes_everything_once(conda: Place) -> None:
    conda()
    assert conda(state="absent", check=True)["changed"] is True and conda.prefix.exists()
    assert conda(state="absent")["changed"] is True
    assert conda.beside() == []
    assert conda(state="absent")["changed"] is False


def test_the_environment_of_a_user_is_left_out(conda: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_TARGET", str(conda.folder / "elsewhere"))
    monkeypatch.setenv("CONDA_PREFIX", "/somewhere")
    conda()
    assert conda.imported() == "cpu" and not (conda.folder / "elsewhere").exists()


MALFORMED = {
    "a tab": ("dependencies:\n\t- a\n", "line 2"),
    "a key twice": ("dependencies: [a]\ndependencies: [b]\n", "twice"),
    "no mapping": ("- a\n", "mapping"),
    "nothing": ("", "mapping"),
    "no list": ("dependencies: {a: b}\n", "list"),
    "an unknown key": ("dependancies: [a]\n", "dependancies"),
    "an alias": ("channels: &x [a, a]\ndependencies: [*x]\n", "alias"),
    "too deep": (f"dependencies: {'[' * 5000}", "deep"),
    "too large": ("#" * 1_000_001, "larger"),
    "an option of pip": ("dependencies:\n- pip:\n  - -r other.txt\n", "PIP_"),
    "a bare address": ("dependencies:\n- pip:\n  - https://example.com/a.zip\n", "@ URL"),
    "a command": ("dependencies: ['$(touch canary)']\n", "no conda package"),
    "a number": ("dependencies: [[1]]\n", "neither"),
    "not text": ("\0", "cannot be used"),
}


@pytest.mark.parametrize(("content", "reason"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_file_is_refused_in_a_sentence(conda: Place, content: str, reason: str) -> None:
    file = conda.folder / "environment.yml"
    file.write_text(content)
    answer = conda(file=str(file))
    assert answer["failed"] and str(file) in answer["msg"] and reason in answer["msg"]
    assert not conda.prefix.parent.exists()


def test_a_file_is_read_with_its_pins(conda: Place) -> None:
    file = conda.folder / "environment.yml"
    file.write_text("name: x\nchannels: [c]\ndependencies:\n- python=3.6\n- no\n- pip:\n  - cpu==0.1\n")
    answer = conda(file=str(file), dependencies=["python=3.11"], pip=["CPU==1.0"])
    assert {name: answer["packages"].get(name) for name in ("python", "no", "cpu")} == {
        "python": "3.11",
        "no": "1",
        "cpu": "1.0",
    }


def test_a_file_that_was_only_touched_starts_nothing(conda: Place) -> None:
    file = conda.folder / "environment.yml"
    file.write_text("dependencies: [python=3.11, {pip: [cpu==1.0]}]\n")
    conda(file=str(file))
    calls = conda.calls.read_text()
    file.write_text("# newer\ndependencies:\n- python=3.11\n- pip: [cpu==1.0]\n")
    assert conda(file=str(file))["changed"] is False and conda.calls.read_text() == calls
