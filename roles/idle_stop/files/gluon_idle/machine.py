"""The machine as this program meets it: its files, its clocks, and the programs that it calls."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Moment:
    """boot: which start of the machine this is. up: seconds since then, by no clock that is set. wall: Unix time."""

    boot: str
    up: float
    wall: float


@dataclass(frozen=True)
class Process:
    pid: int
    name: str
    parent: int
    started: float  # seconds since the kernel started


class Machine:
    """Reads below `root`, which tests put elsewhere."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    def path(self, name: str) -> Path:
        return self.root / name.lstrip("/")

    def read(self, name: str) -> str:
        """Text of a file, empty if there is none."""
        try:
            return self.path(name).read_text(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return ""

    def now(self, known: str = "") -> Moment:
        """Counted from the first process: a container starts after its kernel.

        known: the boot of an earlier moment, for where the first process does not show, as from within a notebook.
        """
        try:
            started = self.process(1).started
        except LookupError:
            started = float(known.rpartition("/")[2] or 0)
        boot = f"{self.read('/proc/sys/kernel/random/boot_id').strip()}/{started}"
        return Moment(boot, time.clock_gettime(time.CLOCK_BOOTTIME) - started, time.time())

    def process(self, pid: int) -> Process:
        """Raises LookupError if there is none."""
        head, _, tail = self.read(f"/proc/{pid}/stat").rpartition(")")
        values = tail.split()
        return Process(pid, head.partition("(")[2], int(values[1]), int(values[19]) / os.sysconf("SC_CLK_TCK"))

    def processes(self) -> list[Process]:
        found = []
        for entry in self.path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    found.append(self.process(int(entry.name)))
                except LookupError:
                    continue  # it ended meanwhile
        return found

    def login_of(self, pid: int) -> str:
        """The name of the user that a process runs as."""
        try:
            uid = self.path(f"/proc/{pid}").stat().st_uid
            return pwd.getpwuid(uid).pw_name
        except FileNotFoundError:
            return "somebody"
        except KeyError:
            return str(uid)

    def run(self, *command: str, text: str = "", user: str = "", timeout: float = 10) -> tuple[int, str]:
        """Exit status and output of a program, as `user` if one is named. 127: there is no such program.

        Raises subprocess.TimeoutExpired; KeyError if there is no such user.
        """
        as_user: dict[str, object] = {}
        if user and os.geteuid() == 0:
            login = pwd.getpwnam(user)
            as_user = {"user": login.pw_uid, "group": login.pw_gid, "extra_groups": []}
        try:
            done = subprocess.run(
                command,
                input=text,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=timeout,
                check=False,
                cwd="/",
                env={"PATH": PATH, "LC_ALL": "C.UTF-8"},
                **as_user,  # type: ignore[arg-type]
            )
        except FileNotFoundError:
            return 127, f"there is no {command[0]}"
        return done.returncode, done.stdout.strip()

    def python(self, script: Path, *arguments: str, text: str = "", user: str = "") -> tuple[int, str]:
        """A script of this package in a process of its own."""
        return self.run(sys.executable, "-I", "-S", "-B", str(script), *arguments, text=text, user=user)

    def sync(self) -> None:
        os.sync()
