# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""A lock on this host that says who holds it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from .failed import Failed
from .folders import private

POLL = 1.0  # seconds


class Lock:
    """A file in a folder that only its owner writes to. What is at work for the holder may hold it too."""

    def __init__(self, path: Path, subject: Any) -> None:
        self.path, self.subject = path, subject
        self.file: IO[str] | None = None

    @contextlib.contextmanager
    def held(self, seconds: int) -> Iterator[None]:
        """Be the only one at work. Raises Failed where another one still is after `seconds`."""
        deadline = time.monotonic() + seconds
        while not self._take():
            if time.monotonic() >= deadline:
                raise Failed(f"Another run ({self._holder()}) is still at work after {seconds} s; run again later.")
            time.sleep(POLL)
        with self.file:
            self.hold(os.getpid())
            yield
            self.file.truncate(0)

    def _take(self) -> bool:
        """Whether it is ours now. The folder goes when a run is through, and the file that was opened with it."""
        private(self.path.parent)
        with contextlib.suppress(FileNotFoundError):
            self.file = self.path.open("a+")
            with contextlib.suppress(BlockingIOError, FileNotFoundError):
                fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(self.file.fileno()), self.path.stat()):
                    return True
            self.file.close()
        return False

    def _holder(self) -> str:
        with contextlib.suppress(OSError):
            return self.path.read_text().strip() or "unknown"
        return "unknown"

    def hold(self, pid: int) -> None:
        """Have the lock say who is at work; an installer goes on where the module was killed."""
        self.file.truncate(0)
        self.file.write(f"process {pid}, on {self.subject}\n")
        self.file.flush()
