"""Saves, and kills, in the very moment in which the notebook_checkout module changes a file."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from notebook_checkout_killer import killer
from notebook_checkout_place import ARRAYS, THEIRS, Place, place
from notebook_checkout_saves import SAVES, merged, mine

from plugins.module_utils import notebook_checkout_atomic as atomic
from plugins.module_utils import notebook_checkout_files

__all__ = ["place"]


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
