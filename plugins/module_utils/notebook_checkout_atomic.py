# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""The single steps by which a file changes its name, its place, or is looked at, while others use it."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

NO_REPLACE, EXCHANGE = 1, 2  # flags of renameat2
CANNOT = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)
LONGEST = 255  # bytes in a name
LIBC = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def opened(file: Path) -> Iterator[int]:
    """A descriptor of a file; never of what a link names, and never waiting for a pipe's other end."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def unwritten(descriptor: int) -> bool:
    """Whether nobody has the file open for writing; with True a lease is held until the descriptor is closed."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        # Other errors: there are no leases on this file system, or none on a file of somebody else.
        return error.errno != errno.EAGAIN
    return True


def renameat2(source: Path, target: Path, flag: int) -> int:
    """0, or the error's number."""
    if not hasattr(LIBC, "renameat2"):
        return errno.ENOSYS
    here = -100  # AT_FDCWD
    if LIBC.renameat2(here, os.fsencode(source), here, os.fsencode(target), flag):
        return ctypes.get_errno()
    return 0


def exchanged(one: Path, other: Path) -> bool:
    """Let two files change their places; False where the file system cannot do that."""
    error = renameat2(one, other, EXCHANGE)
    if error and error not in CANNOT:
        raise OSError(error, os.strerror(error), str(other))
    return not error


def renamed(source: Path, target: Path) -> bool:
    """Rename to a name that nobody has; False where somebody has it."""
    error = renameat2(source, target, NO_REPLACE)
    if error in CANNOT:
        if os.path.lexists(target):
            return False
        source.rename(target)
        return True
    if error and error != errno.EEXIST:
        raise OSError(error, os.strerror(error), str(target))
    return not error


def names(path: str, label: str) -> Iterator[str]:
    """chapter/a.md becomes chapter/a.LABEL.md, chapter/a.LABEL-2.md and so on."""
    place = Path(path)
    stem, suffix = place.stem, place.suffix
    room = LONGEST - len(os.fsencode(f".{label}-999{suffix}"))
    stem = os.fsencode(stem)[:room].decode(errors="ignore") if len(os.fsencode(stem)) > room else stem
    for number in itertools.count(1):
        again = f"-{number}" if number > 1 else ""
        yield str(place.with_name(f"{stem}.{label}{again}{suffix}"))
