# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""A vendor's installer, run unattended: with a lock, with an end, and with a reason where it fails."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

from .failed import Failed
from .lock import Lock

SECONDS = 3600  # minutes are usual; by then it waits for something that will not come
TELLING = r"\b(errors?|fail(ed|ure)?|can't|cannot|unable|no space|not enough|unknown option|denied)\b"
NO_SPACE = r"no space left|not enough (free )?(disk )?space|disk( is)? full"
TAIL = 1 << 16  # bytes of a log in which a reason is looked for


def run(command: list[str], output: Path, lock: Lock, folder: Path, environment: dict[str, str]) -> int:
    """The exit status; negative is a signal, and so is what a shell makes of one (128 and more). Raises Failed."""
    with output.open("wb") as out:
        child = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            # The installer holds the lock too, and goes on where this process is killed.
            pass_fds=[lock.file.fileno()],
            start_new_session=True,
        )
        lock.hold(child.pid)
        try:
            return child.wait(SECONDS)
        except subprocess.TimeoutExpired as error:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            raise Failed(
                f"{Path(command[1]).name} did not end within {SECONDS} s and was stopped. Its output is {output}.",
                log=str(output),
            ) from error
        finally:
            lock.hold(os.getpid())


def is_full(log: Path) -> bool:
    """Whether a log says that there was no space."""
    return bool(re.search(NO_SPACE, "\n".join(tail(log)), re.I))


def tail(log: Path) -> list[str]:
    """The last lines of a log that are not empty."""
    with log.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
        return [line for line in (line.strip() for line in file.read().decode(errors="replace").splitlines()) if line]


def telling(log: Path) -> str:
    """The last lines of a log that say what went wrong."""
    return "\n".join([line for line in tail(log) if re.search(TELLING, line, re.I)][-4:])


def ending(status: int) -> str:
    """How a process ended, for the user."""
    number = -status if status < 0 else status - 128
    name = signal.strsignal(number) if 0 < number < signal.NSIG else None
    return f"was killed by signal {number} ({name})" if name else f"ended with status {status}"
