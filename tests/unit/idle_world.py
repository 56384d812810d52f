"""A machine in a folder for the idle_stop role's program: its clocks go as told, its Jupyter listens on loopback."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from gluon_idle import check, files, memory, theirs
from gluon_idle.machine import Machine, Moment
from gluon_idle.settings import Settings

TOKEN = "c0ffee"
BEGUN = datetime(2026, 11, 25, 12, 0, tzinfo=UTC).timestamp()
POWEROFF = ("systemctl", "--no-block", "poweroff")


class FakeMachine(Machine):
    """Records the programs that are called, and answers for them."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.boot, self.up, self.wall = "one", 60.0, BEGUN
        self.called: list[tuple[str, ...]] = []
        self.answers: dict[str, Any] = {"nvidia-smi": (127, "there is no nvidia-smi")}
        for folder in ("proc", "var/lib/gluon-idle", "run/gluon-spot", "sys/bus/pci/devices"):
            (root / folder).mkdir(parents=True)
        self.put("/proc/stat", "cpu  0 0 0 0 0 0 0 0 0 0\n")

    def put(self, name: str, text: str) -> Path:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def now(self, known: str = "") -> Moment:
        return Moment(self.boot, self.up, self.wall)

    def run(self, *command: str, text: str = "", user: str = "", timeout: float = 10) -> tuple[int, str]:
        if command[0] == sys.executable:
            return self.theirs(*command[command.index(str(files.THEIRS)) + 1 :], text=text)
        self.called.append(command)
        answer = self.answers.get(command[0], (0, ""))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def theirs(self, *arguments: str, text: str) -> tuple[int, str]:
        """What else runs as the user, in this process."""
        said = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
            patch.setattr("sys.stdin", io.StringIO(text))
            theirs.main(*arguments)
        return 0, said.getvalue()

    def start_process(self, pid: int, name: str, parent: int) -> None:
        self.put(f"/proc/{pid}/stat", f"{pid} ({name}) S {parent} " + " ".join("0" * 17) + " 5000 0\n")

    def end_process(self, pid: int) -> None:
        self.path(f"/proc/{pid}/stat").unlink()
        self.path(f"/proc/{pid}").rmdir()

    def work(self, seconds: float) -> None:
        """CPU time that is spent, of one CPU."""
        ticks = int(self.read("/proc/stat").split()[1]) + round(100 * seconds)
        self.put("/proc/stat", f"cpu  {ticks} 0 0 0 0 0 0 0 0 0\n")

    @property
    def stopped(self) -> bool:
        return POWEROFF in self.called


class FakeJupyter:
    """The part of the API that is asked, as notebook 6 and jupyter_server have it."""

    def __init__(self) -> None:
        self.kernels: list[dict[str, Any]] = []
        self.terminals: list[dict[str, Any]] = []
        self.sessions: list[dict[str, Any]] = []
        self.status, self.text = 200, ""
        self.requests: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                outer.requests.append(self.path)
                status, text = outer.answer(self.path, self.headers.get("Authorization", ""))
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                """Nothing: requests are kept."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, path: str, authorization: str) -> tuple[int, str]:
        if self.status != 200 or self.text:
            return self.status, self.text
        if authorization != f"token {TOKEN}":
            return 403, "{}"
        what = path.partition("?")[0].rpartition("/")[2]
        return 200, json.dumps(getattr(self, what))

    def kernel(self, wall: float, state: str = "idle", id: str = "3f2a0000-aaaa", path: str = "mlp.md") -> None:
        """A kernel is there, in this state, last active at that time."""
        stamp = datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self.kernels = [one for one in self.kernels if one["id"] != id]
        self.kernels.append({"id": id, "execution_state": state, "last_activity": stamp, "connections": 1})
        self.sessions = [{"path": path, "kernel": {"id": id}}]

    def terminal(self, wall: float) -> None:
        stamp = datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self.terminals = [{"name": "1", "last_activity": stamp}]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class World:
    """A machine with Jupyter, and the checks that a timer would run on it."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.machine, self.jupyter = FakeMachine(root), FakeJupyter()
        self.folder = root / "home/notebooks"
        self.folder.mkdir(parents=True)
        self.machine.put("/etc/jupyter/token", f"{TOKEN}\n")
        usual = {
            "minutes": 30,
            "jupyter_url": self.jupyter.url,
            "user": "me",
            "folder": str(self.folder),
            "keep_file": str(root / "home/keep-running"),
            "spot_stop": True,
        }
        self.settings = Settings(**usual | settings)

    def check(self) -> int:
        return check.check(self.settings, self.machine)

    def minutes(self, count: float, *, clock: bool = True) -> bool:
        """A check each minute; whether the machine was stopped."""
        for _ in range(round(count)):
            self.machine.up += 60
            self.machine.wall += 60 if clock else 0
            self.check()
            if self.machine.stopped:
                return True
        return False

    def minutes_until_stop(self, at_most: int = 600) -> int:
        for minute in range(1, at_most + 1):
            if self.minutes(1):
                return minute
        raise AssertionError(f"it did not stop within {at_most} minutes")

    @property
    def memory(self) -> memory.Memory:
        return memory.load(self.machine.path(memory.FILE))

    def signs(self, source: str) -> list[tuple[str, str]]:
        return [(sign["state"], sign["words"]) for sign in self.memory.signs if sign["source"] == source]

    @property
    def notice(self) -> str:
        path = self.folder / "MACHINE-STOPS-SOON.txt"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    # Hundreds of checks need not wait for a disk.
    monkeypatch.setattr("os.fsync", lambda file: None)
    made = World(tmp_path)
    yield made
    made.jupyter.close()
