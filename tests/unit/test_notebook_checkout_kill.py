"""The notebook_checkout module killed at every step of an update and of a clone: the next run goes on."""

from __future__ import annotations

import fcntl
import json
import os
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
from notebook_checkout_place import ARRAYS, BOOK, CHAPTER, Place, place, raw

from plugins.module_utils import notebook_checkout_git

__all__ = ["place"]

ROOT = Path(__file__).resolve().parents[2]
PARTS = {f"part/{number}.md": f"{number}\n" for number in range(2)}
# To put these together once more, after they were, would be a conflict.
CLOSE, MY_CLOSE, THEIR_CLOSE = "\nb\n\n", "\nmy close\nb\n\n", "\nb\nb\n"
# What only the user has written.
WRITTEN = ("my arrays", "my readme", "my new", "my staged", "my committed", "my folder", "my close")


def edit(place: Place) -> None:
    """All cases at once: merged, kept, renamed, restored, committed, staged, locked, a folder that becomes a file."""
    place.publish({**PARTS, "close.md": CLOSE})
    place.good()
    place.write("close.md", MY_CLOSE)
    place.write("old.md", "my committed\n")
    place.git("commit", "-q", "-a", "-m", "mine")
    place.write("new.md", "my new\n")
    place.write("README.md", "my staged\n")
    place.git("add", "README.md")
    place.write("README.md", "my readme\n")
    place.write(ARRAYS, CHAPTER.replace("# Arrays", "# my arrays"))
    place.write("appendix/a.md", "my folder\n")
    (place.checkout / "part/1.md").unlink()
    (place.checkout / ".git/index.lock").touch()
    place.publish(
        {
            **{ARRAYS: CHAPTER.replace("`a.T`", "`b.T`"), "close.md": THEIR_CLOSE},
            **{"README.md": "theirs\n", "new.md": "theirs\n", "old.md": None},
            **{"appendix": "theirs\n", "part/0.md": None, "part/1.md": "new\n", "more/b.md": "b\n"},
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


def state(place: Place) -> tuple[object, ...]:
    """All that is to be the same after a run that was killed and the next one."""
    status = re.sub(r"20\d{6}-\d{6}", "TIME", place.git("status", "--porcelain", "--branch"))
    backups = len(list((place.checkout / ".git/refs/heads/backup").iterdir()))
    return place.git("rev-parse", "HEAD"), status, backups, (place.checkout / ".git/gluon").exists(), place.shape()


def test_an_update_killed_at_any_step_is_finished_by_the_next(place: Place) -> None:
    edit(place)
    copy = place.folder / "copy"
    shutil.copytree(place.home, copy, symlinks=True)
    with killer(0, place.home) as steps:
        straight = told(place.good())
    wanted = state(place)
    assert steps.count > 40 and lost(place) == []
    for at in range(1, steps.count + 1):
        shutil.rmtree(place.home)
        shutil.copytree(copy, place.home, symlinks=True)
        with killer(at, place.home) as one:
            place()
        assert one.is_dead and lost(place) == [], f"step {at}"
        again = told(place.good())
        assert state(place) == wanted and lost(place) == [], f"step {at}"
        if again["changed"]:
            for key in ("merged", "kept", "renamed", "before", "commit"):
                assert again[key] == straight[key], f"step {at}"
        if at % 8 == 0:
            assert place.good()["changed"] is False and state(place) == wanted, f"step {at}"


def test_an_interrupted_update_is_finished_before_a_newer_one(place: Place) -> None:
    edit(place)
    copy = place.folder / "copy"
    shutil.copytree(place.home, copy, symlinks=True)
    old = place.head()
    with killer(0, place.home) as steps:
        place.good()
    newer = place.publish({ARRAYS: CHAPTER.replace("`a.T`", "`c.T`"), "part/1.md": "newer\n", "README.md": "newer\n"})
    place.good()
    wanted = {path: content for path, content in place.shape().items() if "upstream-" not in path}
    for at in range(steps.count // 2, steps.count, 3):
        shutil.rmtree(place.home)
        shutil.copytree(copy, place.home, symlinks=True)
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


def start(place: Place) -> subprocess.Popen[str]:
    """The work as a process of its own."""
    places = {"repository": str(place.upstream), "directory": str(place.checkout), "version": place.head()}
    params = {**places, "user": "me", "update": True, "timeout": 60, "retries": 0}
    return subprocess.Popen(
        [sys.executable, "-c", RUN, json.dumps(params)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def test_a_process_killed_at_a_random_moment(place: Place) -> None:
    edit(place)
    copy = place.folder / "copy"
    shutil.copytree(place.home, copy, symlinks=True)
    begun = time.monotonic()
    with start(place) as process:
        process.communicate()
    seconds, wanted = time.monotonic() - begun, place.shape()
    chance = random.Random(1)
    for _ in range(12):
        shutil.rmtree(place.home)
        shutil.copytree(copy, place.home, symlinks=True)
        with start(place) as process:
            time.sleep(chance.random() * seconds)
            process.send_signal(signal.SIGKILL)
        place.good()
        assert place.shape() == wanted and lost(place) == []


@pytest.mark.parametrize("is_there", [False, True])
def test_of_two_runs_at_once_one_does_it(place: Place, is_there: bool) -> None:
    if is_there:
        place.publish({"README.md": "new\n"})
    else:
        shutil.rmtree(place.checkout)
    runs = [start(place) for _ in range(2)]
    answers = [json.loads(run.communicate(timeout=60)[0]) for run in runs]
    assert sorted(answer["changed"] for answer in answers) == [False, True], answers


@pytest.mark.parametrize("is_there", [False, True])
def test_another_run_is_waited_for_and_told(place: Place, monkeypatch: pytest.MonkeyPatch, is_there: bool) -> None:
    monkeypatch.setattr(notebook_checkout_git, "OTHER_RUN", 0.3)
    held = place.checkout / ".git"
    if not is_there:
        shutil.rmtree(place.checkout)
        held = place.home / ".book.part"
        held.mkdir()
    descriptor = os.open(held, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        assert "Another run is at work on" in place()["msg"]
    finally:
        os.close(descriptor)
    assert "msg" not in place()
