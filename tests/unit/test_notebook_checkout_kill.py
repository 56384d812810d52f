"""The notebook_checkout module killed at every step of an update and of a clone: the next run goes on."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from notebook_checkout_killer import killer
from notebook_checkout_place import BOOK, CHAPTER, IMAGE, Place, place, raw

__all__ = ["place"]

ROOT = Path(__file__).resolve().parents[2]
ARRAYS = "chapter_one/arrays.md"
PARTS = {f"part/{number}.md": f"{number}\n" for number in range(3)}
# What only the user has written.
WRITTEN = ("my arrays", "my readme", "my new", "my staged", "my committed", "my image", "my folder")


def edit(place: Place) -> None:
    """All cases at once: merged, kept, renamed, restored, committed, staged, locked, a folder that becomes a file."""
    place.publish(PARTS)
    place.good()
    place.write("old.md", "my committed\n")
    place.git("commit", "-q", "-a", "-m", "mine")
    place.write("new.md", "my new\n")
    place.write("README.md", "my staged\n")
    place.git("add", "README.md")
    place.write("README.md", "my readme\n")
    place.write(ARRAYS, CHAPTER.replace("# Arrays", "# my arrays"))
    place.write("img/a.png", IMAGE + b"my image")
    place.write("appendix/a.md", "my folder\n")
    (place.checkout / "part/1.md").unlink()
    (place.checkout / ".git/index.lock").touch()
    place.publish(
        {
            ARRAYS: CHAPTER.replace("`a.T`", "`b.T`"),
            **{"README.md": "theirs\n", "new.md": "theirs\n", "old.md": None, "img/a.png": IMAGE + b"theirs"},
            **{"appendix": "theirs\n", "part/0.md": None, "part/1.md": "new\n", "part/2.md": None, "more/b.md": "b\n"},
        }
    )


def told(answer: dict) -> dict:
    """An answer without times, and without what is told of the checkout's state before."""
    text = re.sub(r"20\d{6}-\d{6}(-\d)?", "TIME", json.dumps(answer, sort_keys=True))
    return json.loads(text)


def lost(place: Place) -> list[str]:
    held = [path.read_bytes() for path in (place.checkout / ".git/gluon").rglob("*") if path.is_file()]
    there = b"\n".join([place.everything(), *held])
    return [line for line in WRITTEN if line.encode() not in there]


def test_an_update_killed_at_any_step_is_finished_by_the_next(place: Place) -> None:
    edit(place)
    start = place.folder / "start"
    shutil.copytree(place.home, start, symlinks=True)
    with killer(0, place.home) as steps:
        straight = told(place.good())
    wanted, head = place.shape(), place.git("rev-parse", "HEAD")
    assert steps.count > 60 and lost(place) == []
    for at in range(1, steps.count + 1):
        shutil.rmtree(place.home)
        shutil.copytree(start, place.home, symlinks=True)
        with killer(at, place.home) as one:
            place()
        assert one.is_dead and lost(place) == [], f"step {at}"
        again = told(place.good())
        assert place.shape() == wanted and place.git("rev-parse", "HEAD") == head, f"step {at}"
        assert place.git("diff", "--cached") == "" and not (place.checkout / ".git/gluon").exists(), f"step {at}"
        assert lost(place) == [], f"step {at}"
        if again["changed"]:
            for key in ("merged", "kept", "renamed", "before", "commit"):
                assert again[key] == straight[key], f"step {at}"
        if at % 8 == 0:
            assert place.good()["changed"] is False and place.shape() == wanted, f"step {at}"
        assert len(place.git("branch", "--list", "backup/*").splitlines()) == 1, f"step {at}"


def test_an_interrupted_update_is_finished_before_a_newer_one(place: Place) -> None:
    edit(place)
    start = place.folder / "start"
    shutil.copytree(place.home, start, symlinks=True)
    old = place.head()
    with killer(0, place.home) as steps:
        place.good()
    newer = place.publish({ARRAYS: CHAPTER.replace("`a.T`", "`c.T`"), "part/1.md": "newer\n", "README.md": "newer\n"})
    place.good()
    wanted = {path: content for path, content in place.shape().items() if "upstream-" not in path}
    for at in range(steps.count // 2, steps.count, 5):
        shutil.rmtree(place.home)
        shutil.copytree(start, place.home, symlinks=True)
        with killer(at, place.home):
            place(old)
        told = place.good(check=True)
        assert told["changed"] and lost(place) == []
        answer = place.good()
        assert (answer["commit"], place.git("rev-parse", "HEAD")) == (newer, newer)
        assert {path: text for path, text in place.shape().items() if "upstream-" not in path} == wanted, f"step {at}"
        assert lost(place) == []


def test_a_clone_killed_at_any_step_is_finished_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path, monkeypatch)
    place.publish(BOOK)
    with killer(0, place.home) as steps:
        place.good()
    for at in range(1, steps.count + 1):
        shutil.rmtree(place.checkout)
        with killer(at, place.home) as one:
            place()
        assert one.is_dead and not place.checkout.exists()
        place.good()
        assert place.tree() == {path: raw(content) for path, content in BOOK.items()}, f"step {at}"
        assert sorted(path.name for path in place.home.iterdir()) == ["book"], f"step {at}"
        assert place.good()["changed"] is False


RUN = """
import json, sys
from plugins.module_utils import notebook_checkout
print(json.dumps(notebook_checkout.work(json.loads(sys.argv[1]), False, True)))
"""


def test_a_process_killed_at_a_random_moment(place: Place) -> None:
    edit(place)
    start = place.folder / "start"
    shutil.copytree(place.home, start, symlinks=True)
    begun = time.monotonic()
    place.good()
    seconds, wanted = time.monotonic() - begun, place.shape()
    chance = random.Random(1)
    for _ in range(12):
        shutil.rmtree(place.home)
        shutil.copytree(start, place.home, symlinks=True)
        places = {"repository": str(place.upstream), "directory": str(place.checkout), "version": place.head()}
        params = {**places, "user": "me", "update": True, "timeout": 60, "retries": 0}
        command = [sys.executable, "-c", RUN, json.dumps(params)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
            time.sleep(0.1 + chance.random() * seconds)
            process.send_signal(signal.SIGKILL)
        place.good()
        assert place.shape() == wanted and lost(place) == []
