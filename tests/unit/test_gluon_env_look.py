"""What gluon_env's look at a machine refuses, before anything is changed there."""

from __future__ import annotations

import getpass
import json
import subprocess
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[2] / "roles/gluon_env/files/look.py"


def look(tmp_path: Path, **question: str) -> subprocess.CompletedProcess[str]:
    """Its answer about a folder that is not there yet, or about what is asked instead."""
    asked = {
        "packages": ["dpkg", "no-such-package"],
        "user": getpass.getuser(),
        "directory": str(tmp_path / "book"),
        "version": "0" * 40,
        "proof": str(tmp_path / "proof"),
    }
    command = [sys.executable, "-I", str(FILE), json.dumps(asked | question)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_what_is_there_and_what_is_missing(tmp_path: Path) -> None:
    answer = json.loads(look(tmp_path).stdout)
    assert (answer["missing"], answer["state"], answer["proven"]) == (["no-such-package"], "absent", [])


def test_a_login_that_does_not_exist(tmp_path: Path) -> None:
    done = look(tmp_path, user="no-such-login")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("gluon_env_user=no-such-login does not exist here: name a login")


@pytest.mark.parametrize("in_it", ["thesis.tex", ".git"])
def test_a_folder_of_somebody_else_s(tmp_path: Path, in_it: str) -> None:
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / in_it).touch()
    done = look(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{tmp_path}/book exists and is no git checkout, so nothing was touched: move it")
