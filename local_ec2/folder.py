"""The data folder: what is up, and who runs it."""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from local_ec2.say import Refusal, say

# What machines are: containers, or nothing at all.
PODMAN = "podman"
NONE = "none"


@dataclasses.dataclass
class State:
    """What `up` decided, and the process that serves it. `home` is where the folder was then."""

    home: str
    port: int
    subnet: str
    image: str
    upstream: str
    machines: str = PODMAN
    variables: dict[str, object] = dataclasses.field(default_factory=dict)
    inventory_vars: str | None = None
    # what the host allowed before `up` allowed more
    inotify: int | None = None
    pid: int | None = None
    started: str | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def alive(self) -> bool:
        """Whether the server still runs: a process of this number that began at the same moment."""
        return self.pid is not None and self.started is not None and started(self.pid) == self.started


def started(pid: int) -> str | None:
    """When a process began, in clock ticks since the host's boot; None if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def remove_tree(path: Path) -> None:
    """Remove a folder with all in it, but never what is mounted there: a root file system may have had a /dev."""
    done = subprocess.run(["rm", "-rf", "--one-file-system", str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refusal(f"{path} could not be removed ({done.stderr.splitlines()[0]}): see to that, and run it again.")


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one `up` or `down` at a time work in a folder, and wait for the one that does."""
    handle = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Waiting for another `up` or `down` in {path} to end.")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class Folder:
    """A data folder. Its place gives all names, so that two checkouts can be up side by side."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.owner = f"local-ec2-{hashlib.sha256(str(self.path).encode()).hexdigest()[:8]}"
        self.log = self.path / "log"
        self.build = self.path / "build"
        self.disks = self.path / "disks"
        self.upstream = self.path / "upstream"
        self.amis = self.path / "amis.json"
        self._state = self.path / "state.json"

    def state(self) -> State | None:
        try:
            return State(**json.loads(self._state.read_text()))
        except FileNotFoundError:
            return None

    def save(self, state: State) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        new = self._state.with_suffix(".new")
        new.write_text(json.dumps(dataclasses.asdict(state), indent=1))
        new.replace(self._state)
        (self.path / ".gitignore").write_text("*\n")

    def foreign(self) -> bool:
        """Whether the folder holds something, and none of it is ours."""
        return self.path.exists() and not self._state.exists() and any(self.path.iterdir())

    def remove(self) -> None:
        """Remove the folder. A foreign one is left alone."""
        if self.path.exists() and not self.foreign():
            remove_tree(self.path)

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Let one `up` or `down` at a time work here.

        The folder above is locked: it is there before the data folder is, and after.
        """
        return locked(next(parent for parent in self.path.parents if parent.is_dir()))

    def claim(self) -> None:
        """Refuse a folder in which `down` would not dare to remove what `up` writes."""
        if self.foreign():
            raise Refusal(
                f"{self.path} holds files that are not local_ec2's, and `down` removes the whole folder:"
                " name an empty or a new one with --data."
            )
