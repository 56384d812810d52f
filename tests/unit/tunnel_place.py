"""A place for tests of ssh_tunnel: its `ssh` forwards where it is told, into the background as the real one does."""

from __future__ import annotations

import contextlib
import http.server
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from plugins.module_utils import tunnels
from plugins.modules import ssh_tunnel

ROOT = Path(__file__).resolve().parents[2]
SSH = f"""#!{sys.executable}
import os, pathlib, signal, socket, sys, threading, time
target = sys.argv[-1]
here = pathlib.Path(__file__).parent
with (here / "calls").open("a") as calls:
    calls.write(target + chr(10))
if "refuses" in target:
    sys.exit("Host key verification failed.")
_, port, host, remote = sys.argv[sys.argv.index("-L") + 1].split(":")
# Goes on when others are on their way as well.
together = time.monotonic() + 20
while "together" in target and len((here / "calls").read_text().split()) < 4:
    if time.monotonic() > together:
        sys.exit("alone")
    time.sleep(0.05)
if "hangs" in target:
    time.sleep(60)
try:
    server = socket.create_server(("127.0.0.1", int(port)))
except OSError as error:
    sys.exit(f"bind: {{error}}")
if "-f" in sys.argv and os.fork():
    os._exit(0)
os.setsid()
# Whatever becomes of the test.
signal.alarm(180)
def pump(one, other):
    while data := one.recv(4096):
        other.sendall(data)
    other.shutdown(socket.SHUT_WR)
def serve(near):
    if (here / "cut").exists():
        time.sleep(60)
    try:
        far = socket.create_connection((host, int(remote)))
    except OSError:
        return near.close()
    threading.Thread(target=pump, args=(near, far), daemon=True).start()
    pump(far, near)
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def answering() -> Iterator[int]:
    """The port of a server that answers everything."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(403)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


@dataclass
class Place:
    """A folder with notes, an ssh, and a port to begin with."""

    folder: Path
    port: int
    notebook: int

    def arguments(self, *names: str, **options: Any) -> dict[str, Any]:
        machines = [{"name": name, "user": "me", "remote_port": self.notebook} for name in names]
        usual = {"directory": str(self.folder / "state 中文"), "port": self.port, "timeout": 10, "machines": machines}
        return usual | options

    def call(self, *names: str, **options: Any) -> dict[str, Any]:
        """Run the module for these machines, in this process."""
        told = io.StringIO()
        asked = patch_module_args(self.arguments(*names, **options))
        with asked, contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
            ssh_tunnel.main()
        return json.loads(told.getvalue())

    def begin(self, *names: str, **options: Any) -> subprocess.Popen[str]:
        """Run it in a process of its own, beside others."""
        with tempfile.TemporaryFile("w+") as file:
            json.dump({"ANSIBLE_MODULE_ARGS": self.arguments(*names, **options)}, file)
            file.seek(0)
            command = [sys.executable, "-m", "plugins.modules.ssh_tunnel"]
            return subprocess.Popen(command, stdin=file, stdout=subprocess.PIPE, cwd=ROOT, text=True)

    def kill(self, tunnel: dict[str, Any], number: int = signal.SIGKILL) -> None:
        """Let a tunnel die, which takes a moment after the signal was sent."""
        os.kill(tunnel["pid"], number)
        deadline = time.monotonic() + 30
        while not tunnels.is_free(tunnel["port"]):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def calls(self) -> list[str]:
        """Where ssh was told to go."""
        return (self.folder / "bin/calls").read_text().split()

    def notes(self) -> list[str]:
        return sorted(file.name for file in (self.folder / "state 中文").glob("tunnel-*"))

    def answers(self, port: int) -> bool:
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
        return True


@contextlib.contextmanager
def place_in(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A place in this folder, of which nothing is open afterwards."""
    (folder / "bin").mkdir()
    (folder / "bin/ssh").write_text(SSH)
    (folder / "bin/ssh").chmod(0o755)
    patch.setenv("PATH", f"{folder}/bin:{os.environ['PATH']}")
    patch.setattr(tunnels, "ANSWER", 3)
    with answering() as notebook:
        place = Place(folder, free_port(), notebook)
        yield place
        place.call(state="closed")


def ports(result: dict[str, Any]) -> dict[str, int | None]:
    return {name: one["port"] for name, one in result["tunnels"].items()}
