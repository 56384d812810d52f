# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""A branch with what an update would otherwise take from the user: commits, staged content, files before a merge."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from .notebook_checkout_files import Files
from .notebook_checkout_git import UPSTREAM, Entry, Failed, Git, Refused
from .notebook_checkout_merge import Step

BRANCH = "refs/heads/notebooks"
# Not the stash, which its user drops.
HOLDERS = ("refs/heads", "refs/tags", "refs/remotes", UPSTREAM)
NEWEST = 20  # backup branches that are looked at for what is saved already
STAGED = re.compile(rb":[0-9]+ ([0-9]+) [0-9a-f]+ ([0-9a-f]+) ([A-Z])[0-9]*\0([^\0]+)\0")


class Loss(NamedTuple):
    """Entries that only the index has, files that will be merged, and commits that no branch will have."""

    staged: dict[str, Entry]
    touched: dict[str, Entry]
    commits: list[str]


class Backup:
    """What there is to lose in a checkout that is brought from one tree of the tutorial to another."""

    def __init__(self, git: Git, files: Files, before: dict[str, Entry], after: dict[str, Entry], reason: str) -> None:
        self.git, self.files, self.before, self.after, self.reason = git, files, before, after, reason
        self.place = "backups" if git.commit("refs/heads/backup") else "backup"
        self.head = git.commit("HEAD")

    def staged(self) -> dict[str, Entry]:
        """What is in the index alone. Raises Failed where a merge left the index without a decision."""
        listed = self.git.run("diff-index", "--cached", "--raw", "-z", "--no-renames", "--ignore-submodules", "HEAD")
        found = {}
        for mode, oid, status, name in STAGED.findall(listed):
            path, entry = os.fsdecode(name), Entry(mode.decode(), oid.decode())
            if status == b"U":
                raise Failed(
                    f"{self.git.folder} has a conflict in {path} that is not resolved, so nothing was touched: "
                    "resolve it with git add, or give the merge up, then run again."
                )
            known = [self.before.get(path), self.after.get(path), self.files.read(path)]
            is_known = entry.oid in [other.oid for other in known if other] or entry.oid == self.files.oid(b"")
            if status not in b"D" and not is_known:
                found[path] = entry
        return found

    def commits(self, upstream: set[str]) -> list[str]:
        """Commits of the user's that no branch will have."""
        found = {self.git.commit(BRANCH), self.head} - upstream - {""}
        return [commit for commit in sorted(found) if not self._is_held(commit)]

    def _is_held(self, commit: str) -> bool:
        names = self.git.text("for-each-ref", f"--contains={commit}", "--format=%(refname)", *HOLDERS).split()
        return bool(set(names) - {BRANCH})

    def find(self, steps: dict[str, Step], upstream: set[str]) -> Loss:
        """What no backup has yet; `upstream` are commits of the tutorial's."""
        staged = self.staged()
        touched = {path: step.was for path, step in steps.items() if step.action == "merged"}
        saved = self._saved() if staged or touched else set()
        unsaved = [
            {path: entry for path, entry in entries.items() if (path, entry.oid) not in saved}
            for entries in (staged, touched)
        ]
        return Loss(*unsaved, self.commits(upstream))

    def name(self, steps: dict[str, Step], upstream: set[str]) -> str:
        """The branch that `make` would make; empty where there is nothing to lose."""
        return f"{self.place}/{self.files.stamp}" if any(self.find(steps, upstream)) else ""

    def make(self, steps: dict[str, Step], upstream: set[str]) -> str:
        """Make the branch; its name, or nothing where there is nothing to lose."""
        staged, touched, commits = lost = self.find(steps, upstream)
        if not any(lost):
            return ""
        parents = commits or [self.head]
        if staged:
            parents = [self._commit(staged, parents, f"What was staged {self.reason}")]
        if touched or len(parents) > 1:
            blobs = {path: Entry(entry.mode, self._blob(path)) for path, entry in touched.items()}
            parents = [self._commit(blobs, parents, f"What the files were {self.reason}")]
        return self._branch(parents[0])

    def _saved(self) -> set[tuple[str, str]]:
        """(path, id) of all that the newest backups have."""
        newest = ("--sort=-creatordate", f"--count={NEWEST}", "--format=%(objectname)", f"refs/heads/{self.place}/")
        trees = [commit + end for commit in self.git.text("for-each-ref", *newest).split() for end in ("", "^")]
        found = [entry for tree in trees if self.git.commit(tree) for entry in self.git.tree(tree).items()]
        return {(path, entry.oid) for path, entry in found}

    def _blob(self, path: str) -> str:
        content = self.files.content(path)
        return self.git.text("hash-object", "-w", "--no-filters", "--stdin", data=content)

    def _commit(self, changed: dict[str, Entry], parents: list[str], message: str) -> str:
        """A commit of the first parent's tree with these entries."""
        index = self.git.dir / "gluon" / "backup-index"
        index.parent.mkdir(exist_ok=True)
        self.git.run("read-tree", parents[0], index=index)
        for path, entry in changed.items():
            self._put(index, path, entry)
        tree = self.git.text("write-tree", index=index)
        index.unlink()
        options = [option for parent in parents for option in ("-p", parent)]
        return self.git.text("commit-tree", tree, *options, "-m", message)

    def _put(self, index: Path, path: str, entry: Entry) -> None:
        line = f"{entry.mode} {entry.oid}\t".encode() + os.fsencode(path) + b"\0"
        # --replace: a file may stand where the first parent has a folder.
        self.git.run("update-index", "--add", "--replace", "-z", "--index-info", data=line, index=index)

    def _branch(self, tip: str) -> str:
        name = f"{self.place}/{self.files.stamp}"
        for number in range(1, 100):
            branch = name if number == 1 else f"{name}-{number}"
            try:
                self.git.run("update-ref", "-m", "backup", f"refs/heads/{branch}", tip, "0" * len(tip))
                return branch
            except Refused:
                if not self.git.commit(f"refs/heads/{branch}"):
                    raise
        raise Failed(f"{self.git.folder} has 100 backups of this second. Run again.")
