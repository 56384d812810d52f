# MIT licence
"""SSH tunnels that stay open in the background, and the notes that say which there are.

A note holds the port and the whole command of a tunnel, and is written before ssh starts; whether the tunnel is open,
the list of processes says. So no process id is kept that another process may have by then, and a run that was killed
leaves nothing behind that the next one does not find.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

# Ports that are tried from the first one on.
SPAN = 100
# Seconds: until a server at the other end has to have answered, between two questions, and until an ssh has ended.
ANSWER, PAUSE, END = 10, 0.3, 5
AT_ONCE = 16
# A connection that is dead ends ssh within 45 s, so that the port is free for the next one.
OPTIONS = ("ExitOnForwardFailure=yes", "ServerAliveInterval=15", "ServerAliveCountMax=3")
# Nobody is there to be asked; and a connection that others share would take the tunnel with it, or keep it.
BACKGROUND = ("BatchMode=yes", "ControlPath=none", "LogLevel=ERROR")


def command(way: dict[str, Any], port: int, background: bool = False) -> list[str]:
    """The ssh that leads from a port of this computer to the machine's own loopback."""
    ours = (*OPTIONS, *BACKGROUND) if background else OPTIONS
    options = [option for option in ours if option.partition("=")[0] not in way["arguments"]]
    return [
        "ssh",
        *(["-f"] if background else []),
        "-N",
        "-L",
        f"127.0.0.1:{port}:127.0.0.1:{way['remote_port']}",
        *(word for option in options for word in ("-o", option)),
        *(["-i", str(Path(way["key"]).expanduser())] if way["key"] else []),
        *(["-p", str(way["ssh_port"])] if way["ssh_port"] else []),
        *shlex.split(way["arguments"]),
        f"{way['user']}@{way['host'] or way['name']}" if way["user"] else way["host"] or way["name"],
    ]


def processes() -> dict[int, str]:
    """Process id -> command line, of all there are."""
    everything = ["ps", "-A", "-ww", "-o", "pid=", "-o", "args="]
    shown = subprocess.run(everything, capture_output=True, check=False, env=os.environ | {"LC_ALL": "C"})
    found = (line.strip().partition(" ") for line in shown.stdout.decode(errors="replace").splitlines())
    return {int(pid): args.strip() for pid, _, args in found}


def pid_of(argv: list[str], running: dict[int, str]) -> int | None:
    """The process that runs this command. What is not ASCII, each ps shows in its own way."""
    line = re.compile(re.sub(r"[^\x20-\x7e]+", ".*", re.escape(" ".join(argv))) + "$")
    return next((pid for pid, args in running.items() if line.search(args)), None)


def is_free(port: int) -> bool:
    """Whether this computer's loopback can be listened on at the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def reply(port: int, seconds: float) -> str:
    """What an HTTP server behind the port does: "answers", is "refused" by the machine, or there is "silence"."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), max(0.1, deadline - time.monotonic())) as probe:
                probe.sendall(f"GET /api HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
                said = "answers" if probe.recv(1) else "refused"
        except TimeoutError:
            return "silence"
        except OSError:
            said = "refused"
        if said == "answers" or time.monotonic() + PAUSE > deadline:
            return said
        time.sleep(PAUSE)


def start(argv: list[str], seconds: int) -> str:
    """Start an ssh in the background. It is there, and listens, when this returns ""; else these are ssh's words."""
    # Not a pipe, which the ssh that stays would hold open.
    with tempfile.TemporaryFile("w+") as said:
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
                timeout=seconds,
                check=False,
            )
        except FileNotFoundError:
            return "it is not installed here"
        except subprocess.TimeoutExpired:
            return f"nothing within {seconds} s"
        said.seek(0)
        words = said.read().strip().removeprefix("ssh: ")
        return "" if done.returncode == 0 else words or f"nothing, and ended with {done.returncode}"


def end(ports: dict[int, int]) -> None:
    """End these processes, which are no children of this one, and wait until the port of each is free."""
    for pid in ports:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + END
    for pid, port in ports.items():
        while not is_free(port):
            if time.monotonic() > deadline:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                break
            time.sleep(0.02)


class Ports:
    """The ports of this computer, each given out once."""

    def __init__(self, first: int, held: dict[str, int]) -> None:
        self.first, self.held, self.lock = first, dict(held), threading.Lock()
        # Those that something else has.
        self.taken: list[int] = []

    def fits(self, port: int) -> bool:
        return self.first <= port < self.first + SPAN

    def take(self, name: str, refused: Iterable[int] = ()) -> int | None:
        """The port that a tunnel had, or the next that is free. None: a hundred are taken."""
        with self.lock:
            had, others = self.held.pop(name, 0), {*self.held.values(), *refused}
            ways = [had] if self.fits(had) else []
            for port in [*ways, *range(self.first, min(self.first + SPAN, 65536))]:
                if port in others:
                    continue
                if is_free(port):
                    self.held[name] = port
                    return port
                if port not in self.taken:
                    self.taken.append(port)
            return None


class Tunnels:
    """The tunnels of one directory."""

    def __init__(self, directory: Path, first: int = 8888, timeout: int = 30) -> None:
        self.directory, self.timeout = directory, timeout
        self.notes = {note["name"]: note for note in self._read()}
        running = processes()
        self.pids = {name: pid for name, note in self.notes.items() if (pid := pid_of(note["command"], running))}
        self.ports = Ports(first, {name: note["port"] for name, note in self.notes.items()})

    def _read(self) -> Iterator[dict[str, Any]]:
        for file in sorted(self.directory.glob("tunnel-*.json")):
            with contextlib.suppress(OSError, ValueError):
                note = json.loads(file.read_text())
                if {"name", "port", "command"} <= set(note) and isinstance(note["command"], list):
                    yield note

    def _file(self, name: str) -> Path:
        return self.directory / f"tunnel-{quote(name, safe='')}.json"

    def close(self, names: Iterable[str]) -> None:
        """Close tunnels and forget them."""
        names = list(names)
        end({self.pids.pop(name): self.notes[name]["port"] for name in names if name in self.pids})
        for name in names:
            self._file(name).unlink(missing_ok=True)

    def is_open(self, way: dict[str, Any]) -> bool:
        """Whether the tunnel is open and leads where it is to lead: a machine may have another address by now."""
        note = self.notes.get(way["name"])
        return bool(
            note
            and way["name"] in self.pids
            and self.ports.fits(note["port"])
            and note["command"] == command(way, note["port"], background=True)
        )

    def told(self, way: dict[str, Any]) -> dict[str, Any]:
        """What is known of a tunnel without touching it, and the line for a shell that opens another one."""
        opened = self.notes[way["name"]] if self.is_open(way) else None
        port = self.ports.take(f"{way['name']} in a shell" if opened else way["name"])
        line = shlex.join(command(way, port)) if port else ""
        return {"open": bool(opened), "port": opened["port"] if opened else port, "command_port": port, "command": line}

    def open_all(self, ways: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Have all of them open, side by side: name -> its port, whether it was opened now, and what is wrong."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return dict(zip((way["name"] for way in ways), pool.map(self._have, ways), strict=True))

    def _have(self, way: dict[str, Any]) -> dict[str, Any]:
        name = way["name"]
        if self.is_open(way):
            port = self.notes[name]["port"]
            # Silence is that of a connection that has died unnoticed, and the port is free where ssh itself was dying
            # just now: another one is tried.
            if (said := reply(port, ANSWER)) != "silence" and not is_free(port):
                return {"port": port, "opened": False, "trouble": self._trouble(way, said)}
        if pid := self.pids.pop(name, None):
            end({pid: self.notes[name]["port"]})
        refused: list[int] = []
        while port := self.ports.take(name, refused):
            argv = command(way, port, background=True)
            self._file(name).write_text(json.dumps({"name": name, "port": port, "command": argv}))
            if not (words := start(argv, self.timeout)):
                said = reply(port, ANSWER)
                return {"port": port, "opened": True, "trouble": self._trouble(way, said)}
            if is_free(port):
                return {"port": None, "opened": False, "trouble": f"The tunnel did not open. ssh said: {words}"}
            # Something else has taken it in between.
            refused.append(port)
        first = self.ports.first
        words = f"None of the ports {first} to {first + SPAN - 1} is free here. Choose another one with notebook_port."
        return {"port": None, "opened": False, "trouble": words}

    def _trouble(self, way: dict[str, Any], said: str) -> str:
        if said == "answers":
            return ""
        heard = "answers there" if said == "refused" else f"answers there within {ANSWER} s"
        return f"The tunnel to port {way['remote_port']} is open, but nothing {heard}."


@contextlib.contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Be the only one who opens or closes tunnels here. Whoever else does is done within its own time limits."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (directory / "tunnels.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
