# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""What is to become of one file: from what the tutorial had, what the user has, and what the tutorial has now."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import NamedTuple

from .notebook_checkout_files import BUSY, REGULAR, Files
from .notebook_checkout_git import Entry, Git, Refused

LARGEST = 10 << 20  # bytes of a file that is merged
BINARY = 8000  # bytes in which git looks for a zero, too


class Step(NamedTuple):
    """What is done with a file.

    `action` is empty for nothing, or added, updated, restored, merged (`entry` and `content` take its place), removed,
    renamed (the user's to another name, and `entry` in its place), kept (the user's stays, and `entry`, where it is not
    None, goes beside). `was` is what the user had.
    """

    action: str
    was: Entry | None = None
    entry: Entry | None = None
    content: bytes = b""


NOTHING = Step("")


class Versions:
    """The contents of the tutorial's files as they stand in a working tree, line endings and filters applied."""

    def __init__(self, git: Git, files: Files) -> None:
        self.git, self.files = git, files
        self.contents: dict[tuple[str, str], bytes] = {}

    def content(self, path: str, entry: Entry) -> bytes:
        if entry.mode not in REGULAR:
            return self.git.run("cat-file", "blob", entry.oid)
        key = (path, entry.oid)
        if key not in self.contents:
            self.contents = {key: self.git.run("cat-file", "--filters", f"--path={path}", entry.oid)}
        return self.contents[key]

    def is_untouched(self, path: str, base: Entry, work: Entry) -> bool:
        """Whether the user left the content of a file alone, whatever its permissions are."""
        if base.mode not in REGULAR or work.mode not in REGULAR:
            return base == work
        return base.oid == work.oid or self.files.oid(self.content(path, base)) == work.oid

    def step(self, path: str, base: Entry | None, work: Entry | None, target: Entry | None) -> Step:
        """What becomes of `path`. `work` is BUSY where the user's stays whatever it is."""
        if work == target:
            return NOTHING
        if self.files.is_elsewhere(path):
            return Step("kept", work) if base != target else NOTHING
        if work is None:
            return self._take("restored" if base else "added", path, None, target) if target else NOTHING
        if base == target:
            return NOTHING
        if base is None:
            same = target.mode in REGULAR and work.mode in REGULAR and self.is_untouched(path, target, work)
            return NOTHING if same else self._take("renamed", path, work, target)
        if work != BUSY and self.is_untouched(path, base, work):
            if target is None:
                return Step("removed", work)
            return self._take("updated", path, work, target, work.mode if work.mode != base.mode else target.mode)
        if target is None:
            return Step("kept", work)
        return self._merge(path, base, work, target) or self._take("kept", path, work, target)

    def _take(self, action: str, path: str, work: Entry | None, target: Entry, mode: str = "") -> Step:
        content = self.content(path, target)
        return Step(action, work, Entry(mode or target.mode, self.files.oid(content)), content)

    def _merge(self, path: str, base: Entry, work: Entry, target: Entry) -> Step | None:
        """Both changes in one file; None where they are at the same lines, or not lines."""
        if not {base.mode, work.mode, target.mode} <= set(REGULAR):
            return None
        contents = [self.files.content(path), self.content(path, base), self.content(path, target)]
        work = Entry(work.mode, self.files.oid(contents[0]))
        merged = self._merged(path, *contents)
        if merged is None:
            return None
        mode = target.mode if work.mode == base.mode else work.mode
        entry = Entry(mode, self.files.oid(merged))
        return Step("merged", work, entry, merged) if entry != work else NOTHING

    def _merged(self, path: str, ours: bytes, base: bytes, theirs: bytes) -> bytes | None:
        contents = (ours, base, theirs)
        if any(len(content) > LARGEST or b"\0" in content[:BINARY] for content in contents):
            return None
        # Somebody's editor gave the file the line endings of Windows: it keeps them.
        is_windows = 0 < ours.count(b"\n") == ours.count(b"\r\n") and b"\r" not in base + theirs
        if is_windows:
            contents = (ours.replace(b"\r\n", b"\n"), base, theirs)
        with tempfile.TemporaryDirectory() as folder:
            names = [f"{folder}/{name}" for name in ("ours", "base", "theirs")]
            for name, content in enumerate(contents):
                Path(names[name]).write_bytes(content)
            try:
                merged = self.git.run("merge-file", "--stdout", "--quiet", *names)
            except Refused:
                return None
        if path.endswith(".ipynb") and all(map(is_json, contents)) and not is_json(merged):
            return None
        return merged.replace(b"\n", b"\r\n") if is_windows else merged


def is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True
