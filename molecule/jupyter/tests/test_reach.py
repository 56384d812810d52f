"""Who reaches what: from other computers, and as another user of the machine."""

from __future__ import annotations

import json
import re
import socket
import subprocess

import pytest
from conftest import MACHINE, PORT, STATE, Machine


def others(machine: Machine) -> list[tuple[str, str, str]]:
    """TCP listeners that are not on loopback: address, port and program."""
    found = []
    for line in machine("ss -Hltnp").splitlines():
        address, _, port = line.split()[3].rpartition(":")
        program = re.search(r'"([^"]+)"', line)
        if address not in ("127.0.0.1", "[::1]"):
            found.append((address, port, program[1] if program else ""))
    return found


def answers(family: int, address: tuple, seconds: float = 3) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(seconds)
        return probe.connect_ex(address) == 0


def test_nothing_but_sshd_listens_on_an_address_that_others_reach(machine: Machine) -> None:
    found = others(machine)
    assert found and all((port, program) == ("22", "sshd") for _, port, program in found), found


def test_another_computer_reaches_ssh_and_no_notebook() -> None:
    shown = subprocess.run(
        ["ssh", "-F", STATE / "ssh_config", "-G", MACHINE], capture_output=True, text=True, check=True
    )
    address = re.search(r"^hostname (\S+)$", shown.stdout, re.M)
    assert address
    assert answers(socket.AF_INET, (address[1], 22))
    assert not answers(socket.AF_INET, (address[1], PORT))


def test_nor_by_ipv6(machine: Machine) -> None:
    """By the address that each interface has of its own, from a computer on the same network."""
    own = [
        info["local"]
        for link in json.loads(machine("ip -j -6 addr show dev eth0 || echo []"))
        for info in link["addr_info"]
    ]
    ways = [
        (address, 22, 0, index)
        for address in own
        for index, _ in socket.if_nameindex()
        if answers(socket.AF_INET6, (address, 22, 0, index), 1)
    ]
    if not ways:
        pytest.skip("no way by IPv6 leads from here to the machine")
    assert not any(answers(socket.AF_INET6, (address, PORT, 0, index)) for address, _, _, index in ways)


def as_nobody(machine: Machine, command: str) -> tuple[int, str]:
    with machine.host.sudo("nobody"):
        done = machine.host.run(command)
    return done.rc, done.stdout


def test_another_user_can_change_nothing_of_it(machine: Machine) -> None:
    places = "/opt/miniconda3 /etc/jupyter /etc/systemd/system"
    _, writable = as_nobody(machine, f"find {places} ! -type l -writable")
    assert writable == ""
    # find would have told: a folder of the user's own is one it may write to.
    assert as_nobody(machine, "find /tmp -maxdepth 0 -writable") == (0, "/tmp\n")


@pytest.mark.parametrize("path", ["/etc/jupyter/token", "/run/credentials/jupyter.service/token", "/run/jupyter/."])
def test_another_user_reads_no_secret_of_it(machine: Machine, path: str) -> None:
    machine(f"test -e {path}")
    assert as_nobody(machine, f"test -r {path}")[0] == 1
