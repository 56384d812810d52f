# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""A checkout brought from one commit of the tutorial to another, with what the user wrote in it.

Order is all: first a branch with what would be lost, then the plan on the disk, then the files one by one, then the
branch and the index, and last the note of what the checkout follows. A run that ends anywhere is continued by the next.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

from .notebook_checkout_backup import BRANCH, Backup
from .notebook_checkout_files import FOLDER, Files, names
from .notebook_checkout_git import NEXT, UPSTREAM, Entry, Failed, Git, Refused, entries
from .notebook_checkout_merge import Step, Versions
from .notebook_checkout_write import Writer

# What git leaves in its folder while a merge or the like waits for the user.
UNFINISHED = {
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
}
TRIES = 3  # times that an update is planned anew because somebody uses git meanwhile


class Moved(Exception):
    """Somebody used git in the checkout meanwhile."""


class Update:
    """One run in the checkout of `git`.

    Afterwards `done` has what became of each file (see Step), `copies` the names of the tutorial's copies and `renamed`
    those of the user's files, by the paths they are for; in check mode what would be.
    """

    def __init__(self, git: Git, check: bool) -> None:
        self.git, self.check, self.area = git, check, git.dir / "gluon"
        self.journal_file, self.index = self.area / "update.json", self.area / "index"
        self.journal: dict[str, Any] = {}
        with contextlib.suppress(FileNotFoundError, ValueError):
            self.journal = json.loads(self.journal_file.read_text())
        stamp = self.journal.get("stamp") or time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        self.files = Files(git.folder, "sha1" if len(git.commit("HEAD")) == 40 else "sha256", stamp)
        self.versions = Versions(git, self.files)
        self.done: dict[str, str] = {}
        self.copies: dict[str, str] = {}
        self.renamed: dict[str, str] = {}
        self.unlocked: list[str] = []
        self.backup = self.left_branch = ""
        self.has_moved = False

    def unlock(self) -> None:
        """Have no lock of an ended git in the way. Raises Failed where a git goes on working."""
        for lock in self.git.stale_locks():
            self.unlocked.append(str(lock.relative_to(self.git.folder)))
            if not self.check:
                lock.unlink(missing_ok=True)

    def bring(self, base: str, target: str) -> None:
        """Bring the checkout from `base` to `target`. A deleted file comes back where they are the same, too."""
        for _ in range(TRIES):
            with contextlib.suppress(Moved):
                return self._bring(base, target)
        raise Failed(f"Somebody works with git in {self.git.folder}. Run again when that is over.")

    def _bring(self, base: str, target: str) -> None:
        is_new = base != target or bool(self.journal)
        unfinished = next((what for name, what in UNFINISHED.items() if (self.git.dir / name).exists()), "")
        if unfinished and is_new:
            raise Failed(
                f"{self.git.folder} is in the middle of a {unfinished}, so nothing was touched: finish it or give it "
                f"up (git {unfinished} --abort), then run again."
            )
        if unfinished:
            return
        head, index = self._head(), self._index_now()
        writer = Writer(self.files, self.versions, f"upstream-{target[:7]}")
        if not self.check:
            writer.put_back(self.journal.get("files", {}))
        before = self.git.tree(base)
        after = self._prepared(target) if is_new else before
        steps = self._plan(before, after)
        self.done.update({path: line[0] for path, line in self.journal.get("files", {}).items()})
        for path, step in steps.items():
            self._note(path, step.action)
        self.has_moved = self.has_moved or is_new
        if is_new and head[0] not in ("", BRANCH):
            self.left_branch = head[0].replace("refs/heads/", "", 1)
        if is_new:
            lost = Backup(self.git, self.files, before, after, f"before the tutorial came to {target[:7]}")
            made = lost.name(steps, {base, target}) if self.check else lost.make(steps, {base, target})
            self.backup = made or self.backup or self.journal.get("backup", "")
        if is_new and not self.check:
            self._write_journal(base, target, steps)
        for path, step in steps.items():
            last = step if self.check else writer.settle(path, before.get(path), step, after.get(path))
            self._note(path, last.action)
            if last.action == "kept" and last.entry:
                self.copies[path] = writer.copies.get(path) or self.files.copy_name(path, writer.label, last.entry)
        planned = [path for path, action in self.done.items() if action == "renamed"]
        self.renamed = {path: next(names(path, f"yours-{self.files.stamp}")) for path in planned} | self.files.moved
        if is_new and not self.check:
            writer.put_back({})
            self._finish(target, head, index)
            self.journal = {}
        self.index.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.area.rmdir()

    def _note(self, path: str, action: str) -> None:
        """What became of a file, where an interrupted run may have done the first half of it."""
        if action and (self.done.get(path), action) != ("renamed", "added"):
            self.done[path] = action

    def _prepared(self, target: str) -> dict[str, Entry]:
        """The tutorial's files, in an index. git refuses a tree with a path that leads out of the checkout."""
        self.area.mkdir(exist_ok=True)
        # Of a git that was killed: no other run is at work here.
        for lock in self.area.glob("*.lock"):
            lock.unlink()
        self.git.run("read-tree", target, index=self.index)
        return entries(self.git.run("ls-files", "--stage", "-z", index=self.index))

    def _plan(self, before: dict[str, Entry], after: dict[str, Entry]) -> dict[str, Step]:
        """What is to be done, in the order in which it can be."""
        steps = {}
        for path in sorted({*before, *after}):
            old, new = before.get(path), after.get(path)
            if old == new and os.path.lexists(self.git.folder / path):
                continue
            work = self.files.read(path)
            if work and self._was_done(path, work):
                continue
            step = self.versions.step(path, old, work, new)
            if step.action:
                steps[path] = step
        for path, step in list(steps.items()):
            self._make_way(path, step, steps)
        order = {"removed": 0, "renamed": 1}
        return dict(sorted(steps.items(), key=lambda item: order.get(item[1].action, 2)))

    def _make_way(self, path: str, step: Step, steps: dict[str, Step]) -> None:
        """Where a folder becomes a file, or a file a folder, what is the user's gets another name."""
        other = self.files.obstacle(path) if step.entry and step.action != "kept" else ""
        if other and steps.get(other, step).action != "removed":
            steps[other] = Step("renamed", self.files.read(other))
        if step.action == "renamed" and step.was.mode == FOLDER:
            below = [name for name in steps if name.startswith(f"{path}/")]
            found = [Path(top, name) for top, _, names in os.walk(self.git.folder / path) for name in names]
            removed = {self.git.folder / name for name in below if steps[name].action == "removed"}
            if set(found) <= removed:
                steps[path] = step._replace(action="added", was=None)
            for name in below:
                if steps[name].action == "kept":
                    del steps[name]

    def _was_done(self, path: str, work: Entry) -> bool:
        """Whether this is what an interrupted run made of the file."""
        action, _, result = self.journal.get("files", {}).get(path, ("", "", ""))
        return action == "merged" and work.oid == result

    def _write_journal(self, base: str, target: str, steps: dict[str, Step]) -> None:
        lines = {
            path: (self.done[path], step.was.oid if step.was else "", step.entry.oid if step.entry else "")
            for path, step in steps.items()
        }
        files = {**self.journal.get("files", {}), **lines}
        told = {"before": base, "target": target, "backup": self.backup, "stamp": self.files.stamp}
        self.journal = {**told, "files": files}
        new = self.journal_file.with_suffix(".new")
        with new.open("w") as file:
            json.dump(self.journal, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.journal_file)

    def _head(self) -> tuple[str, str, str]:
        """The branch that is checked out, empty where none is; the commit of our own branch; and that of HEAD."""
        return self.git.perhaps("symbolic-ref", "--quiet", "HEAD"), self.git.commit(BRANCH), self.git.commit("HEAD")

    def _index_now(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            return hashlib.sha256((self.git.dir / "index").read_bytes()).hexdigest()
        return ""

    def _finish(self, target: str, head: tuple[str, str, str], index: str) -> None:
        """Let git know. Raises Moved where the user did something with git since it was looked."""
        with contextlib.suppress(Refused):  # It says so where files differ, too.
            self.git.run("update-index", "-q", "--refresh", index=self.index)
        lock = self.git.dir / "index.lock"
        try:
            with lock.open("xb") as file:
                file.write(self.index.read_bytes())
        except FileExistsError as error:
            raise Moved from error
        if (self._head(), self._index_now()) != (head, index):
            lock.unlink()
            raise Moved
        message = f"tutorial: moving to {target[:7]}"
        self.git.run("update-ref", "-m", message, BRANCH, target, head[1] or "0" * len(target))
        if head[0] != BRANCH:
            self.git.run("symbolic-ref", "-m", message, "HEAD", BRANCH)
        lock.replace(self.git.dir / "index")
        self.git.run("update-ref", UPSTREAM, target)
        self.journal_file.unlink()
        self.git.run("update-ref", "-d", NEXT)
        shutil.rmtree(self.area)
