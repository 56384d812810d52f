# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""git in one checkout, and how a commit gets there from a server that may be slow, far or stubborn."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple

NEXT = "refs/gluon/next"  # the commit that is fetched or being brought in
UPSTREAM = "refs/gluon/upstream"  # the commit that the checkout followed last
FULL_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
WAITS = (2, 5, 10, 20, 40)  # seconds before further attempts; the last one again and again
BUSY = 30  # seconds to wait for a git that somebody runs
OTHER_RUN = 1800  # seconds to wait for another run of this module
POLL = 0.2
# What cannot pass: asking again is no use.
FINAL = (
    r"remote ref|not our ref|not a tree|not found|not appear to be a git|dubious ownership|could not read (User|Pass)"
    r"|Authentication failed|Permission denied|No space left|Disk quota|not allowed|certificate"
)
# A server that hands out branches and tags only.
STUBBORN = r"not our ref|unadvertised|dumb http|support shallow"
# A repository's hooks are the user's, for what the user does.
SETTINGS = (
    *("core.hooksPath=/dev/null", "core.fsmonitor=", "core.splitIndex=false", "gc.auto=0", "maintenance.auto=false"),
    # Backups need an author; the user may not have said who that is.
    *("user.name=gluon-ec2", "user.email=gluon-ec2@localhost"),
    # A pack is there whole or not at all.
    *("fetch.unpackLimit=1", "http.lowSpeedLimit=1000", "http.lowSpeedTime=60", "advice.detachedHead=false"),
)
# What would send git to another repository than the one it is called in.
FOREIGN = ("DIR", "WORK_TREE", "INDEX_FILE", "OBJECT_DIRECTORY", "ALTERNATE_OBJECT_DIRECTORIES", "COMMON_DIR")
FOREIGN = tuple(f"GIT_{name}" for name in (*FOREIGN, "NAMESPACE", "SHALLOW_FILE", "PREFIX", "CONFIG"))


class Entry(NamedTuple):
    """A file as git has it: its mode, and the id of its content."""

    mode: str
    oid: str


class Failed(Exception):
    """The message is what to tell the user."""


class Refused(Failed):
    """git ended with an error; `said` is all it said."""

    def __init__(self, deed: str, said: str) -> None:
        super().__init__(f"git {deed}: {reason(said)}")
        self.said = said


class Git:
    """git in the checkout at a folder. Its own lock, where it holds one, goes to the processes it starts."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.dir = folder, folder / ".git"
        self.lock: int | None = None

    def run(self, *arguments: str, data: bytes = b"", index: Path | None = None, seconds: float = 600) -> bytes:
        """What git prints. Raises Refused; after so many seconds git is ended, and that is a Refused too."""
        # Discovery stops here: a folder inside somebody's repository is not that repository.
        more = {"GIT_CEILING_DIRECTORIES": str(self.folder.parent)}
        if index:
            more["GIT_INDEX_FILE"] = str(index)
        settings = [part for setting in SETTINGS for part in ("-c", setting)]
        with subprocess.Popen(
            ["git", "-C", str(self.folder), *settings, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(more),
            pass_fds=[self.lock] if self.lock is not None else [],
            # Without a terminal nothing can be asked there.
            start_new_session=True,
        ) as process:
            try:
                printed, said = process.communicate(data, seconds)
            except subprocess.TimeoutExpired as error:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                raise Refused(arguments[0], f"it did not end within {seconds:g} s") from error
        if process.returncode:
            raise Refused(arguments[0], said.decode(errors="replace") or f"it ended with {process.returncode}")
        return printed

    def text(self, *arguments: str, **more: object) -> str:
        return os.fsdecode(self.run(*arguments, **more)).rstrip("\n")

    def perhaps(self, *arguments: str) -> str:
        """What git prints, or nothing where it fails."""
        try:
            return self.text(*arguments)
        except Refused:
            return ""

    def commit(self, name: str) -> str:
        """The id of a commit; empty where there is none of that name."""
        return self.perhaps("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")

    def tree(self, commit: str) -> dict[str, Entry]:
        """Each file and link of a commit, by path."""
        return entries(self.run("ls-tree", "-r", "-z", "--full-tree", commit))

    def contains(self, commit: str) -> bool:
        """Whether a commit is in the history of the one that is checked out."""
        try:
            self.run("merge-base", "--is-ancestor", commit, "HEAD")
        except Refused:
            return False
        return True

    def is_shallow(self) -> bool:
        return (self.dir / "shallow").exists()

    def is_whole(self, commit: str) -> bool:
        """Whether a commit and all that its tree names are here."""
        try:
            self.run("rev-list", "--objects", "--quiet", "--max-count=1", commit)
        except Refused:
            return False
        return True

    @contextlib.contextmanager
    def alone(self, folder: Path) -> Iterator[None]:
        """No other run of this module is at work on `folder` meanwhile."""
        self.lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            until(lambda: took(self.lock), OTHER_RUN, f"Another run is at work on {self.folder}")
            yield
        finally:
            os.close(self.lock)
            self.lock = None

    def stale_locks(self) -> list[Path]:
        """The locks of gits that are no more. Raises Failed where a git that may hold one goes on working."""
        if self._locks():
            until(self._is_free, BUSY, f"A git command is at work on {self.folder}")
        return self._locks()

    def _is_free(self) -> bool:
        return not (self._locks() and working(self.folder))

    def _locks(self) -> list[Path]:
        return [*self.dir.glob("*.lock"), *(self.dir / "refs").rglob("*.lock")]

    def obtain(self, repository: str, version: str, seconds: float, retries: int) -> str:
        """Have the commit of a version here, at NEXT; its id. Asks the server only where it has to."""
        if FULL_ID.fullmatch(version) and self.is_whole(version):
            self.run("update-ref", NEXT, version)
            return self.commit(NEXT)
        for attempt in range(retries + 1):
            try:
                self._fetch(repository, version, seconds)
                break
            except Refused as error:
                if re.search(FINAL, error.said):
                    raise Failed(
                        f"{version} cannot be fetched from {repository} to {self.folder}: {reason(error.said)}. "
                        "Check both, and run again."
                    ) from error
                if attempt == retries:
                    raise Failed(
                        f"{version} could not be fetched from {repository} to {self.folder}: {reason(error.said)} "
                        f"(attempts made: {retries + 1}). Run again to continue."
                    ) from error
            sleep(WAITS[min(attempt, len(WAITS) - 1)])
        commit = self.commit(NEXT)
        if not commit:
            raise Failed(f"{version} of {repository} is no commit: name a commit, a tag or a branch.")
        return commit

    def _fetch(self, repository: str, version: str, seconds: float) -> None:
        fetch = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"]
        # A repository with a history keeps it: a fetch of one commit would cut it off.
        is_new = not self.commit("HEAD")
        depth = ["--depth=1"] if is_new or self.is_shallow() else []
        try:
            self.run(*fetch, *depth, "--", repository, f"+{version}:{NEXT}", seconds=seconds)
        except Refused as error:
            if not re.search(STUBBORN, error.said):
                raise
            # Then all of them, and the commit out of those.
            everything = [f"+refs/{kind}/*:refs/gluon/{kind}/*" for kind in ("heads", "tags")]
            depth = ["--unshallow"] if self.is_shallow() else []
            self.run(*fetch, *depth, "--", repository, *everything, seconds=seconds)
            names = (version, f"refs/gluon/tags/{version}", f"refs/gluon/heads/{version}")
            commit = next(filter(None, map(self.commit, names)), "")
            if not commit:
                raise
            self.run("update-ref", NEXT, commit)


def environment(more: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in (*FOREIGN, "LANGUAGE")}
    return {**kept, "LC_ALL": "C.UTF-8", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", **more}


def entries(listed: bytes) -> dict[str, Entry]:
    """What git lists with -z, by path; submodules are left out."""
    found = re.findall(rb"([0-9]+) (?:[a-z]+ )?([0-9a-f]+)(?: [0-3])?\t([^\0]+)\0", listed)
    return {os.fsdecode(path): Entry(mode.decode(), oid.decode()) for mode, oid, path in found if mode != b"160000"}


def reason(said: str) -> str:
    """The line in which git says why, without a password that an address may have in it."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if re.match("fatal: |error: ", line)]
    line = (telling or lines[-1:] or ["it said nothing"])[0]
    return re.sub(r"(?<=://)[^/@\s]+@", "", re.sub("^(fatal|error): ", "", line)).rstrip(".")


def took(lock: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def until(condition: Callable[[], bool], seconds: float, sentence: str) -> None:
    """Wait for `condition`; raises Failed with the sentence."""
    deadline = monotonic() + seconds
    while not condition():
        if monotonic() > deadline:
            raise Failed(f"{sentence}, and was for {seconds:g} s. Run again when it has ended.")
        sleep(POLL)


def working(folder: Path) -> list[int]:
    """The processes of git in a folder, as far as this user sees them."""
    found, folder = [], folder.resolve()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            name, place = (process / "comm").read_text(), (process / "cwd").readlink()
            if name.startswith("git") and (place == folder or folder in place.parents):
                found.append(int(process.name))
    return found
