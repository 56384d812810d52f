"""The tunnel module, with an `ssh` that listens where it is told and forwards nothing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

MODULE = Path(__file__).resolve().parents[2] / "plugins/modules/ssh_tunnel.py"
SSH = f"""#!{sys.executable}
import socket, sys, time
port = int(sys.argv[sys.argv.index("-L") + 1].split(":")[1])
if "refuses" in sys.argv[-1]:
    sys.exit("Host key verification failed.")
server = socket.create_server(("127.0.0.1", port))
time.sleep(60)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def tunnel(tmp_path: Path) -> Iterator[Callable[..., dict[str, Any]]]:
    """Runs the module with these options over the usual ones; closes what it opened."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ssh").write_text(SSH)
    (tmp_path / "bin/ssh").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}

    def call(**options: Any) -> dict[str, Any]:
        usual = {"name": "reader", "directory": str(tmp_path), "config": "config", "port": port, "timeout": 10}
        arguments = json.dumps({"ANSIBLE_MODULE_ARGS": usual | options})
        done = subprocess.run(
            [sys.executable, MODULE], input=arguments, capture_output=True, text=True, env=environment, check=False
        )
        return json.loads(done.stdout)

    port = free_port()
    yield call
    call(state="closed")


def test_a_second_call_finds_the_tunnel_open(tunnel: Callable[..., dict[str, Any]]) -> None:
    first, second = tunnel(), tunnel()
    assert (first["changed"], second["changed"]) == (True, False)
    assert (first["port"], first["pid"]) == (second["port"], second["pid"])


def test_a_port_that_is_taken_is_left_to_its_owner(tunnel: Callable[..., dict[str, Any]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        wanted = other.getsockname()[1]
        assert tunnel(port=wanted)["port"] > wanted


def test_a_closed_tunnel_is_gone(tunnel: Callable[..., dict[str, Any]]) -> None:
    opened = tunnel()
    assert tunnel(state="closed")["changed"]
    assert not tunnel(state="closed")["changed"]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", opened["port"])) != 0


def test_a_tunnel_that_died_is_opened_again(tunnel: Callable[..., dict[str, Any]]) -> None:
    opened = tunnel()
    os.kill(opened["pid"], 9)
    assert tunnel()["changed"]


def test_the_words_of_ssh_are_handed_on(tunnel: Callable[..., dict[str, Any]]) -> None:
    answer = tunnel(name="refuses")
    assert answer["failed"]
    assert "Host key verification failed." in answer["msg"]


def test_check_mode_opens_nothing(tunnel: Callable[..., dict[str, Any]]) -> None:
    assert tunnel(_ansible_check_mode=True)["changed"]
    assert tunnel()["changed"]
