"""`make local`, once for all tests here, with the settings that tools/test made."""

from __future__ import annotations

import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = Path(os.environ.get("LOCAL_EC2_INVENTORY", ROOT / "inventories/local"))
STATE = INVENTORY / ".state/gluon-ec2"
ENDPOINT = os.environ.get("LOCAL_EC2_ENDPOINT", "http://127.0.0.1:5950")


@dataclass
class Run:
    """One run of a command: what it printed, and its seconds."""

    output: str
    seconds: float

    @property
    def changed(self) -> int:
        """Changed tasks, all hosts together."""
        return sum(int(count) for count in re.findall(r"changed=(\d+)", self.output))


def run(*command: str, timeout: int = 900) -> Run:
    started = time.monotonic()
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
    return Run(done.stdout, time.monotonic() - started)


def playbook(name: str, *arguments: str) -> Run:
    return run(".venv/bin/ansible-playbook", "-i", str(INVENTORY), name, *arguments)


def on_machine(command: str) -> str:
    """What a command on the machine prints."""
    return run("ssh", "-F", str(STATE / "ssh_config"), "reader", command).output


@pytest.fixture(scope="session")
def first() -> Run:
    """The first run. On a machine that has it already it is one more run."""
    return run("tools/local", "-e", "show_token=always")


@pytest.fixture(scope="session")
def address(first: Run) -> str:
    """The address on the card, with the token."""
    found = re.search(r"http://127\.0\.0\.1:\d+/tree\?token=\S+", first.output)
    assert found, first.output
    return found[0]
