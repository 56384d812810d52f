"""The local EC2 that `make local` made, as the measurements beside this file use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local_ec2.control import Control

ROOT = Path(__file__).resolve().parent.parent
INVENTORY = Path(os.environ.get("LOCAL_EC2_INVENTORY", ROOT / "inventories/local"))
STATE = INVENTORY / ".state/gluon-ec2"
DATA = Path(os.environ.get("LOCAL_EC2_DATA", ROOT / ".local_ec2"))
ANSIBLE = ROOT / ".venv/bin/ansible-playbook"
# The image that some make of a machine, and delete.
IMAGE = "bench-image"
# ext4 gives a deleted file's inode to no other for 60 s (300 s more, until the deletion is on the disk), and passes by
# each of them for every file that is made; a machine that ends leaves many. Figures are in README.md beside this.
FORGOTTEN = 61


@dataclass
class Figure:
    """A row of the table: what was measured, how much of what, and how much it may be at most."""

    what: str
    value: float
    unit: str
    most: float | None = None
    # What the value was computed from.
    of: str = ""


def control() -> Control:
    return Control(yaml.safe_load((INVENTORY / "group_vars/all.yml").read_text())["aws_endpoint_url"])


def timed(what: str, command: list[str | Path], *, allowed: int = 0, **options: Any) -> tuple[float, str]:
    """Run a command; its seconds, and what it printed. Exits when it fails: a figure of a failed run means nothing."""
    started = time.monotonic()
    done = subprocess.run(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **options
    )
    seconds = time.monotonic() - started
    if done.returncode not in (0, allowed):
        sys.exit(f"{what} failed:\n{done.stdout[-5000:]}")
    return seconds, done.stdout


def playbook(file: str | Path, *, allowed: int = 0, **variables: Any) -> float:
    """Run a playbook with these variables; its seconds."""
    command = [ANSIBLE, "-i", INVENTORY, file, "-e", json.dumps(variables)]
    environment = os.environ | {"ANSIBLE_DEPRECATION_WARNINGS": "false"}
    return timed(str(file), command, allowed=allowed, env=environment)[0]


def settle() -> None:
    """Let the filesystem forget what was deleted before, by whatever was measured or ended last: see FORGOTTEN."""
    os.sync()
    time.sleep(FORGOTTEN)


def by_hand(name: str, script: str) -> float:
    """Type these commands on a machine, as root, and stop at the first that fails; their seconds."""
    return timed("by hand", ["ssh", "-F", STATE / "ssh_config", name, "sudo bash -e"], input=script)[0]


def named(*names: str) -> list[dict[str, str]]:
    return [{"name": f"bench-{name}"} for name in names]


@contextmanager
def new_machines(*names: str) -> Iterator[None]:
    """Machines called bench-NAME, alike and with nothing on them, while this lasts."""
    machines = named(*names)
    playbook("playbooks/provision.yml", machines=machines)
    try:
        yield
    finally:
        playbook("playbooks/terminate.yml", machines=machines, confirm="yes", allowed=2)


def play(name: str, tasks: list[dict[str, Any]], **more: Any) -> Path:
    """A playbook in .cache with these tasks, on the hosts `hosts`, with the variables of configure.yml as its own."""
    file = ROOT / f".cache/bench-{name}.yml"
    file.parent.mkdir(exist_ok=True)
    variables = {}
    for beside in ("editions/d2l-zh-v1.yml", "vars/configure.yml"):
        variables |= yaml.safe_load((ROOT / "playbooks" / beside).read_text())
    head = {"hosts": "{{ hosts }}", "become": True, "gather_subset": ["min"], "vars": variables}
    file.write_text(yaml.safe_dump([head | more | {"tasks": tasks}]))
    return file


def role(name: str) -> Path:
    """A playbook of the facts and this role, as the examples in docs have it."""
    return play(name, [], roles=[name])
