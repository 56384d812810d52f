# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""A conda in a folder for all users of a machine: whether it is there, whose it is, and how an installer makes it."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .download import Source, fetch
from .failed import Failed
from .folders import Need, ensure_space, free_mb, is_noexec, remove, tighten
from .installer import ending, is_full, run, tail, telling
from .lock import Lock

# Written first and last of an installation, so that what is between them is known to be ours and unfinished.
BEGUN = ".miniconda_begun"
NOTE = ".miniconda_version"
# Besides CONDA..., what would tell conda and its installers of an environment that the user is in.
FOREIGN = ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH")
PROVING = 120  # seconds in which a conda that works has told its version, on a disk that is busy


class Installation:
    """The folder, the two files by which it is known to be ours, and a folder beside it for what is under way."""

    def __init__(self, prefix: Path, adopt: bool = False) -> None:
        self.prefix, self.adopt = prefix, adopt
        self.conda = prefix / "bin/conda"
        self.begun, self.note = prefix / BEGUN, prefix / NOTE
        # Nobody else reads or writes there, so what was verified is what runs. Gone when all is through.
        self.work = prefix.with_name(f".{prefix.name}.download")
        self.lock = Lock(self.work / "lock", prefix)
        self.scratch = self.work / "tmp"
        self.output = self.scratch / "output"

    def state(self) -> str:
        """absent, foreign (no conda), other (a conda, not ours), begun (never complete), damaged, or complete.

        It is told by what is in the folder: an installer that was interrupted leaves a folder too.
        """
        if not os.path.lexists(self.prefix) or (self.prefix.is_dir() and not any(self.prefix.iterdir())):
            return "absent"
        is_conda = self.conda.is_file() and (self.prefix / "conda-meta/history").is_file()
        if not self.note.is_file():
            return "begun" if self.begun.is_file() else "other" if is_conda else "foreign"
        return "complete" if is_conda and not self.begun.exists() else "damaged"

    def noted(self) -> tuple[str, str]:
        """The version that was installed, and the name of its installer; empty where nothing is ours."""
        lines = self.note.read_text().splitlines() if self.note.is_file() else []
        return (*lines, "", "")[:2]

    def refuse(self, source: Source) -> None:
        """Raise Failed where something is in the folder that is not to be touched."""
        state, was, wanted = self.state(), family(self.noted()[1]), family(source.name)
        if state == "foreign":
            raise Failed(
                f"{self.prefix} exists and is no conda, so nothing was touched: move it away, or name another prefix.",
                options=["prefix"],
            )
        if state == "other" and not self.adopt:
            raise Failed(
                f"{self.prefix} holds a conda that somebody else installed, so nothing was touched: say that it is to "
                "be adopted, as it is, or name another prefix.",
                options=["adopt", "prefix"],
            )
        if was and wanted and was != wanted:
            raise Failed(
                f"{self.prefix} holds {was}, and {wanted} is not to be mixed into it, so nothing was touched: "
                "move it away, or name another prefix.",
                options=["prefix"],
            )

    def wants(self, version: str) -> bool:
        """Whether an installer is to run. One that was adopted stays what it is."""
        state = self.state()
        return state != "other" and (state != "complete" or self.noted()[0] != version)

    @contextlib.contextmanager
    def alone(self, seconds: int) -> Iterator[None]:
        """Hold the folder alone; what is under way is gone afterwards but for a download that another run continues."""
        with self.lock.held(seconds):
            remove(self.scratch)
            self.scratch.mkdir()
            try:
                yield
            except Exception:
                self.leave(kept="*.sh*")
                raise
            self.leave(kept="")

    def leave(self, kept: str) -> None:
        """Remove what was under way, and all of it if no file of the pattern `kept` is there."""
        left = {self.lock.path, *(self.work.glob(kept) if kept else ())}
        for path in set(self.work.iterdir()) - left:
            remove(path)
        if left == {self.lock.path}:
            # From here on another run may have a lock of its own in this folder, which then stays.
            self.lock.path.unlink()
            with contextlib.suppress(OSError):
                self.work.rmdir()

    def ensure_room(self, need_mb: int) -> None:
        """Raise Failed where there is too little, or where nothing could be executed."""
        ensure_space([Need(self.prefix, need_mb)])
        for folder in (self.work, self.prefix):
            if is_noexec(folder):
                raise Failed(
                    f"{folder} would be on a disk that is mounted noexec, where no conda can run: name another prefix.",
                    options=["prefix"],
                )

    def install(self, source: Source, version: str, need_mb: int) -> None:
        """Install, update or repair. Raises Failed; the folder then stays marked as unfinished."""
        installer = fetch(source, self.work)
        is_new = self.state() in ("absent", "begun")
        self.begin(is_new)
        status = self.run(installer, ["-b", "-f" if is_new else "-u", "-p", str(self.prefix)])
        if status:
            raise self.failure(source, status, is_new, need_mb)
        self.prove(source)
        # Environments may be others', and of a mode that was chosen for them.
        tighten(self.prefix, spared=[self.prefix / "envs"])
        self.finish(source, version)
        installer.unlink()

    def begin(self, is_new: bool) -> None:
        """Mark the folder as ours and unfinished, on the disk, before anything is in it."""
        if is_new and self.prefix.is_dir():
            self.clear()
        self.prefix.mkdir(mode=0o755, parents=True, exist_ok=True)
        with self.begun.open("w") as file:
            os.fsync(file.fileno())

    def clear(self) -> None:
        """Empty the folder, its marker last; it may itself be a disk."""
        for path in (*(path for path in self.prefix.iterdir() if path != self.begun), self.begun):
            remove(path)

    def finish(self, source: Source, version: str) -> None:
        """Note what was installed, and take the marker away."""
        self.note.write_text(f"{version}\n{source.name}\n")
        self.note.chmod(0o644)
        # The marker must not be gone from a disk that has not got all of the installation yet.
        os.sync()
        self.begun.unlink()

    def environment(self) -> dict[str, str]:
        """For conda and its installers: nothing of an environment that the user is in, or of the user's settings."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith("CONDA") and name not in FOREIGN
        }
        # /tmp may be mounted noexec, and they run what they unpack.
        return {**kept, "HOME": str(self.scratch), "TMPDIR": str(self.scratch), "LC_ALL": "C.UTF-8"}

    def run(self, installer: Path, flags: list[str]) -> int:
        command = ["/bin/bash", str(installer), *flags]
        return run(command, self.output, self.lock, self.scratch, self.environment())

    def prove(self, source: Source) -> None:
        """Raise Failed where no conda came of it that works."""
        if self.conda.is_file() and (self.prefix / "conda-meta/history").is_file():
            status, said = self.ask("--version")
            if not status:
                return
            fault = f"{self.conda} does not work: {said}"
        else:
            fault = f"left no {self.conda}"
        raise Failed(f"{source.name} ended well, but {fault}. Check the url.", options=["url", "version"])

    def ask(self, *arguments: str) -> tuple[int, str]:
        """Exit status and the last words of a conda command."""
        try:
            done = subprocess.run(
                [str(self.conda), *arguments],
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=PROVING,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return 1, getattr(error, "strerror", "") or f"it did not answer within {PROVING} s"
        self.output.write_bytes(done.stdout)
        return done.returncode, self.reason()

    def failure(self, source: Source, status: int, is_new: bool, need_mb: int) -> Failed:
        """What to tell of an installer that failed; on a full disk what it left of a new installation is removed."""
        if is_full(self.output) or not free_mb(self.prefix):
            if is_new:
                self.clear()
            free = free_mb(self.prefix)
            enough = f"{need_mb} MB" if need_mb > free else "more than that"
            return Failed(
                f"The disk is full: {source.name} needs {enough} in {self.prefix}, where {free} MB are free now. "
                "Enlarge the disk or make room, then run again.",
                rc=status,
            )
        return Failed(f"{source.name} {ending(status)}: {self.reason()}. Run again to begin anew.", rc=status)

    def reason(self) -> str:
        """What was said last of what went wrong, or else at all."""
        words = telling(self.output).splitlines() or tail(self.output)
        return "; ".join(words[-2:]).rstrip(".") or "it said nothing"


def family(installer: str) -> str:
    """Miniconda3 of Miniconda3-py311_26.1.1-1-Linux-x86_64.sh; nothing of a name that does not tell."""
    name = re.match(r"(Anaconda|Miniconda|Miniforge|Mambaforge)\d*(?=-)", installer)
    return name[0] if name else ""
