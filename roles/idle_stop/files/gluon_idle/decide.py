"""What follows from the signs: stay, warn, take the warning back, or stop. Nothing is read or done here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from gluon_idle.machine import Moment
from gluon_idle.memory import Memory
from gluon_idle.settings import Settings
from gluon_idle.sign import BUSY, QUIET, Sign

STAY, WARN, CALM, STOP = "stay", "warn", "calm", "stop"
IDLE, LIFETIME, DAILY = "idle", "lifetime", "daily"
# An installation may hold up a stop for so long; one that waits for an answer would for ever.
HOLD_SECONDS = 1800


@dataclass(frozen=True)
class Decision:
    """why and due: of the stop that comes first, and when, in seconds since the start; None: there will be none."""

    action: str
    why: str = ""
    due: float | None = None
    held: str = ""


def take(memory: Memory, signs: Iterable[Sign], now: Moment) -> None:
    """Remember the last sign of use. Who cannot tell counts as in use."""
    for sign in signs:
        if sign.state != QUIET:
            memory.since(now.up, sign.words)
        elif sign.at is not None:
            memory.since(sign.at, sign.words)


def zone_of(settings: Settings) -> ZoneInfo | None:
    """None is the machine's own. Raises SystemExit for a name that the machine does not know."""
    try:
        return ZoneInfo(settings.timezone) if settings.timezone else None
    except (OSError, ValueError, KeyError):
        raise SystemExit(f"This machine knows no time zone {settings.timezone}: nothing is stopped.") from None


def next_daily(settings: Settings, after: float) -> float:
    """Unix time of the first daily hour after a moment."""
    hour, minute = map(int, settings.daily_at.split(":"))
    zone = zone_of(settings)
    moment = datetime.fromtimestamp(after).astimezone() if zone is None else datetime.fromtimestamp(after, zone)
    for day in (0, 1, 2):
        date = (moment + timedelta(days=day)).date()
        local = datetime(date.year, date.month, date.day, hour, minute, tzinfo=zone)
        if local.timestamp() > after:
            return local.timestamp()
    raise AssertionError("a day has a daily hour")


def daily_due(settings: Settings, memory: Memory, now: Moment, kept: bool) -> float | None:
    """When the daily stop is due. Somebody's keep file cancels today's.

    What matters is whether the hour lies between the last check and now, or soon: what a step of the clock leaps over
    does not.
    """
    if kept or not settings.daily_at:
        memory.daily = None
        return None
    if memory.daily is None:
        since = now.wall - (now.up - memory.checked)
        due = now.up + next_daily(settings, since) - now.wall
        if due - now.up > 60 * settings.warn_minutes:
            return due
        memory.daily = due
    return memory.daily


def first_due(settings: Settings, memory: Memory, now: Moment, kept: bool) -> tuple[float | None, str]:
    """When the machine is to be stopped, and why; None if it never is."""
    dues: list[tuple[float, str]] = []
    if settings.minutes:
        dues.append((memory.active + 60 * settings.minutes, IDLE))
    if settings.max_hours:
        dues.append((3600 * settings.max_hours, LIFETIME))
    if (daily := daily_due(settings, memory, now, kept)) is not None:
        dues.append((daily, DAILY))
    return min(dues, default=(None, ""))


def decide(
    settings: Settings, memory: Memory, now: Moment, signs: list[Sign], forbidden: str = "", installing: bool = False
) -> Decision:
    """What to do now; notes in the memory what was warned of, and when.

    forbidden: why this machine must not be stopped from within, if so. A stop comes no sooner after its warning than
    was said, whenever the checks come.
    """
    kept = any(sign.source == "keep" and sign.state == BUSY for sign in signs)
    due, why = first_due(settings, memory, now, kept)
    warning = 60 * settings.warn_minutes
    if forbidden or due is None or due - now.up > warning:
        action = CALM if memory.warned else STAY
        memory.warned = {}
        return Decision(action, why, None if forbidden else due, forbidden)
    action = STAY
    if warning and memory.warned.get("why") != why:
        action, memory.warned = WARN, {"why": why, "at": now.up}
    if memory.warned:
        due = max(due, memory.warned["at"] + warning)
    if now.up < due:
        return Decision(action, why, due)
    if installing and now.up - due < HOLD_SECONDS:
        return Decision(STAY, why, due, "packages are being installed")
    return Decision(STOP, why, due)
