"""Nothing stays behind."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_local_down_leaves_nothing() -> None:
    data, inventory = Path(os.environ["LOCAL_EC2_DATA"]), Path(os.environ["LOCAL_EC2_INVENTORY"])
    networks = set(run("podman", "network", "ls", "-q").split())
    run("make", "local-down")
    assert not data.exists()
    assert not (inventory / ".state").exists()
    assert not (inventory / "upstream.yml").exists()
    assert len(networks - set(run("podman", "network", "ls", "-q").split())) <= 1
    assert str(data) not in run("ps", "-eo", "args")
    assert str(inventory) not in run("ps", "-eo", "args")


def test_a_second_local_down_is_no_mistake() -> None:
    run("make", "local-down")
