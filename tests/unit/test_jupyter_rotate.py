"""The jupyter role's rotate.py beside a server and a systemctl of the test's: what it does, and when it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "roles/jupyter/files/rotate.py"
OLD, NEW = "0" * 64, "1" * 64
MAKER = f"import pathlib, sys; pathlib.Path(sys.argv[1]).write_text('{NEW}')"
IDLE = {"id": "12345678-90", "execution_state": "idle"}
BUSY = {"id": "abcdefgh-ij", "execution_state": "busy"}


@dataclass
class Place:
    """A machine with a unit, its token and a server that takes the token `known`."""

    folder: Path
    port: int = 0
    known: str = OLD
    lists: dict[str, list[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "token").write_text(OLD)
        (self.folder / "maker.py").write_text(MAKER)
        self.unit_is("active")

    def unit_is(self, state: str) -> None:
        program = self.folder / "systemctl"
        program.write_text(f'#!/bin/sh\necho "$@" >> {self.folder}/asked\n[ "$1" != show ] || echo {state}\n')
        program.chmod(0o755)

    def rotate(self, *, force: bool = False, check: bool = False) -> subprocess.CompletedProcess[str]:
        asked = {
            "unit": "no-such-unit.service",
            "port": self.port,
            "token": str(self.folder / "token"),
            "maker": str(self.folder / "maker.py"),
            "force": force,
            "check": check,
        }
        return subprocess.run(
            [sys.executable, PROGRAM, json.dumps(asked)],
            env={**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def token(self) -> str:
        return (self.folder / "token").read_text()

    @property
    def done(self) -> list[str]:
        """What systemctl was told, but for questions."""
        lines = (self.folder / "asked").read_text().splitlines()
        return [line.removesuffix(" no-such-unit.service") for line in lines if not line.startswith("show")]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            what = self.path.removeprefix("/api/")
            taken = self.headers["Authorization"] == f"token {place.known}"
            self.send_response(403 if not taken else 200 if what in place.lists else 404)
            self.end_headers()
            self.wfile.write(json.dumps(place.lists.get(what, [])).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    place.port = server.server_address[1]
    place.lists = {"kernels": [IDLE], "sessions": [{"path": "a.md", "kernel": {"id": BUSY["id"]}}]}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield place
    server.shutdown()
    server.server_close()


def test_it_makes_a_token_starts_the_server_and_says_what_ended(place: Place) -> None:
    place.lists["terminals"] = [{"name": "1"}]
    assert json.loads(place.rotate().stdout) == ["kernel 12345678 (idle)", "terminal 1"]
    assert (place.token, place.done) == (NEW, ["restart"])


def test_while_a_cell_runs_nothing_is_done(place: Place) -> None:
    place.lists["kernels"] = [IDLE, BUSY]
    refused = place.rotate()
    assert (refused.returncode, place.token, place.done) == (1, OLD, [])
    assert refused.stderr.startswith("A cell runs in a.md. ") and "force=yes" in refused.stderr


def test_unless_it_is_forced(place: Place) -> None:
    place.lists["kernels"] = [BUSY]
    assert json.loads(place.rotate(force=True).stdout) == ["a.md (busy)"]
    assert (place.token, place.done) == (NEW, ["restart"])


@pytest.mark.parametrize("force", [True, False])
def test_check_mode_says_the_same_and_does_nothing(place: Place, force: bool) -> None:
    place.lists["kernels"] = [BUSY]
    assert place.rotate(force=force, check=True).returncode == (0 if force else 1)
    assert (place.token, place.done) == (OLD, [])


def test_where_the_server_does_not_tell_it_refuses_unless_forced(place: Place) -> None:
    place.known = "another"
    refused = place.rotate()
    assert (refused.returncode, place.token) == (1, OLD)
    assert "does not say: it answers 403." in refused.stderr
    assert place.rotate(force=True).returncode == 0
    assert (place.token, place.done) == (NEW, ["restart"])


def test_a_unit_that_failed_too_often_is_started_again(place: Place) -> None:
    place.unit_is("failed")
    place.lists["kernels"] = [BUSY]
    assert json.loads(place.rotate().stdout) == []
    assert (place.token, place.done) == (NEW, ["reset-failed", "restart"])


def test_without_a_new_token_the_server_stays_up(place: Place) -> None:
    (place.folder / "maker.py").write_text("raise OSError(28, 'No space left on device')")
    failed = place.rotate()
    assert (failed.returncode, place.token, place.done) == (1, OLD, [])
    assert "No space left on device" in failed.stderr and "run this again" in failed.stderr


def test_a_machine_without_the_server_is_told_so(place: Place) -> None:
    (place.folder / "maker.py").unlink()
    assert "set it up first" in place.rotate().stderr


def test_no_token_is_printed(place: Place) -> None:
    done = place.rotate()
    assert not [token for token in (OLD, NEW) if token in done.stdout + done.stderr]
