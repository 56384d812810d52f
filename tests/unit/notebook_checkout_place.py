"""A repository of notebooks and a checkout of it, in a folder; the module's work is done on them in this process."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils import notebook_checkout, notebook_checkout_git

# A chapter in the book's form: prose, and cells as fenced blocks.
CHAPTER = """# Arrays

An array holds numbers of one type.

```{.python .input  n=1}
from mxnet import nd
a = nd.ones((2, 3))
```

Its shape is a tuple.

```{.python .input  n=2}
a.shape
```

## Exercises

* What is the shape of `a.T`?
"""
ARRAYS = "chapter_one/arrays.md"
MINE = CHAPTER.replace("# Arrays", "# My arrays")
THEIRS = CHAPTER.replace("`a.T`", "`a.T` and of `a.T.T`")
BOTH = MINE.replace("`a.T`", "`a.T` and of `a.T.T`")
IMAGE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
BOOK = {"README.md": "The book\n", "chapter_one/arrays.md": CHAPTER, "img/a.png": IMAGE, "old.md": "To be dropped\n"}


def raw(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def git(folder: Path, *arguments: str, data: bytes = b"") -> str:
    """What git prints, as a user of the folder sees it."""
    name = {
        f"GIT_{role}_{what}": f"{role}@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    # It may have been given to another user.
    command = ["git", "-C", str(folder), "-c", "safe.directory=*", *arguments]
    done = subprocess.run(command, input=data, capture_output=True, env={**os.environ, **name}, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return os.fsdecode(done.stdout).rstrip("\n")


class Place:
    """`upstream` is a bare repository, `checkout`, in `home`, is where the notebooks are to be."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.upstream, self.checkout = folder, folder / "upstream.git", folder / "home/book"
        self.home, self.login = folder / "home", folder / "login"
        self.home.mkdir()
        self.login.mkdir()
        for name in list(os.environ):
            if name.startswith("GIT_") or name.lower().endswith("_proxy"):
                monkeypatch.delenv(name)
        monkeypatch.setenv("HOME", str(self.login))
        monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        monkeypatch.setattr(notebook_checkout_git, "WAITS", (0,))
        monkeypatch.setattr(notebook_checkout_git, "BUSY", 0.5)
        (self.login / ".gitconfig").write_text("[init]\ntemplateDir =\n")
        git(folder, "init", "-q", "--bare", "-b", "main", str(self.upstream))
        git(self.upstream, "config", "uploadpack.allowReachableSHA1InWant", "true")

    def publish(self, files: dict[str, str | bytes | None], branch: str = "main", parent: bool = True) -> str:
        """Commit changes of files; its id. None removes one. A path that ends in @ is a link, one in ! a program."""
        lines = [b"commit refs/heads/%s\ncommitter a <a@example.org> 1700000000 +0000\ndata 0\n" % branch.encode()]
        if not parent:
            lines.insert(0, b"reset refs/heads/%s\n\n" % branch.encode())
        elif head := self.head(branch):
            lines.append(b"from %s\n" % head.encode())
        for path, content in files.items():
            mode = {"@": b"120000", "!": b"100755"}.get(path[-1], b"100644")
            name = b'"%s"' % re.sub(rb'(["\\])', rb"\\\1", os.fsencode(path.rstrip("@!"))).replace(b"\n", b"\\n")
            if content is None:
                lines.append(b"D %s\n" % name)
            else:
                lines.append(b"M %s inline %s\ndata %d\n%s\n" % (mode, name, len(raw(content)), raw(content)))
        git(self.upstream, "fast-import", "--quiet", "--force", data=b"".join(lines))
        return self.head(branch)

    def head(self, branch: str = "main") -> str:
        return git(self.upstream, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")

    def __call__(self, version: str = "", check: bool = False, **given: Any) -> dict[str, Any]:
        """Do the module's work; its answer. It brings the checkout to the newest commit where nothing else is said."""
        params = {
            "repository": str(self.upstream),
            "version": version or self.head(),
            "directory": str(self.checkout),
            "user": "me",
            "update": True,
            "timeout": 60,
            "retries": 0,
            **given,
        }
        return notebook_checkout.work(params, check, True)

    def good(self, *arguments: Any, **given: Any) -> dict[str, Any]:
        answer = self(*arguments, **given)
        assert "msg" not in answer, answer["msg"]
        return answer

    def git(self, *arguments: str) -> str:
        return git(self.checkout, *arguments)

    def read(self, path: str) -> str:
        return (self.checkout / path).read_bytes().decode(errors="surrogateescape")

    def write(self, path: str, content: str | bytes) -> None:
        (self.checkout / path).parent.mkdir(parents=True, exist_ok=True)
        (self.checkout / path).write_bytes(raw(content))

    def tree(self) -> dict[str, bytes]:
        """Everything in the checkout but git's own folder; a link is what it names."""
        found = {}
        for folder, folders, names in os.walk(self.checkout):
            if ".git" in folders:
                folders.remove(".git")
            for name in [*names, *(name for name in folders if Path(folder, name).is_symlink())]:
                path = Path(folder, name)
                content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
                found[str(path.relative_to(self.checkout))] = content
        return found

    def everything(self) -> bytes:
        """All that is in the files, on the branches, or staged."""
        objects = self.git("rev-list", "--objects", "--branches", "--indexed-objects", "HEAD").splitlines()
        names = "\n".join(line.split()[0] for line in objects).encode()
        batch = ["git", "-C", str(self.checkout), "cat-file", "--batch"]
        inside = subprocess.run(batch, input=names, capture_output=True, check=True).stdout
        return b"\n".join([*self.tree().values(), inside])

    def shape(self) -> dict[str, bytes]:
        """The tree, without the times that are in names."""
        return {re.sub(r"20\d{6}-\d{6}", "TIME", path): content for path, content in self.tree().items()}


def saved(place: Place, branch: str, path: str) -> str:
    return place.git("show", f"{branch}:{path}")


def unchanged(place: Place) -> bool:
    """Whether one more run changes nothing, and leaves nothing of its own."""
    before = place.tree()
    answer = place.good()
    assert not (place.checkout / ".git/gluon").exists() and "gluon/next" not in place.git("for-each-ref")
    return answer["changed"] is False and place.tree() == before


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """With a book of four files, cloned."""
    place = Place(tmp_path, monkeypatch)
    place.publish(BOOK)
    place.good()
    return place


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A book that nobody has cloned."""
    place = Place(tmp_path, monkeypatch)
    place.publish({"README.md": "First edition\n"})
    place.publish(BOOK)
    return place
