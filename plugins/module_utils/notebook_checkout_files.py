# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""The files of a checkout while somebody works in it.

Nothing is written in place. A new file lies ready under .git and changes places with the one of the user, in one step;
then it is looked at what came out. Where that is not what was expected, because the user saved meanwhile, it goes
back. Jupyter saves in place: a file that is open for writing counts as one that is being saved.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
from pathlib import Path

from .notebook_checkout_atomic import exchanged, names, opened, renamed, unwritten
from .notebook_checkout_git import Entry, Failed

FILE, EXECUTABLE, LINK, FOLDER = "100644", "100755", "120000", "040000"
REGULAR = (FILE, EXECUTABLE)
BEGUN, OUT = "begun", "out"  # names of a file that is being made, and of one that was taken out to be removed
OTHER, BUSY = Entry("other", ""), Entry("busy", "")
QUIET = 2.0  # seconds to wait for a save to end
UNDO = 200  # times that a place is changed back while somebody saves all the time
CHUNK = 1 << 20


class Files:
    """The working tree at `top`; paths are relative to it. `algorithm` is the one of git's object ids.

    `stamp` is in the names to which files of the user's are moved; `moved` has those names, by the old ones.
    """

    def __init__(self, top: Path, algorithm: str, stamp: str) -> None:
        self.top, self.swap, self.algorithm = top, top / ".git" / "gluon" / "swap", algorithm
        self.stamp, self.moved = stamp, {}

    def read(self, path: str) -> Entry | None:
        return self.seen(self.top / path)

    def seen(self, file: Path) -> Entry | None:
        """What a file is; None where there is none."""
        try:
            mode = file.lstat().st_mode
            if stat.S_ISLNK(mode):
                # Path.readlink would make x of ./x.
                return Entry(LINK, self.oid(os.fsencode(os.readlink(file))))  # noqa: PTH115
            if not stat.S_ISREG(mode):
                return Entry(FOLDER, "") if stat.S_ISDIR(mode) else OTHER
            with opened(file) as descriptor:
                size = os.fstat(descriptor).st_size
                digest = self._digest(size)
                while chunk := os.read(descriptor, CHUNK):
                    digest.update(chunk)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise unusable(file, error) from error
        return Entry(EXECUTABLE if mode & 0o100 else FILE, digest.hexdigest())

    def content(self, path: str) -> bytes:
        """The content of a regular file."""
        with opened(self.top / path) as descriptor, os.fdopen(os.dup(descriptor), "rb") as file:
            return file.read()

    def oid(self, content: bytes) -> str:
        digest = self._digest(len(content))
        digest.update(content)
        return digest.hexdigest()

    def _digest(self, size: int):
        digest = hashlib.new(self.algorithm, usedforsecurity=False)
        digest.update(b"blob %d\0" % size)
        return digest

    def is_elsewhere(self, path: str) -> bool:
        """Whether a folder on the way is a link or another disk: what lies there is not the checkout's."""
        disk = self.top.stat().st_dev
        for folder in self._way(path):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                found = folder.lstat()
                if stat.S_ISLNK(found.st_mode):
                    return True
                if stat.S_ISDIR(found.st_mode) and found.st_dev != disk:
                    return True
        return False

    def obstacle(self, path: str) -> str:
        """The file that lies where a folder on the way should be; empty where there is none."""
        for folder in self._way(path):
            if os.path.lexists(folder) and not folder.is_dir():
                return str(folder.relative_to(self.top))
        return ""

    def _way(self, path: str) -> list[Path]:
        return [self.top / folder for folder in list(Path(path).parents)[-2::-1]]

    def ready(self, path: str, entry: Entry, content: bytes) -> Path:
        """A file with that content, to change places with the one at `path`. Its name is its content's id."""
        new = self.swap / path / entry.oid
        new.parent.mkdir(parents=True, exist_ok=True)
        begun = new.with_name(BEGUN)
        begun.unlink(missing_ok=True)
        if entry.mode == LINK:
            begun.symlink_to(os.fsdecode(content))
            return begun.replace(new)
        permissions = 0o644
        with contextlib.suppress(OSError):
            found = (self.top / path).lstat()
            permissions = stat.S_IMODE(found.st_mode) if stat.S_ISREG(found.st_mode) else permissions
        permissions = permissions & ~0o111 | (permissions >> 2 & 0o111 if entry.mode == EXECUTABLE else 0)
        with begun.open("xb") as file:
            file.write(content)
            os.fchmod(file.fileno(), permissions)
            file.flush()
            # After a power cut the file must not have its name and no content.
            os.fsync(file.fileno())
        return begun.replace(new)

    def place(self, new: Path, path: str) -> bool:
        """Put a file where there is none; False where there is one by now."""
        file = self.top / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if not renamed(new, file):
            return False
        self.tidy(new)
        return True

    def exchange(self, new: Path, path: str, expected: Entry) -> bool:
        """Put `new` in the place of what is expected there; False, and no change, where something else is there."""
        file, mine = self.top / path, self.seen(new)
        if not exchanged(new, file):
            # On such a file system a save in just this moment would be lost.
            if self.quiet(file) != expected:
                return False
            new.replace(file)
            self.tidy(new)
            return True
        out = self.quiet(new)
        if out == expected:
            self.discard(new)
            return True
        # Somebody saved meanwhile. What is newest goes back.
        for _ in range(UNDO):
            there, mine = mine, out
            exchanged(new, file)
            out = self.quiet(new)
            if out == there:
                # By its name it is known whether it is ours, or what the user saved in the very moment before.
                self.discard(new) if out.oid == new.name else self.aside(new, path)
                return False
        raise Failed(f"{file} was saved without a pause. What it was lies in {new}; run again to continue.")

    def take(self, path: str, expected: Entry) -> bool:
        """Remove what is expected there, and folders that are empty then; False where something else is there."""
        file, out = self.top / path, self.swap / path / OUT
        out.parent.mkdir(parents=True, exist_ok=True)
        file.rename(out)
        if self.quiet(out) != expected:
            if not self.place(out, path):
                self.aside(out, path)
            return False
        self.discard(out)
        for folder in reversed(self._way(path)):
            try:
                folder.rmdir()
            except OSError:
                break
        return True

    def quiet(self, file: Path) -> Entry | None:
        """What a file is once nobody has it open for writing; BUSY where somebody goes on having that."""
        deadline = time.monotonic() + QUIET
        try:
            if not stat.S_ISREG(file.lstat().st_mode):
                return self.seen(file)
            with opened(file) as descriptor:
                while not unwritten(descriptor):
                    if time.monotonic() > deadline:
                        return BUSY
                    time.sleep(0.01)
                # While the lease is held nobody can begin to write.
                return self.seen(file)
        except FileNotFoundError:
            return None

    def aside(self, file: Path, path: str) -> None:
        """Move what is the user's to a name of its own beside `path`."""
        for name in names(path, f"yours-{self.stamp}"):
            if renamed(file, self.top / name):
                if self.swap in file.parents:
                    self.tidy(file)
                self.moved[path] = name
                return

    def beside(self, path: str, label: str, entry: Entry, content: bytes) -> str:
        """Have a copy beside `path`; its name. One of other content stays: the user may have edited it."""
        for name in names(path, label):
            if self.read(name) is None and self.place(self.ready(name, entry, content), name):
                break
            if (there := self.read(name)) and there.oid == entry.oid:
                break
        return name

    def copy_name(self, path: str, label: str, entry: Entry) -> str:
        """The first name that is free or has that content."""
        seen = ((name, self.read(name)) for name in names(path, label))
        return next(name for name, there in seen if there is None or there.oid == entry.oid)

    def left(self) -> list[tuple[Path, str]]:
        """What an interrupted run left ready or had taken out: the file, and the path it was for."""
        found = (Path(folder, name) for folder, _, files in os.walk(self.swap) for name in files)
        links = (Path(folder, name) for folder, names, _ in os.walk(self.swap) for name in names)
        every = [*found, *(link for link in links if link.is_symlink())]
        return [(file, str(file.parent.relative_to(self.swap))) for file in every]

    def discard(self, file: Path) -> None:
        file.unlink()
        self.tidy(file)

    def tidy(self, file: Path) -> None:
        """Remove the empty folders in which a file lay ready."""
        for folder in file.parents:
            if folder == self.swap.parent:
                return
            try:
                folder.rmdir()
            except OSError:
                return


def unusable(file: Path, error: OSError) -> Failed:
    return Failed(f"{file} cannot be used: {error.strerror}. Give it back to its owner, and run again.")
