"""Reading host keys off a console."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugins/modules"))

from ec2_known_hosts import keys_on, learn

BLOCK = "-----BEGIN SSH HOST KEY KEYS-----\r\n{}\r\n-----END SSH HOST KEY KEYS-----\r\n"
OLD, NEW = "ssh-ed25519 AAAAold= root@a", "ssh-ed25519 AAAAnew= root@a"


def test_keys_come_without_comments_and_line_ends() -> None:
    console = "boot\r\n" + BLOCK.format(
        "ssh-ed25519 AAAA/+= root@ip-10-0-0-1\r\necdsa-sha2-nistp256 BBBB= root@ip-10-0-0-1"
    )
    assert keys_on(console) == ["ssh-ed25519 AAAA/+=", "ecdsa-sha2-nistp256 BBBB="]


def test_the_newest_block_counts() -> None:
    assert keys_on(BLOCK.format(OLD) + "login:\r\n" + BLOCK.format(NEW)) == ["ssh-ed25519 AAAAnew="]


def test_half_a_block_is_none() -> None:
    assert keys_on("-----BEGIN SSH HOST KEY KEYS-----\r\n" + OLD) == []


def test_a_console_without_a_block_has_no_keys() -> None:
    assert keys_on("ssh-ed25519 AAAA= not between the lines") == []


class Consoles:
    """A module and its client of EC2, where each instance has what is given on its console."""

    def __init__(self, shown: dict[str, str]) -> None:
        self.shown, self.params = shown, {"timeout": 0}

    def client(self, service: str, aws_config: dict[str, int]) -> Consoles:
        return self

    def get_console_output(self, InstanceId: str, Latest: bool) -> dict[str, str]:
        return {"Output": self.shown[InstanceId]}


def test_one_that_shows_no_keys_does_not_cost_the_others_theirs() -> None:
    lines, silent = learn(Consoles({"i-1": BLOCK.format(OLD), "i-2": "boot"}), ["i-1", "i-2"])
    assert (lines, silent) == (["i-1 ssh-ed25519 AAAAold="], ["i-2"])
