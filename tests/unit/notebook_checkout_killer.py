"""A run that ends at a given step, as a process does that is killed: nothing of it is cleaned up or undone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils import notebook_checkout_atomic, notebook_checkout_git

QUESTIONS = {
    *("rev-parse", "rev-list", "merge-base", "for-each-ref", "ls-tree", "ls-files", "cat-file", "diff-index"),
    *("merge-file", ("symbolic-ref", "--quiet"), ("config", "--null")),
}
STEPS = ("rename", "replace", "unlink", "symlink", "fsync")
# Empty folders and permissions of a file that is not in its place yet make no difference to the next run.
TRIFLES = ("mkdir", "rmdir", "fchmod")


class Killed(BaseException):
    """Nothing catches it, and whatever is still done after it raises it again."""


class Killer:
    """Ends the run before step `at`, counted from 1, or lets it come to its end. A git that was started ends first.

    Steps are what changes something below `folder`: between two of them one moment is like the other.
    """

    def __init__(self, at: int, folder: Path) -> None:
        self.at, self.folder, self.count, self.is_dead = at, folder, 0, False

    def step(self, is_change: bool) -> None:
        self.count += is_change
        if self.is_dead or (is_change and self.count == self.at):
            self.die()

    def die(self) -> None:
        self.is_dead = True
        raise Killed

    def wrapped(self, function: Callable[..., Any], is_trifle: bool = False) -> Callable[..., Any]:
        """A function of files, the first argument a path or a descriptor."""

        def counted(*arguments: Any, **given: Any) -> Any:
            place = arguments[0]
            self.step(not is_trifle and (isinstance(place, int) or str(place).startswith(str(self.folder))))
            return function(*arguments, **given)

        return counted

    def git(self, run: Callable[..., bytes]) -> Callable[..., bytes]:
        def counted(git: notebook_checkout_git.Git, *arguments: str, **given: Any) -> bytes:
            is_question = arguments[:2] in QUESTIONS or arguments[0] in QUESTIONS
            self.step(not is_question)
            return run(git, *arguments, **given)

        return counted


@contextlib.contextmanager
def killer(at: int, folder: Path) -> Iterator[Killer]:
    """What is done in the block ends at a step."""
    one = Killer(at, folder)
    with pytest.MonkeyPatch.context() as patch:
        for name in (*STEPS, *TRIFLES):
            patch.setattr(os, name, one.wrapped(getattr(os, name), name in TRIFLES))
        patch.setattr(notebook_checkout_atomic, "renameat2", one.wrapped(notebook_checkout_atomic.renameat2))
        git = notebook_checkout_git.Git
        patch.setattr(git, "run", one.git(git.run))
        with contextlib.suppress(Killed):
            yield one
