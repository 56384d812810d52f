"""A notebook that is saved while the notebook_checkout module updates it."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from notebook_checkout_killer import killer
from notebook_checkout_place import BOOK, CHAPTER, Place, place

from plugins.module_utils import notebook_checkout_atomic as atomic
from plugins.module_utils import notebook_checkout_files, notebook_checkout_write

__all__ = ["place"]

ARRAYS = "chapter_one/arrays.md"
THEIRS = CHAPTER.replace("`a.T`", "`b.T`")


def mine(number: int) -> str:
    return CHAPTER.replace("# Arrays", f"# Arrays, saved {number} times")


def merged(number: int) -> str:
    return mine(number).replace("`a.T`", "`b.T`")


def in_place(file: Path, content: str) -> None:
    """As Jupyter saves: a copy of the old file beside it, then over it."""
    copy = file.with_name(f".~{file.name}")
    if file.exists():
        shutil.copyfile(file, copy)
    with file.open("w") as opened:
        opened.write(content[: len(content) // 2])
        opened.flush()
        opened.write(content[len(content) // 2 :])
        opened.flush()
        os.fsync(opened.fileno())
    copy.unlink(missing_ok=True)


def by_another_file(file: Path, content: str) -> None:
    """As many editors save."""
    new = file.with_name(f".{file.name}.new")
    new.write_text(content)
    new.replace(file)


SAVES = pytest.mark.parametrize("save", [in_place, by_another_file])


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


class Moment:
    """Calls what is to happen just before and just after the first time that files change their places."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None
        self.count, exchanged = 0, atomic.exchanged

        def timed(one: Path, other: Path) -> bool:
            self.count += 1
            if self.count == 1:
                self.before()
            done = exchanged(one, other)
            if self.count == 1:
                self.after()
            return done

        monkeypatch.setattr(notebook_checkout_files, "exchanged", timed)


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> Moment:
    return Moment(monkeypatch)


@SAVES
def test_a_save_just_before_is_merged_again(place: Place, moment: Moment, save: Callable[[Path, str], None]) -> None:
    file = place.checkout / ARRAYS
    save(file, mine(1))
    place.publish({ARRAYS: THEIRS})
    moment.before = lambda: save(file, mine(2))
    assert place.good()["merged"] == [ARRAYS] and place.read(ARRAYS) == merged(2)


@SAVES
def test_a_first_save_just_before(place: Place, moment: Moment, save: Callable[[Path, str], None]) -> None:
    place.publish({ARRAYS: THEIRS})
    moment.before = lambda: save(place.checkout / ARRAYS, mine(1))
    answer = place.good()
    assert (answer["updated"], answer["merged"]) == ([], [ARRAYS]) and place.read(ARRAYS) == merged(1)


@SAVES
def test_a_save_just_after_stays(place: Place, moment: Moment, save: Callable[[Path, str], None]) -> None:
    place.publish({ARRAYS: THEIRS})
    moment.after = lambda: save(place.checkout / ARRAYS, mine(1))
    assert place.good()["updated"] == [ARRAYS] and place.read(ARRAYS) == mine(1)


@SAVES
def test_saves_before_and_after_leave_the_newest_and_lose_none(
    place: Place, moment: Moment, save: Callable[[Path, str], None]
) -> None:
    file = place.checkout / ARRAYS
    place.publish({ARRAYS: THEIRS})
    moment.before, moment.after = lambda: save(file, mine(1)), lambda: save(file, mine(2))
    answer = place.good()
    assert answer["merged"] == [ARRAYS] and place.read(ARRAYS) == merged(2)
    [renamed] = answer["renamed"]
    assert place.read(renamed["to"]) == mine(1)
    assert any("What was saved in" in sentence and renamed["to"] in sentence for sentence in answer["sentences"])


def test_a_deletion_just_before_comes_back(place: Place, moment: Moment) -> None:
    place.publish({ARRAYS: THEIRS})
    moment.before = (place.checkout / ARRAYS).unlink
    assert place.good()["restored"] == [ARRAYS] and place.read(ARRAYS) == THEIRS


def test_a_save_that_is_under_way_is_waited_for(place: Place, moment: Moment) -> None:
    file = place.checkout / ARRAYS
    place.publish({ARRAYS: THEIRS})
    opened = []

    def begin() -> None:
        opened.append(file.open("w"))
        opened[0].write(mine(1)[:20])
        opened[0].flush()
        threading.Timer(0.3, end).start()

    def end() -> None:
        opened[0].write(mine(1)[20:])
        opened[0].close()

    moment.before = begin
    assert place.good()["merged"] == [ARRAYS] and place.read(ARRAYS) == merged(1)


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


@SAVES
@pytest.mark.parametrize("is_saved_again", [False, True])
def test_a_save_and_a_kill_in_one_moment(
    place: Place, moment: Moment, save: Callable[[Path, str], None], is_saved_again: bool
) -> None:
    file = place.checkout / ARRAYS
    save(file, mine(1))
    place.publish({ARRAYS: THEIRS})
    with killer(0, place.home) as run:
        moment.before, moment.after = lambda: save(file, mine(2)), run.die
        place()
    assert run.is_dead and place.read(ARRAYS) == merged(1)
    if is_saved_again:
        save(file, mine(3))
    answer = place.good()
    assert place.read(ARRAYS) == merged(3 if is_saved_again else 2)
    assert [place.read(one["to"]) for one in answer["renamed"]] == ([mine(2)] if is_saved_again else [])
    assert place.good()["changed"] is False


@pytest.mark.parametrize("is_saved_again", [False, True])
def test_a_save_and_a_kill_while_a_file_goes(
    place: Place, monkeypatch: pytest.MonkeyPatch, is_saved_again: bool
) -> None:
    place.publish({"old.md": None})
    rename = Path.rename
    with killer(0, place.home) as run, monkeypatch.context() as patch:

        def late(self: Path, target: Path) -> Path:
            if self.name == "old.md":
                self.write_text("saved in the last moment\n")
                rename(self, target)
                run.die()
            return rename(self, target)

        patch.setattr(Path, "rename", late)
        place()
    assert run.is_dead and not (place.checkout / "old.md").exists()
    if is_saved_again:
        place.write("old.md", "and once more\n")
    answer = place.good()
    assert place.read("old.md") == ("and once more\n" if is_saved_again else "saved in the last moment\n")
    rescued = [place.read(one["to"]) for one in answer["renamed"]]
    assert rescued == (["saved in the last moment\n"] if is_saved_again else [])
    assert place.good()["changed"] is False


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
