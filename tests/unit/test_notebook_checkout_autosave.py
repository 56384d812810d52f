"""A notebook that is saved while the notebook_checkout module updates it."""

from __future__ import annotations

import contextlib
import errno
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from notebook_checkout_place import ARRAYS, BOOK, CHAPTER, THEIRS, Place, place
from notebook_checkout_saves import SAVES, by_another_file, in_place, merged, mine

from plugins.module_utils import notebook_checkout_atomic as atomic
from plugins.module_utils import notebook_checkout_files, notebook_checkout_write

__all__ = ["place"]


@contextlib.contextmanager
def autosave(file: Path, save: Callable[[Path, str], None], pause: float) -> Iterator[list[int]]:
    """A thread that saves until the block ends; the numbers of its saves so far."""
    saves, is_over = [0], threading.Event()

    def run() -> None:
        while not is_over.wait(pause):
            save(file, mine(saves[-1] + 1))
            saves.append(saves[-1] + 1)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield saves
    finally:
        is_over.set()
        thread.join()


@contextlib.contextmanager
def reader(file: Path) -> Iterator[list[str]]:
    """A thread that reads all the time; what it saw that is no whole chapter."""
    broken, is_over = [], threading.Event()

    def run() -> None:
        while not is_over.is_set():
            try:
                content = file.read_text()
            except OSError as error:
                content = repr(error)
            if not (content.startswith("# Arrays") and content.endswith(CHAPTER[-4:])):
                broken.append(content)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield broken
    finally:
        is_over.set()
        thread.join()


@SAVES
@pytest.mark.parametrize("pause", [0.03, 0.2])
def test_a_notebook_that_is_saved_all_the_time(place: Place, save: Callable[[Path, str], None], pause: float) -> None:
    file = place.checkout / ARRAYS
    save(file, mine(0))
    place.publish({ARRAYS: THEIRS})
    with autosave(file, save, pause) as saves:
        while saves[-1] < 3:
            time.sleep(0.01)
        answer = place.good()
    assert place.read(ARRAYS) in (mine(saves[-1]), merged(saves[-1])), "the last save is not what is there"
    assert answer["merged"] == [ARRAYS] or answer["kept"][0]["path"] == ARRAYS
    assert place.good()["changed"] is False


def test_a_reader_never_sees_half_a_notebook_or_none(place: Place) -> None:
    file = place.checkout / ARRAYS
    by_another_file(file, mine(0))
    place.publish({ARRAYS: THEIRS})
    with reader(file) as broken, autosave(file, by_another_file, 0.05):
        place.good()
    assert broken == []


def test_a_notebook_that_is_saved_without_a_pause(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook_checkout_write, "PATIENCE", 0.5)
    file = place.checkout / ARRAYS
    place.publish({ARRAYS: CHAPTER.replace("# Arrays", "# Their arrays"), "README.md": "new\n"})
    begun = time.monotonic()
    with autosave(file, in_place, 0.0005) as saves:
        answer = place.good()
    assert time.monotonic() - begun < 30
    assert place.read(ARRAYS) == mine(saves[-1]) and answer["updated"] == ["README.md"]
    [kept] = answer["kept"]
    assert place.read(kept["upstream"]).startswith("# Their arrays")


def test_a_file_that_is_open_for_writing_is_kept(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook_checkout_files, "QUIET", 0.05)
    monkeypatch.setattr(notebook_checkout_write, "PATIENCE", 0.2)
    place.publish({ARRAYS: THEIRS, "old.md": None})
    with (place.checkout / ARRAYS).open("a") as one, (place.checkout / "old.md").open("a") as other:
        answer = place.good()
        one.write("written later\n")
        other.write("written later\n")
    assert [kept["path"] for kept in answer["kept"]] == [ARRAYS, "old.md"]
    assert place.read(ARRAYS) == CHAPTER + "written later\n"
    assert place.read("old.md") == BOOK["old.md"] + "written later\n"
    assert place.read(answer["kept"][0]["upstream"]) == THEIRS
    assert place.good()["changed"] is False


def test_a_file_that_goes_is_looked_at_once_more(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.publish({"old.md": None, "README.md": None})
    rename = Path.rename

    def late(self: Path, target: Path) -> Path:
        if self.name in ("old.md", "README.md") and self.read_text() == BOOK[self.name]:
            self.write_text("saved in the last moment\n")
            done = rename(self, target)
            if self.name == "README.md":
                self.write_text("and once more\n")
            return done
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", late)
    answer = place.good()
    assert place.read("old.md") == "saved in the last moment\n" and place.read("README.md") == "and once more\n"
    [renamed] = answer["renamed"]
    assert place.read(renamed["to"]) == "saved in the last moment\n"


def test_a_file_that_comes_takes_nobodys_name(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.publish({"new.md": "theirs\n"})
    renameat2, is_done = atomic.renameat2, []

    def late(source: Path, target: Path, flag: int) -> int:
        if target.name == "new.md" and not is_done:
            is_done.append(True)
            place.write("new.md", "mine\n")
        return renameat2(source, target, flag)

    monkeypatch.setattr(atomic, "renameat2", late)
    [renamed] = place.good()["renamed"]
    assert (place.read("new.md"), place.read(renamed["to"])) == ("theirs\n", "mine\n")


def test_a_file_system_that_cannot_exchange_files(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "renameat2", lambda source, target, flag: errno.EINVAL)
    place.write(ARRAYS, mine(1))
    place.write("new.md", "mine\n")
    place.publish({ARRAYS: THEIRS, "README.md": "new\n", "new.md": "theirs\n", "old.md": None})
    answer = place.good()
    assert (answer["merged"], answer["updated"], answer["removed"]) == ([ARRAYS], ["README.md"], ["old.md"])
    assert place.read(ARRAYS) == merged(1) and place.read(answer["renamed"][0]["to"]) == "mine\n"
    assert place.good()["changed"] is False
