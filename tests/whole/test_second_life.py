"""A machine is baked, deleted, and lives again from its image. After the other tests, which want its first life."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import CANARY, IMAGE, ROOT, STATE, Baked, playbook

from local_ec2.folder import Folder

DATA = Path(os.environ.get("LOCAL_EC2_DATA", ROOT / ".local_ec2"))


def podman(*arguments: str) -> str:
    return subprocess.run(["podman", *arguments], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def root(baked: Baked) -> Iterator[Path]:
    """The folder that shows the files of the image."""
    image = f"localhost/{Folder(DATA).owner}:{baked.ami}"
    yield Path(podman("image", "mount", image))
    podman("image", "unmount", image)


def holds(root: Path, text: str) -> list[str]:
    """The files of an image in which a text stands, the programs' own folders left out."""
    command = [
        "grep",
        "-rIlF",
        "-e",
        text,
        *(str(root / folder) for folder in ("etc", "home", "root", "var", "opt/miniconda3/etc")),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()


def test_the_image_has_no_secret_of_the_machine(baked: Baked, root: Path) -> None:
    assert holds(root, baked.before.token) == []
    assert holds(root, baked.before.host_keys) == []
    assert holds(root, baked.before.authorized) == []
    assert not list((root / "etc/ssh").glob("ssh_host_*"))
    assert (root / "etc/machine-id").read_text().strip() in ("", "uninitialized")


def test_the_history_is_gone_and_the_notebooks_are_there(root: Path) -> None:
    assert [Path(file).name for file in holds(root, CANARY)] == ["note.md"]


def test_the_commands_that_it_shows_are_about_that_machine_alone(baked: Baked) -> None:
    shown = [line for line in baked.run.output.splitlines() if line.startswith(("  start again  ", "  delete       "))]
    assert [" -e only=reader " in line for line in shown] == [True, True]


def test_a_name_is_given_once(baked: Baked) -> None:
    with pytest.raises(AssertionError, match="an image is never replaced"):
        playbook("playbooks/bake.yml", "-e", f"image={IMAGE}")


def test_baking_calls_what_its_policy_grants(baked: Baked) -> None:
    granted: set[str] = set()
    for name in ("bake", "provision", "inventory"):
        for statement in json.loads((ROOT / f"docs/iam/{name}.json").read_text())["Statement"]:
            granted |= set(statement["Action"])
    assert baked.actions <= granted
    assert {"ec2:CreateImage", "ec2:DescribeImages"} <= baked.actions


def test_it_lives_again_with_a_token_and_keys_of_its_own(baked: Baked) -> None:
    one = ("-e", "roster=", "-e", "only=reader")
    playbook("playbooks/terminate.yml", *one, "-e", "confirm=yes", "-e", "keep=images")
    started = time.monotonic()
    shown = playbook("site.yml", "-e", f"ami={IMAGE}", "-e", "show_token=always").output
    print(f"from the image to the card: {time.monotonic() - started:.1f} s")
    address = re.search(r"(http://127\.0\.0\.1:\d+)/tree\?token=(\S+)", shown)
    assert address, shown
    assert address[2] != baked.before.token
    told = urllib.request.urlopen(f"{address[1]}/api/contents/note.md?token={address[2]}", timeout=30).read()
    assert CANARY in told.decode()
    assert baked.before.host_keys not in (STATE / "known_hosts").read_text()


def test_the_end_leaves_nothing(baked: Baked) -> None:
    with pytest.raises(AssertionError, match="deregister-image"):
        playbook("playbooks/terminate.yml", "-e", "confirm=yes")
    playbook("playbooks/terminate.yml", "-e", "confirm=yes", "-e", "purge=images")
