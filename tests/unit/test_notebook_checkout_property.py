"""Whatever a user does, whatever the tutorial becomes, wherever an update is killed: what the user wrote is there."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from notebook_checkout_killer import killer
from notebook_checkout_place import Place

# More of them, for a long search.
EXAMPLES = int(os.environ.get("NOTEBOOK_CHECKOUT_EXAMPLES", "25"))
PATHS = ["a.md", "b.md", "d/c.md", "d", "e/f.md", "章 节/g.md"]
LINES = st.lists(st.sampled_from(["one\n", "two\n", "three\n", "\n", "```\n"]), min_size=1, max_size=9)
TREES = st.dictionaries(st.sampled_from(PATHS), LINES, max_size=5)
# What becomes of each file upstream: lines cut from one position to another, and others put there. None: it goes.
CHANGES = st.dictionaries(
    st.sampled_from(PATHS),
    st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9), st.lists(st.sampled_from(["new\n", "\n"]), max_size=2)),
    max_size=5,
)
WRITING = st.tuples(st.sampled_from(["insert", "replace", "folder", "link"]), st.sampled_from(PATHS), st.integers(0, 9))
OTHER = st.tuples(st.sampled_from(["delete", "windows", "program"]), st.sampled_from(PATHS), st.just(0))
USING = st.tuples(st.sampled_from(["stage", "commit", "branch", "detach"]), st.just(""), st.just(0))
KILLS = st.integers(0, 50)


def valid(tree: dict[str, list[str]]) -> dict[str, str]:
    """Without a file where there is a folder."""
    folders = {str(parent) for path in tree for parent in Path(path).parents}
    return {path: "".join(lines) for path, lines in tree.items() if path not in folders}


def changed(tree: dict[str, list[str]], changes: dict) -> dict[str, list[str]]:
    after = {path: lines for path, lines in tree.items() if path not in changes}
    for path, change in changes.items():
        if change is not None:
            begin, end, new = change
            lines = tree.get(path, [])
            after[path] = [*lines[:begin], *new, *lines[max(begin, end) :]] or ["all of it\n"]
    return after


class User:
    """Somebody who writes lines that nobody else writes."""

    def __init__(self, place: Place) -> None:
        self.place, self.written = place, 0

    def do(self, deed: str, path: str, at: int) -> None:
        file = self.place.checkout / path
        if deed in ("insert", "replace", "folder", "link"):
            self.written += 1
            line = f"user-{self.written:03}"
            self._write(deed, file, line, at)
        elif deed == "stage":
            self.place.git("add", "--all")
        elif deed == "commit":
            self.place.git("commit", "-q", "-a", "--allow-empty", "-m", "mine")
        elif deed in ("branch", "detach"):
            self.place.git("checkout", "-q", *(["--detach"] if deed == "detach" else ["-B", "my-work"]))
        elif file.is_file() and not file.is_symlink():
            if deed == "delete":
                file.unlink()
            elif deed == "windows":
                file.write_bytes(file.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
            else:
                file.chmod(0o755)

    def _write(self, deed: str, file: Path, line: str, at: int) -> None:
        if any(parent.is_symlink() or parent.is_file() for parent in file.parents) or (
            file.is_dir() and deed != "link"
        ):
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        if deed in ("folder", "link") or file.is_symlink():
            if file.is_dir() and not file.is_symlink():
                return
            file.unlink(missing_ok=True)
        if deed == "folder":
            file.mkdir()
            (file / "mine.md").write_text(f"{line}\n")
        elif deed == "link":
            file.symlink_to(line)
        else:
            lines = file.read_bytes().splitlines(keepends=True) if file.exists() else []
            lines[at : at + (deed == "replace")] = [f"{line}\n".encode()]
            file.write_bytes(b"".join(lines))


def tokens(content: bytes) -> set[bytes]:
    return set(re.findall(rb"user-\d+", content))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(
    tree=TREES,
    changes=CHANGES,
    deeds=st.lists(WRITING | OTHER | USING, max_size=8),
    is_locked=st.booleans(),
    kill=KILLS,
    later=st.lists(WRITING.filter(lambda deed: deed[0] == "insert"), max_size=2),
)
def test_nothing_that_the_user_wrote_is_lost(
    tree: dict, changes: dict, deeds: list, is_locked: bool, kill: int, later: list
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        place = Place(Path(folder), patch)
        place.publish({"README.md": "The book\n", **valid(tree)})
        place.good()
        user = User(place)
        for deed in deeds:
            user.do(*deed)
        if is_locked:
            (place.checkout / ".git/index.lock").touch()
        old = {path: None for path in valid(tree)}
        place.publish({**old, **valid(changed(tree, changes))})
        written = tokens(place.everything())
        start = place.folder / "start"
        shutil.copytree(place.home, start, symlinks=True)
        with killer(kill, place.home) as run:
            place.good()
        if run.is_dead:
            for deed in later:
                user.do(*deed)
                written |= tokens(b"\n".join(place.tree().values()))
            place.good()
        there = tokens(place.everything())
        assert written <= there, f"lost {written - there}"
        wanted = place.shape()
        assert place.good()["changed"] is False and place.shape() == wanted
        if run.is_dead and not later:
            shutil.rmtree(place.home)
            start.rename(place.home)
            place.good()
            assert place.shape() == wanted
