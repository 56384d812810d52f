"""read_token.py of the jupyter role, beside a systemctl of ours: it waits for a server that is coming, and no other."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "roles/jupyter/files/read_token.py"
TOKEN = "0" * 64


@dataclass
class Place:
    """A machine whose unit has this state, with a port on which nothing listens so far."""

    folder: Path
    listener: socket.socket = field(default_factory=socket.socket)

    def __post_init__(self) -> None:
        self.listener.bind(("127.0.0.1", 0))
        (self.folder / "token").write_text(f"{TOKEN}\n")

    def unit_is(self, state: str, job: str = "") -> None:
        draft = self.folder / "draft"
        draft.write_text(f"#!/bin/sh\necho ActiveState={state}; echo Job={job}\n")
        draft.chmod(0o755)
        draft.rename(self.folder / "systemctl")

    def begin(self) -> subprocess.Popen[str]:
        port, token = self.listener.getsockname()[1], str(self.folder / "token")
        return subprocess.Popen(
            [sys.executable, PROGRAM, json.dumps({"unit": "x.service", "port": port, "token": token})],
            env={**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.listener.close()


def waits(process: subprocess.Popen[str]) -> bool:
    time.sleep(2)
    return process.poll() is None


@pytest.mark.parametrize(("state", "job"), [("active", ""), ("activating", ""), ("inactive", "7")])
def test_it_waits_for_a_server_that_is_on_its_way(place: Place, state: str, job: str) -> None:
    place.unit_is(state, job)
    # Of an image, the first start makes it.
    (place.folder / "token").rename(place.folder / "later")
    process = place.begin()
    assert waits(process)
    (place.folder / "later").rename(place.folder / "token")
    place.listener.listen()
    out, err = process.communicate(timeout=30)
    assert (json.loads(out), err) == (TOKEN, "")


@pytest.mark.parametrize("state", ["failed", "inactive", "deactivating"])
def test_it_does_not_wait_for_another(place: Place, state: str) -> None:
    place.unit_is(state)
    out, _ = place.begin().communicate(timeout=30)
    assert json.loads(out) == TOKEN


def test_it_stops_waiting_when_the_start_fails(place: Place) -> None:
    place.unit_is("activating")
    process = place.begin()
    assert waits(process)
    place.unit_is("failed")
    assert json.loads(process.communicate(timeout=30)[0]) == TOKEN


def test_a_token_that_is_not_there_is_named(place: Place) -> None:
    place.unit_is("inactive")
    (place.folder / "token").unlink()
    process = place.begin()
    assert process.communicate(timeout=30)[1].strip() == f"file not found: {place.folder / 'token'}"
    assert process.returncode == 1
