"""What follows from the signs, for timelines of any kind."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from gluon_idle import memory
from gluon_idle.decide import CALM, STAY, STOP, WARN, Decision, decide, take
from gluon_idle.machine import Moment
from gluon_idle.memory import Memory
from gluon_idle.settings import Settings
from gluon_idle.sign import BUSY, QUIET, UNKNOWN, Sign
from hypothesis import given
from hypothesis import strategies as some

MINUTE = 60.0
NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC).timestamp()
KEEP = Sign("keep", BUSY, "a keep file")
BUSY_SIGN = Sign("jupyter", BUSY, "busy")
QUIET_SIGN = Sign("jupyter", QUIET, "idle")


@dataclass
class Watched:
    """A machine that is looked at."""

    settings: Settings
    known: Memory
    up: float = 60.0
    wall: float = NOON
    boot: str = "one"

    def look(self, *signs: Sign, seconds: float = 0, step: float = 0, installing: bool = False) -> Decision:
        self.up += seconds
        self.wall += seconds + step
        now = Moment(self.boot, self.up, self.wall)
        self.known = memory.begin(self.known, now)
        take(self.known, signs, now)
        decision = decide(self.settings, self.known, now, list(signs), installing=installing)
        self.known.checked = now.up
        return decision

    def actions(self, minutes: int, *signs: Sign) -> list[str]:
        return [self.look(*signs, seconds=MINUTE).action for _ in range(minutes)]


def watched(**settings: object) -> Watched:
    made = Watched(Settings(**{"minutes": 30, "timezone": "UTC", **settings}), Memory())
    made.look()
    return made


EVENTS = some.tuples(
    some.sampled_from([BUSY, UNKNOWN, QUIET, "used"]),
    some.floats(1, 250),
    some.sampled_from([0.0, 0.0, 0.0, 86400.0, -86400.0, 30.0]),
)


@given(
    some.lists(EVENTS, min_size=1, max_size=80),
    some.integers(1, 12),
    some.integers(0, 11),
    some.floats(0, 1),
)
def test_it_never_stops_sooner_than_allowed_nor_unwarned(
    events: list[tuple[str, float, float]], minutes: int, warn: int, when: float
) -> None:
    """Whatever happens when, and whatever becomes of the clock."""
    warn = min(warn, minutes - 1)
    machine = watched(minutes=minutes, warn_minutes=warn)
    last_use, warned = machine.up, None
    for state, seconds, step in events:
        before = machine.up
        at = before + seconds * when if state == "used" else None
        sign = Sign("jupyter", QUIET if state == "used" else state, state, at)
        decision = machine.look(sign, seconds=seconds, step=step)
        if state != QUIET:
            last_use = machine.up if at is None else at
        if decision.action == WARN:
            warned = machine.up
        elif decision.action == CALM:
            warned = None
        if decision.action == STOP:
            assert machine.up - last_use >= minutes * MINUTE
            assert not warn or (warned is not None and machine.up - warned >= warn * MINUTE)


@given(
    some.lists(some.floats(5, 60), min_size=1, max_size=20),
    some.integers(1, 30),
    some.integers(0, 29),
    some.floats(-1e6, 1e6),
    some.integers(0, 40),
)
def test_with_nothing_going_on_it_stops_two_checks_later_at_most(
    pauses: list[float], minutes: int, warn: int, step: float, at: int
) -> None:
    machine = watched(minutes=minutes, warn_minutes=min(warn, minutes - 1))
    for number, seconds in zip(range(1500), itertools.cycle(pauses), strict=False):
        if machine.look(QUIET_SIGN, seconds=seconds, step=step if number == at else 0).action == STOP:
            assert machine.up - 60 <= minutes * MINUTE + 2 * 60
            return
    raise AssertionError("it never stopped")


def test_the_lifetime_ends_it_whatever_it_does() -> None:
    machine = watched(max_hours=2, warn_minutes=5)
    told = machine.actions(119, BUSY_SIGN, KEEP)
    assert (told.count(STOP), told.index(WARN), told[-1]) == (1, 113, STOP)
    # It started a minute before the first look.
    assert machine.up == 2 * 3600


def test_the_daily_hour_ends_it_though_it_is_used() -> None:
    machine = watched(daily_at="13:00", warn_minutes=5)
    told = machine.actions(60, BUSY_SIGN)
    assert (told.index(WARN), told.index(STOP)) == (54, 59)


def test_a_keep_file_defers_the_daily_hour_by_a_day() -> None:
    machine = watched(minutes=0, daily_at="13:00", warn_minutes=5)
    told = machine.actions(56, QUIET_SIGN) + machine.actions(10, KEEP)
    assert (told.count(WARN), told.count(CALM), told.count(STOP)) == (1, 1, 0)
    told = machine.actions(24 * 60 - 6, QUIET_SIGN)
    assert (told.count(WARN), told.index(STOP)) == (1, 24 * 60 - 6 - 1)


def test_a_daily_hour_that_a_step_of_the_clock_leaps_over_is_none() -> None:
    machine = watched(daily_at="13:00", warn_minutes=0)
    assert machine.look(BUSY_SIGN, seconds=MINUTE, step=2 * 3600).action == STAY
    assert STOP not in machine.actions(60, BUSY_SIGN)
    # By its clock it is 15:01 now.
    assert machine.actions(22 * 60 - 1, BUSY_SIGN).index(STOP) == 22 * 60 - 2


def test_one_that_is_started_just_before_the_daily_hour_is_warned_all_the_same() -> None:
    machine = watched(daily_at="12:02", warn_minutes=5)
    assert machine.known.warned == {"why": "daily", "at": 60.0}
    told = machine.actions(5, BUSY_SIGN)
    assert told == [STAY, STAY, STAY, STAY, STOP]


def test_one_that_was_started_after_the_daily_hour_runs_until_the_next() -> None:
    machine = watched(daily_at="11:59")
    assert STOP not in machine.actions(120, BUSY_SIGN)


@pytest.mark.parametrize(("zone", "hour"), [("Asia/Shanghai", 20), ("Europe/Berlin", 13), ("UTC", 12)])
def test_the_daily_hour_is_that_of_the_zone(zone: str, hour: int) -> None:
    machine = watched(daily_at=f"{hour}:30", timezone=zone, warn_minutes=0)
    assert machine.actions(31, BUSY_SIGN).index(STOP) == 29


def test_a_zone_that_nobody_knows_stops_nothing_and_says_so() -> None:
    machine = Watched(Settings(minutes=30, daily_at="12:00", timezone="Asia/Atlantis"), Memory())
    with pytest.raises(SystemExit, match="no time zone Asia/Atlantis"):
        machine.look()


def test_what_comes_first_is_warned_of_anew() -> None:
    """Warned of an idle stop, it still has the whole warning when its lifetime ends sooner."""
    machine = watched(minutes=30, max_hours=0.5, warn_minutes=10)
    machine.settings = replace(machine.settings, minutes=25)
    told = machine.actions(18, QUIET_SIGN)
    assert told.index(WARN) == 14
    machine.look(BUSY_SIGN, seconds=MINUTE)
    assert machine.known.warned["why"] == "lifetime"
    assert machine.actions(10, BUSY_SIGN).index(STOP) == 9


def test_nothing_is_asked_for_nothing_happens() -> None:
    machine = watched(minutes=0)
    assert set(machine.actions(300, QUIET_SIGN)) == {STAY}
