"""What is done in the user's own folders, as the user: root following links there could be led anywhere.

theirs.py look KEEP_FILE FOLDER NOTICE: print as JSON the keep file and the time of the newest file.
theirs.py write FILE: what stands on standard input becomes the file. theirs.py remove FILE
"""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

# A folder may hold a data set. What lies nearest is looked at.
ENTRIES = 20000


def keep(path: str) -> dict[str, object] | None:
    """When a keep file was written, and what stands in it; None if there is none."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        about = os.fstat(file)
        text = os.read(file, 100).decode(errors="replace") if stat.S_ISREG(about.st_mode) else ""
        return {"written": about.st_mtime, "text": text}
    finally:
        os.close(file)


def newest(folder: str, notice: str) -> list:
    """Time of the file that was written last; hidden ones and the notice do not count."""
    best, left, folders = [0.0, ""], ENTRIES, [folder]
    for place in folders:
        try:
            entries = list(os.scandir(place))
        except OSError:
            continue
        for entry in entries:
            left -= 1
            if left < 0:
                return best
            if entry.name.startswith(".") or entry.path == notice:
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    best = max(best, [entry.stat(follow_symlinks=False).st_mtime, entry.name])
            except OSError:
                continue
    return best


def write(path: str) -> None:
    remove(path)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    with os.fdopen(file, "w") as text:
        text.write(sys.stdin.read())
        os.fchmod(file, 0o644)


def remove(path: str) -> None:
    Path(path).unlink(missing_ok=True)


def main(what: str, *places: str) -> None:
    if what == "look":
        kept, folder, notice = places
        found = {"keep": keep(kept) if kept else None, "newest": newest(folder, notice) if folder else [0.0, ""]}
        print(json.dumps(found))
    elif what == "write":
        write(*places)
    else:
        remove(*places)


if __name__ == "__main__":
    main(*sys.argv[1:])
