"""A project with a home of its own here, whose runs are ended from outside at chosen moments."""

from __future__ import annotations

import contextlib
import fnmatch
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

from conftest import INVENTORY, ROOT, Run
from conftest import run as shell
from holdings import instances, wait_for

PATIENCE = 600  # seconds without a word
MACHINE = "reader"
# What is there to be lost by now: the notebooks, which the reader changes as soon as they are there, the token, and an
# environment that nobody is at work on, known by the numbers of its files.
BELONGINGS = """
if cd ~/*/chapter_prerequisite 2>/dev/null; then
  [ -e mine.md ] || { echo 'a note of mine' > mine.md; echo 'my last line' >> ndarray.md; }
  echo notes $(cat mine.md ndarray.md | sha256sum)
fi
token=$(sudo cat /etc/jupyter/token 2>/dev/null) && echo token $token
cd /opt/miniconda3/envs 2>/dev/null && [ ! -e .gluon.lock ] && [ -e gluon/conda-meta/history ] &&
  echo environment $(stat -c %i gluon/bin/python gluon/lib/python*/site-packages/mxnet/libmxnet.so)
true
"""
# Without that note, and without Jupyter's own of its second start, that there was nothing to migrate; and without the
# index that an apt which was killed was writing, which no apt takes away.
FILES = (
    "sudo find / /tmp /var/tmp /run/lock -xdev -not -path '*/__pycache__*' -not -name mine.md"
    " -not -path '*/.jupyter' -not -path '*/.jupyter/migrated' -not -name '*pkgcache.bin.*'"
)
PROCESSES = "for one in /proc/[0-9]*; do sudo cat $one/cmdline 2>/dev/null | tr '\\0\\n' '  '; echo; done"
# Those of logins, such as the one that asks.
LOGINS = re.compile(r"(sshd: |sudo |bash -c |sh -c |cat |tr |\(sd-pam\)|/lib/systemd/systemd --user)")
UNWELL = "sudo dpkg --audit; ls /var/lib/dpkg/updates; systemctl --failed --plain --no-legend"


class Moment(NamedTuple):
    """`before` or `after` a task, whose name may end in *, and which of that name it is."""

    event: str
    task: str
    number: int = 1


@dataclass
class Point:
    """Where a run is ended: at a moment, or, with `until` to wait for something, while the task is at work.

    Where a run goes past it, since the task is not needed any more, it is ended at the first of the moments `later`.
    """

    moment: Moment
    until: Callable[[Project], None] | None = None
    later: frozenset[Moment] = frozenset()

    def is_at(self, moment: Moment) -> bool:
        event, task, number = self.moment
        return (moment.event, moment.number) == (event, number) and fnmatch.fnmatchcase(moment.task, task)


@dataclass
class Ended:
    """A run that is over: the moments it came to, and the one at which it was ended, if it was."""

    rc: int = 0
    output: str = ""
    at: Moment | None = None
    expected: int = 0
    seen: list[tuple[Moment, float]] = field(default_factory=list)

    @property
    def changed(self) -> int:
        return Run(self.output, 0).changed


class Project:
    """What Ansible keeps in a home is in a folder of the project's own, by which its processes are known, too."""

    def __init__(self, name: str) -> None:
        self.name, self.state = name, INVENTORY / ".state" / name
        # Not in pytest's folders, whose names are too long for a socket.
        self.home = Path(tempfile.mkdtemp(prefix="gluon-", dir="/tmp"))
        self.temporary, self.log = self.home / "tmp", self.home / "run.log"
        self.temporary.mkdir()
        self.belongings: dict[str, str] = {}

    def playbook(self, name: str, *arguments: str, point: Point | None = None, end: End | None = None) -> Ended:
        """Run a playbook to its end, or to a point at which it is ended."""
        ours, theirs = socket.socketpair()
        ours.settimeout(PATIENCE)
        ended = Ended()
        with ours, self.log.open("wb") as out:
            with theirs:
                run = self._begin(name, arguments, theirs.fileno(), out)
            try:
                ended.at = self._listen(ours, point, ended.seen)
                ended.expected = end(self, run) if ended.at and end else 0
                ended.rc = run.wait(PATIENCE)
            except BaseException as error:
                cut(self, run)
                error.add_note(self.log.read_text(errors="replace"))
                raise
        ended.output = self.log.read_text(errors="replace")
        return ended

    def _begin(self, name: str, arguments: tuple[str, ...], moments: int, out: IO[bytes]) -> subprocess.Popen:
        settings = {
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "MOMENTS": str(moments),
            "ANSIBLE_CALLBACK_PLUGINS": f"{ROOT}/plugins/callback:{ROOT}/tests/whole/callback",
            "ANSIBLE_CALLBACKS_ENABLED": "heartbeat,gc_freeze,moments",
            "ANSIBLE_NOCOLOR": "1",
        }
        return subprocess.Popen(
            [".venv/bin/ansible-playbook", "-i", str(INVENTORY), name, "-e", f"project={self.name}", *arguments],
            cwd=ROOT,
            env=os.environ | settings,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            pass_fds=[moments],
            start_new_session=True,
        )

    def _listen(self, ours: socket.socket, point: Point | None, seen: list[tuple[Moment, float]]) -> Moment | None:
        """Let the run go on until it is at the point, where it waits or the task is at work; None if it ends itself."""
        lines = ours.makefile("rw")
        for line in iter(lines.readline, ""):
            moment = Moment(*json.loads(line))
            seen.append((moment, time.monotonic()))
            is_there = point is not None and point.is_at(moment)
            if point and (moment in point.later or (is_there and not point.until)):
                return moment
            lines.write("\n")
            lines.flush()
            if is_there:
                point.until(self)
                return moment
        return None

    def processes(self) -> dict[int, str]:
        """Those here that the project's runs have started."""
        found = {}
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
                # The connection that others share has written its name, with its socket, over its environment. What is
                # ending has no name any more.
                known = (place / "environ").read_bytes() + command.encode()
                if command and str(self.home).encode() in known:
                    found[int(place.name)] = command
        return found

    def ssh(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command on the machine, over a connection of the test's own."""
        way = ["ssh", "-F", str(self.state / "ssh_config"), "-o", "ConnectTimeout=5", MACHINE, command]
        return subprocess.run(way, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False)

    def on_machine(self, command: str) -> str:
        done = self.ssh(command)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def look(self) -> dict[str, str]:
        """What there is to be lost. Before there is a machine ssh fails, and that is nothing."""
        return dict(line.split(" ", 1) for line in self.ssh(BELONGINGS).stdout.splitlines())

    def left(self) -> list[str]:
        """Temporary files here, and files of Ansible's that tell the token."""
        token = self.belongings.get("token", "no token").encode()
        kept = [path for path in self.home.rglob("*") if path.is_file() and token in path.read_bytes()]
        return [str(path) for path in [*self.temporary.rglob("*"), *kept]]

    def note(self) -> None:
        """Remember what there is, each as it was when it was there first."""
        self.belongings = self.look() | self.belongings

    def close(self) -> None:
        end_all(self)
        shutil.rmtree(self.home)


# Ends a run, and says what exit status that gives.
End = Callable[[Project, subprocess.Popen], int]


def kill(project: Project, run: subprocess.Popen) -> int:
    """End ansible-playbook alone. What it has started goes on, here and on the machine."""
    run.kill()
    return -signal.SIGKILL


def interrupt(project: Project, run: subprocess.Popen) -> int:
    """Ctrl-C: the terminal tells all that run in it. What runs on the machine does not hear of it.

    Again where nothing comes of it: a worker of ansible-core 2.19 that is told while it hands in its result takes the
    lock of the queue with it, and the main process, which wants to put its own end there, waits for that lock.
    """
    os.killpg(run.pid, signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        run.wait(30)
        return 99
    os.killpg(run.pid, signal.SIGINT)
    return -signal.SIGINT


def cut(project: Project, run: subprocess.Popen) -> int:
    """This computer goes off: what was started on it is gone, connections and tunnels too, and /tmp is emptied."""
    run.kill()
    end_all(project)
    shutil.rmtree(project.temporary)
    project.temporary.mkdir()
    return -signal.SIGKILL


def both_off(project: Project, run: subprocess.Popen) -> int:
    """The machine loses its power, too, if there is one that is up. EC2 shows it stopped then."""
    for instance in [] if project.ssh("true").returncode else instances(project.name):
        machine = shell("podman", "ps", "--quiet", "--filter", f"name={instance}").output.strip()
        shell("podman", "kill", "--signal", "KILL", machine)
        wait_for(project.name, "stopped")
    return cut(project, run)


def end_all(project: Project) -> None:
    # Again for those that were started meanwhile.
    for _ in range(100):
        running = project.processes()
        for pid in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not running:
            return
        time.sleep(0.05)
    raise AssertionError(f"still there: {running}")


def on_machine(condition: str) -> Callable[[Project], None]:
    """Wait until a shell's condition holds on the machine."""
    wait = f"timeout 100 sh -c 'until {condition}; do sleep 0.02; done'"
    return lambda project: project.on_machine(wait) and None


def seconds(number: float) -> Callable[[Project], None]:
    return lambda project: time.sleep(number)


def files(machine: Callable[[str], str]) -> set[str]:
    """What lies on a machine."""
    return alike(machine(FILES))


def processes(machine: Callable[[str], str]) -> set[str]:
    return {line.strip() for line in alike(machine(PROCESSES)) if not LOGINS.match(line)}


def alike(lines: str) -> set[str]:
    """Without the numbers by which two machines differ."""
    named = re.sub(r"(systemd-private-\S+-)\w{6}", r"\1", lines)
    return set(re.sub(r"[0-9a-f]{32}|i-[0-9a-f]{17}|\d+", "0", named).splitlines())
