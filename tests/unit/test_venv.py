"""`make venv`: it does nothing where nothing is missing, and refuses a Python that is too old in words."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("Makefile", "tools/venv", "tools/say", "requirements.txt", "requirements-bootstrap.txt")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in NEEDED:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # Not what a make that runs the tests hands down: it would say which folder it enters.
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    command = ["make", "venv", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_an_environment_that_is_there_is_not_made_again(checkout: Path) -> None:
    """What it holds is known by the requirements that it was made of."""
    files = [checkout / "requirements.txt", checkout / "requirements-bootstrap.txt"]
    stamp = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
    (checkout / ".venv").mkdir()
    (checkout / f".venv/.{stamp}").touch()
    done = make(checkout)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [file.name for file in (checkout / ".venv").iterdir()] == [f".{stamp}"]


def test_an_old_python_is_refused(checkout: Path) -> None:
    old = checkout / "python3"
    old.write_text('#!/bin/sh\ntest "$1" = --version && echo Python 3.9.2\nexit 1\n')
    old.chmod(0o755)
    done = make(checkout, f"PYTHON={old}")
    assert done.returncode != 0
    assert "Python 3.9.2" in done.stderr and "Python 3.11 or newer is needed" in done.stderr
    assert not (checkout / ".venv").exists()
