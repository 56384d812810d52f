"""The ways in which programs save a notebook."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from notebook_checkout_place import CHAPTER


def mine(number: int) -> str:
    return CHAPTER.replace("# Arrays", f"# Arrays, saved {number} times")


def merged(number: int) -> str:
    return mine(number).replace("`a.T`", "`a.T` and of `a.T.T`")


def in_place(file: Path, content: str) -> None:
    """As Jupyter saves: a copy of the old file beside it, then over it."""
    copy = file.with_name(f".~{file.name}")
    if file.exists():
        shutil.copyfile(file, copy)
    with file.open("w") as opened:
        opened.write(content[: len(content) // 2])
        opened.flush()
        opened.write(content[len(content) // 2 :])
        opened.flush()
        os.fsync(opened.fileno())
    copy.unlink(missing_ok=True)


def by_another_file(file: Path, content: str) -> None:
    """As many editors save."""
    new = file.with_name(f".{file.name}.new")
    new.write_text(content)
    new.replace(file)


SAVES = pytest.mark.parametrize("save", [in_place, by_another_file])
