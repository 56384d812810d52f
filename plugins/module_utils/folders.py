# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""Folders that software is installed into: the room in them, and who may write to them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from .failed import Failed


class Need(NamedTuple):
    """MiB that have to be free in a folder; 0 where that is not known."""

    folder: Path
    mb: int


def absolute(name: str, value: str) -> Path:
    """A folder or file that an option names. Raises Failed."""
    if not value.startswith("/") or not value.isprintable() or ".." in value.split("/"):
        raise Failed(
            f"{name} is {value!r}: it has to be an absolute path without '..' or control characters.", options=[name]
        )
    return Path(value)


def ensure_space(needs: list[Need]) -> None:
    """Raises Failed where a file system has less than all that is needed on it."""
    by_disk: dict[int, list[Need]] = {}
    for need in (one for one in needs if one.mb):
        by_disk.setdefault(existing(need.folder).stat().st_dev, []).append(need)
    for there in by_disk.values():
        wanted, free = sum(need.mb for need in there), free_mb(there[0].folder)
        if free < wanted:
            folders = " and ".join(dict.fromkeys(str(need.folder) for need in there))
            raise Failed(
                f"There is too little space for {folders}: {wanted} MB are needed and {free} MB are free. "
                "Enlarge the disk, make room or name other folders, then run again."
            )


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above that exists."""
    return next(one for one in (folder, *folder.parents) if one.is_dir())


def free_mb(folder: Path) -> int:
    return shutil.disk_usage(existing(folder)).free >> 20


def is_noexec(folder: Path) -> bool:
    """Whether nothing that lies there could be executed."""
    return bool(os.statvfs(existing(folder)).f_flag & os.ST_NOEXEC)


def private(folder: Path) -> Path:
    """Have a folder that nobody else writes to, since what lies in it is executed. Raises Failed."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise Failed(f"Others than root can write to {folder}, and what lies there is executed: name another folder.")
    return folder


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, should it be there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def tighten(folder: Path, spared: Collection[Path] = ()) -> None:
    """Have root own all of a folder but what is spared, and nobody else write to it.

    Installers keep what their archives say.
    """
    owner = os.geteuid()
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if Path(where, name) not in spared]
        for path in (Path(where, name) for name in ("", *folders, *files)):
            status = path.lstat()
            if owner == 0 and (status.st_uid, status.st_gid) != (0, 0):
                os.lchown(path, 0, 0)
            if status.st_mode & 0o022 and not path.is_symlink():
                path.chmod(status.st_mode & 0o7755)
