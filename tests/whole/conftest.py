"""`make local`, once for all tests here, with the settings that tools/test made."""

from __future__ import annotations

import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

from local_ec2.control import Control

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = Path(os.environ.get("LOCAL_EC2_INVENTORY", ROOT / "inventories/local"))
STATE = INVENTORY / ".state/gluon-ec2"
# The image of the machine that is baked, and what was written on it before.
IMAGE, CANARY = "second-life", "canary-7c0f1b"
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


@dataclass
class Before:
    """The machine's secrets of its first life."""

    token: str
    host_keys: str
    authorized: str


@dataclass
class Baked:
    before: Before
    run: Run
    actions: set[str]
    ami: str


@pytest.fixture(scope="session")
def baked(first: Run) -> Baked:
    """An image of the machine, which is switched off since. For tests after those that want its first life."""
    on_machine(f"echo 'echo {CANARY}' >> .bash_history; echo {CANARY} > gluon-tutorials-zh/note.md")
    before = Before(
        on_machine("sudo cat /etc/jupyter/token").strip(),
        on_machine("cat /etc/ssh/ssh_host_ed25519_key.pub").split()[1],
        on_machine("cat .ssh/authorized_keys").split()[1],
    )
    # One that an earlier run left would be in the way: an image is never replaced.
    ec2 = boto3.client("ec2", "us-east-1", endpoint_url=ENDPOINT, aws_access_key_id="a", aws_secret_access_key="b")
    for image in ec2.describe_images(Filters=[{"Name": "name", "Values": [IMAGE]}])["Images"]:
        ec2.deregister_image(ImageId=image["ImageId"])
    control = Control(ENDPOINT)
    control.forget_requests()
    run = playbook("playbooks/bake.yml", "-e", f"image={IMAGE}", "-e", "only=reader")
    actions = control.actions()
    ami = re.search(r"ami-[0-9a-f]+", run.output.partition("image        ")[2])
    assert ami, run.output
    return Baked(before, run, actions, ami[0])
