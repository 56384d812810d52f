# MIT licence
"""Take in the files that a student's machine sends, and trust it in nothing.

A stream is lines of JSON, `{"path": ..., "size": n}` with n bytes behind it, `{"skipped": ..., "why": ...}`, and at
the end `{"end": true}`. Whoever sends it may have written the program that does. So a path is made one that leads
nowhere but into the folder, can be typed and is no setting of git's; a file is made only where none is; and all of it
has bounds.
"""

from __future__ import annotations

import json
import os
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

LINE = 1 << 16
DEPTH, COMPONENT = 40, 200
# With these a folder is a repository of git's, whose settings name programs to run.
NOT_TAKEN = (".git", "git~1")
# What Windows and shells give a meaning of its own.
ODD = set('<>:"|?*\\/%')


class Broken(Exception):
    """The stream is not what was asked for. The message is for users."""


@dataclass
class Bounds:
    """What is taken at the most."""

    file_bytes: int
    bytes: int
    files: int


@dataclass
class Taken:
    """What came: files and bytes in all, and what did not, with the reason of each."""

    files: int = 0
    bytes: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)


def plain(text: str) -> str:
    """A name that can be shown and typed: what cannot stands there as %XX, as in an address."""
    out = []
    for place, char in enumerate(text):
        odd = char in ODD or unicodedata.category(char)[0] == "C" or (char == "-" and place == 0)
        odd |= char in " ." and place == len(text) - 1
        out.append("".join(f"%{byte:02X}" for byte in bytes_of(char)) if odd else char)
    name = "".join(out)
    # Beside a config and objects, git would take the folder for a repository.
    return "%48EAD" if name.upper() == "HEAD" else name


def bytes_of(char: str) -> bytes:
    """What a character is on a disk; half a one of JSON's, too."""
    return char.encode("utf-8", "surrogateescape" if "\udc80" <= char <= "\udcff" else "surrogatepass")


def plain_path(text: str) -> str:
    return "/".join(plain(part) for part in text.split("/"))


def sentence(text: str) -> str:
    """What somebody else wrote, on one line."""
    return "".join(char if char.isprintable() else " " for char in text).strip()


def components(path: object) -> list[str]:
    """The names that a path consists of, each safe. Raises Broken."""
    if not isinstance(path, str) or not path or path.startswith("/") or "\0" in path:
        raise Broken("its name is no relative path")
    parts = path.split("/")
    if len(parts) > DEPTH or any(part in ("", ".", "..") or part.lower() in NOT_TAKEN for part in parts):
        raise Broken("its name would lead elsewhere, or be git's own")
    names = [plain(part) for part in parts]
    if any(len(name.encode()) > COMPONENT for name in names):
        raise Broken("its name is too long")
    return names


def take(stream: BinaryIO, folder: Path | None, bounds: Bounds) -> Taken:
    """Write the files of a stream into a folder, which is there and empty; None writes nothing. Raises Broken."""
    taken = Taken()
    while True:
        raw = stream.readline(LINE)
        try:
            line = json.loads(raw)
        except ValueError:
            raise Broken("it broke off" if not raw or len(raw) < LINE else "it sends lines without end") from None
        if not isinstance(line, dict):
            raise Broken("it sends something else than files")
        if line.get("end") is True:
            return taken
        if "skipped" in line:
            skip(taken, plain_path(str(line["skipped"])), sentence(str(line.get("why", ""))), bounds)
            continue
        size = line.get("size")
        if type(size) is not int or not 0 <= size <= min(bounds.file_bytes, bounds.bytes - taken.bytes):
            raise Broken("it sends more bytes than were asked for")
        if taken.files >= bounds.files:
            raise Broken("it sends more files than were asked for")
        content = stream.read(size)
        if len(content) < size:
            raise Broken("it broke off")
        try:
            names = components(line.get("path"))
            if folder:
                write(folder.joinpath(*names), content)
        except (Broken, OSError) as error:
            why = str(error) if isinstance(error, Broken) else error.strerror or "it cannot be written"
            skip(taken, plain_path(str(line.get("path"))), why, bounds)
            continue
        taken.files, taken.bytes = taken.files + 1, taken.bytes + size


def skip(taken: Taken, name: str, why: str, bounds: Bounds) -> None:
    if len(taken.skipped) >= bounds.files:
        raise Broken("it names more files than were asked for")
    taken.skipped.append((name[:COMPONENT], why[:COMPONENT]))


def write(path: Path, content: bytes) -> None:
    """A new file. Nothing that is there is replaced: two names may be one to this computer's disk."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)
