"""Files that tell of use: keep files, which somebody left on purpose, and notebooks that are being written."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from gluon_idle.sign import BUSY, QUIET, UNKNOWN, Look, Sign

THEIRS = Path(__file__).with_name("theirs.py")
ROOTS_KEEP = "/run/gluon-idle/keep"
NOTICE = "MACHINE-STOPS-SOON.txt"
KEEP, NOTEBOOKS = "keep", "files"
LONGEST_HOURS = 1000.0


def hours_in(text: str, default: float) -> float:
    """Hours that a keep file asks for; one that says nothing asks for the default."""
    try:
        hours = float(text.split()[0])
    except (ValueError, IndexError):
        return default
    return min(max(hours, 0.0), LONGEST_HOURS) if math.isfinite(hours) else default


def kept(look: Look, file: str, found: dict[str, Any] | None) -> Sign | None:
    """A keep file counts from when it was written. Once seen, its end does not move with the clock."""
    memory, now = look.memory, look.now
    if not found:
        memory.kept.pop(file, None)
        return None
    which = [found["written"], found["text"]]
    before = memory.kept.get(file)
    if not before or before["which"] != which:
        seconds = 3600 * hours_in(found["text"], look.settings.keep_hours)
        age = min(max(now.wall - found["written"], 0.0), seconds)
        before = memory.kept[file] = {"which": which, "until": now.up + seconds - age}
    left = before["until"] - now.up
    if left <= 0:
        return Sign(KEEP, QUIET, f"{file} has expired")
    return Sign(KEEP, BUSY, f"{file} keeps it up for another {left / 3600:.1f} hours")


def roots_keep(look: Look) -> dict[str, Any] | None:
    path = look.machine.path(ROOTS_KEEP)
    try:
        return {"written": path.stat().st_mtime, "text": path.read_text(errors="replace")[:100]}
    except FileNotFoundError:
        return None


def written(look: Look, stamp: float, name: str) -> Sign:
    """Whether a file was written since the last check. One that is gone leaves an older one, which is no news."""
    memory, before = look.memory, look.memory.seen.get(NOTEBOOKS, 0.0)
    at = memory.changed(NOTEBOOKS, stamp, look.now.wall - stamp, look.now) if stamp > before else None
    memory.seen[NOTEBOOKS] = stamp
    words = f"nothing new in {look.settings.folder}" if at is None else f"{name} was written"
    return Sign(NOTEBOOKS, QUIET, words, at)


def notice_of(folder: str) -> str:
    return f"{folder}/{NOTICE}" if folder else ""


def signs(look: Look) -> list[Sign]:
    settings = look.settings
    found = [kept(look, ROOTS_KEEP, roots_keep(look))]
    told = {"keep": None, "newest": [0.0, ""]}
    if settings.user:
        places = settings.keep_file, settings.folder, notice_of(settings.folder)
        status, text = look.machine.python(THEIRS, "look", *places, user=settings.user)
        if status:
            what = text.splitlines()[-1] if text else f"exit status {status}"
            return [Sign(KEEP, UNKNOWN, f"cannot tell whether {settings.keep_file} is there: {what}")]
        told = json.loads(text)
    found.append(kept(look, settings.keep_file, told["keep"]))
    return [sign for sign in found if sign] + ([written(look, *told["newest"])] if settings.folder else [])
