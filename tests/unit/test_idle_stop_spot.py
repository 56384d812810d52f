"""The two-minute notice of a spot machine, from a metadata service on loopback; and the hooks that save work."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from gluon_idle import checkpoint, spot
from gluon_idle.settings import Settings
from idle_world import FakeMachine

CHECKPOINT = ("systemctl", "start", "gluon-checkpoint@spot.service")


class FakeMetadata:
    """Version 2: what is asked without a token, or with one that is over, is answered 401."""

    def __init__(self) -> None:
        self.said: dict[str, str] = {"instance-life-cycle": "spot"}
        self.token, self.broken = "first", 0
        self.requests: list[tuple[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            disable_nagle_algorithm = True

            def answer(self, status: int, text: str = "") -> None:
                outer.requests.append((self.command, self.path))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(text.encode())

            def do_PUT(self) -> None:
                lifetime = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
                known = self.path == "/latest/api/token" and lifetime.isdigit()
                self.answer(200 if known else 400, outer.token)

            def do_GET(self) -> None:
                if self.headers.get("X-aws-ec2-metadata-token") != outer.token:
                    self.answer(401)
                elif outer.broken:
                    outer.broken -= 1
                    self.answer(503)
                else:
                    text = outer.said.get(self.path.removeprefix("/latest/meta-data/"))
                    self.answer(200 if text else 404, text or "not found")

            def log_message(self, *_: object) -> None:
                """Nothing: requests are kept."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def notice(self, action: str = "stop", seconds: float = 120) -> None:
        at = datetime.now(UTC) + timedelta(seconds=seconds)
        self.said["spot/instance-action"] = json.dumps({"action": action, "time": at.strftime("%Y-%m-%dT%H:%M:%SZ")})


@pytest.fixture
def metadata() -> Iterator[FakeMetadata]:
    made = FakeMetadata()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    (tmp_path / "notebooks").mkdir()
    return FakeMachine(tmp_path)


def watch(machine: FakeMachine, metadata: FakeMetadata, rounds: int, then: dict[int, Any] | None = None) -> int:
    """Look so often; before a round something may happen."""
    settings = Settings(user="me", folder=str(machine.root / "notebooks"), metadata_url=metadata.url, timezone="UTC")
    count = 0

    def sleep(_: float) -> None:
        nonlocal count
        count += 1
        (then or {}).get(count, lambda: None)()

    return spot.watch(settings, machine, sleep, rounds)


def notice_file(machine: FakeMachine) -> str:
    path = machine.root / "notebooks/MACHINE-STOPS-SOON.txt"
    return path.read_text() if path.exists() else ""


def test_a_notice_is_told_and_what_can_be_saved_is_saved(
    machine: FakeMachine, metadata: FakeMetadata, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.put("/etc/gluon-ec2/checkpoint.d/save", "")
    watch(machine, metadata, 5, {2: metadata.notice})
    ((_, words),) = [call for call in machine.called if call[0] == "wall"]
    assert words.startswith("EC2 takes this spot machine back at ")
    assert "its word is: stop" in words
    assert notice_file(machine) == f"{words}\n"
    assert machine.called.count(CHECKPOINT) == 1
    assert words in capsys.readouterr().out


def test_the_token_comes_first_and_is_renewed(machine: FakeMachine, metadata: FakeMetadata) -> None:
    def over() -> None:
        metadata.token = "second"

    watch(machine, metadata, 4, {2: over})
    asked = [f"{method} {path.rpartition('/')[2]}" for method, path in metadata.requests]
    look = "GET instance-action"
    assert asked == ["PUT token", "GET instance-life-cycle", look, look, look, "PUT token", look, look]


def test_another_machine_has_nothing_to_watch_for(machine: FakeMachine, metadata: FakeMetadata) -> None:
    metadata.said["instance-life-cycle"] = "on-demand"
    assert watch(machine, metadata, 5) == 0
    assert machine.read("/run/gluon-spot/market") == "on-demand\n"
    assert len(metadata.requests) == 2


def test_where_there_is_no_ec2_it_ends(machine: FakeMachine, metadata: FakeMetadata) -> None:
    metadata.server.shutdown()
    metadata.server.server_close()
    assert watch(machine, metadata, 5) == 0
    assert machine.read("/run/gluon-spot/market") == "none\n"


def test_a_network_that_comes_late_is_waited_for(machine: FakeMachine, metadata: FakeMetadata) -> None:
    metadata.broken = 3
    watch(machine, metadata, 1)
    assert machine.read("/run/gluon-spot/market") == "spot\n"


def test_answers_that_fail_are_told_once_and_survived(
    machine: FakeMachine, metadata: FakeMetadata, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks() -> None:
        metadata.broken = 3

    watch(machine, metadata, 8, {1: breaks, 6: metadata.notice})
    assert capsys.readouterr().out.count("answers 503") == 1
    assert "stop" in notice_file(machine)


def test_a_notice_that_was_met_stays_met_while_nobody_answers(machine: FakeMachine, metadata: FakeMetadata) -> None:
    def breaks() -> None:
        metadata.broken = 2

    metadata.notice()
    watch(machine, metadata, 8, {2: breaks})
    assert len([call for call in machine.called if call[0] == "wall"]) == 1


def test_a_notice_that_is_taken_back_leaves_none_behind(machine: FakeMachine, metadata: FakeMetadata) -> None:
    metadata.notice()
    watch(machine, metadata, 4, {2: lambda: metadata.said.pop("spot/instance-action")})
    assert notice_file(machine) == ""


def test_one_that_was_not_carried_out_is_over_some_minutes_later(machine: FakeMachine, metadata: FakeMetadata) -> None:
    metadata.notice(seconds=-spot.OVER_SECONDS - 10)
    watch(machine, metadata, 4)
    assert notice_file(machine) == ""
    assert len([call for call in machine.called if call[0] == "wall"]) == 1


@pytest.mark.parametrize("text", ["{", "[]", '{"action": "stop"}', '{"action": "stop", "time": 3}', "soon"])
def test_a_notice_that_cannot_be_read_is_one_all_the_same(
    machine: FakeMachine, metadata: FakeMetadata, text: str
) -> None:
    metadata.said["spot/instance-action"] = text
    watch(machine, metadata, 2)
    assert "EC2 takes this spot machine back" in notice_file(machine)


def test_a_folder_that_is_gone_is_no_reason_to_fail(machine: FakeMachine, metadata: FakeMetadata) -> None:
    (machine.root / "notebooks").rmdir()
    machine.put("/etc/gluon-ec2/checkpoint.d/save", "")
    machine.answers["wall"] = OSError("no wall")
    machine.theirs = lambda *_, text: (1, "FileNotFoundError")
    metadata.notice()
    assert watch(machine, metadata, 2) == 0
    assert CHECKPOINT in machine.called


pytest_root = pytest.mark.skipif(os.geteuid() != 0, reason="hooks belong to root")


def hook(folder: Path, name: str, body: str, mode: int = 0o755) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(mode)


@pytest_root
def test_hooks_run_side_by_side_within_their_time(tmp_path: Path) -> None:
    folder = tmp_path / "hooks"
    hook(folder, "a", "sleep 30")
    hook(folder, "b", f'echo "$GLUON_REASON $GLUON_SECONDS $PWD" > {tmp_path}/told')
    hook(folder, "c", "trap '' TERM; sleep 30 & wait; wait")
    started = time.monotonic()
    assert checkpoint.run(folder, 1, "spot", str(tmp_path)) == 2
    assert time.monotonic() - started < 10
    assert (tmp_path / "told").read_text() == f"spot 1 {tmp_path}\n"


@pytest_root
def test_a_hook_that_fails_does_not_keep_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "hooks"
    hook(folder, "a", "exit 3")
    (folder / "b").write_text("#!/no/such/program\n")
    (folder / "b").chmod(0o755)
    hook(folder, "c", f"touch {tmp_path}/saved")
    assert checkpoint.run(folder, 5, "spot", "") == 2
    assert (tmp_path / "saved").exists()
    said = capsys.readouterr().out
    assert f"{folder}/a: exit status 3" in said
    assert f"{folder}/b: " in said


@pytest_root
def test_only_what_root_alone_can_write_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "hooks"
    for name, mode in (("a", 0o757), ("b", 0o644), (".c", 0o755), ("d~", 0o755), ("e", 0o775)):
        hook(folder, name, f"touch {tmp_path}/run-{name}", mode)
    hook(folder, "f", f"touch {tmp_path}/run-f")
    os.chown(folder / "f", 65534, 65534)
    assert checkpoint.run(folder, 5, "spot", "") == 0
    assert list(tmp_path.glob("run-*")) == []
    assert capsys.readouterr().out.count("is not root's alone, so it is not run") == 3
    hook(folder, "g", f"touch {tmp_path}/run-g")
    folder.chmod(0o777)
    assert checkpoint.run(folder, 5, "spot", "") == 0
    assert list(tmp_path.glob("run-*")) == []


@pytest_root
def test_no_folder_no_hooks(tmp_path: Path) -> None:
    assert checkpoint.run(tmp_path / "none", 5, "spot", "") == 0
