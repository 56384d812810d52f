# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""The steps of an update done, each on the file as it is in that moment, and undone where a run was interrupted."""

from __future__ import annotations

import contextlib
import time

from .notebook_checkout_files import BEGUN, BUSY, OUT, Files
from .notebook_checkout_git import Entry, Failed
from .notebook_checkout_merge import Step, Versions

PATIENCE = 10.0  # seconds that a file may be saved all the time before the user's is left as it is
ATTEMPTS = 100


class Writer:
    """Writes files of one commit; `label` is in the names of its copies. `copies` has those that were made."""

    def __init__(self, files: Files, versions: Versions, label: str) -> None:
        self.files, self.versions, self.label = files, versions, label
        self.copies: dict[str, str] = {}

    def settle(self, path: str, old: Entry | None, step: Step, new: Entry | None) -> Step:
        """Do a step. Where the user saves meanwhile, what is to be done is thought over; what was done in the end."""
        deadline, pause = time.monotonic() + PATIENCE, 0.02
        for _ in range(ATTEMPTS):
            with contextlib.suppress(FileNotFoundError):
                if not step.action or self._do(path, step):
                    return step
            time.sleep(pause)
            pause = min(2 * pause, 0.5)
            is_late = time.monotonic() > deadline and old is not None
            step = self.versions.step(path, old, BUSY if is_late else self.files.read(path), new)
        raise Failed(f"{self.files.top / path} changes all the time. Run again when that is over.")

    def _do(self, path: str, step: Step) -> bool:
        """Whether it could be done; where not, nothing has changed, or only what the user has saved now."""
        if step.action == "kept":
            if step.entry:
                self.copies[path] = self.files.beside(path, self.label, step.entry, step.content)
            return True
        if self.files.read(path) != step.was:
            return False
        if step.action == "removed":
            return self.files.take(path, step.was)
        if step.action == "renamed":
            self.files.aside(self.files.top / path, path)
            if step.entry is None:
                return True
        new = self.files.ready(path, step.entry, step.content)
        if step.action == "renamed" or step.was is None:
            return self.files.place(new, path)
        return self.files.exchange(new, path, step.was)

    def put_back(self, planned: dict[str, tuple[str, str, str]]) -> None:
        """Undo what an interrupted run was at: what it had taken out may be what the user saved in that moment."""
        for file, path in self.files.left():
            found, there = self.files.quiet(file), self.files.read(path)
            if file.name == OUT:
                is_back = there is None and self.files.place(file, path)
            elif file.name in (BEGUN, found and found.oid):
                self.files.discard(file)
                continue
            else:
                is_ours = there is not None and there.oid == file.name
                is_back = is_ours and self.files.exchange(file, path, there)
            if not is_back:
                _, was, _ = planned.get(path, ("", "", ""))
                if found and found.oid == was:
                    self.files.discard(file)
                else:
                    self.files.aside(file, path)
