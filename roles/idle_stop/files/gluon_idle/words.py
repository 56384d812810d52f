"""What is said of a decision: to the journal, to the people, and by `status`."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from gluon_idle.decide import DAILY, IDLE, zone_of
from gluon_idle.machine import Moment
from gluon_idle.settings import Settings


def minutes(seconds: float) -> str:
    count = round(seconds / 60)
    return f"{count} minute{'' if count == 1 else 's'}" if count < 120 else f"{seconds / 3600:.1f} hours"


def clock(settings: Settings, wall: float) -> str:
    return datetime.fromtimestamp(wall, zone_of(settings)).strftime("%H:%M")


def rule(settings: Settings, why: str) -> str:
    if why == IDLE:
        return f"after {settings.minutes:g} idle minutes"
    return f"every day at {settings.daily_at}" if why == DAILY else f"{settings.max_hours:g} hours after its start"


def reason(settings: Settings, why: str, now: Moment, active: float, active_words: str) -> str:
    if why == IDLE:
        return f"idle for {minutes(now.up - active)}, {settings.minutes:g} allowed; last use: {active_words}"
    return (
        rule(settings, why) if why == DAILY else f"running for {minutes(now.up)}, {settings.max_hours:g} hours allowed"
    )


def warning(settings: Settings, why: str, because: str, due_wall: float) -> str:
    """For people, with what to do about it."""
    if why == IDLE:
        keep = "Run a cell, or to keep it up: gluon-idle keep HOURS"
    elif why == DAILY:
        keep = "To keep it up today: gluon-idle keep HOURS"
    else:
        keep = "Nothing on the machine defers that: save your work"
    return f"This machine stops at {clock(settings, due_wall)} ({because}). {keep}. What is on its disk stays."


def line(status: dict[str, Any]) -> str:
    """One line for a table of machines."""
    if status["problem"]:
        return status["problem"]
    used = f"in use: {status['busy'][0]}" if status["busy"] else f"idle for {minutes(status['idle_seconds'])}"
    if status["stops_at"]:
        return f"{used}; stops at {status['stops_at']}{'' if not status['busy'] else ' at the earliest'}"
    return f"{used}; does not stop{': ' + status['held'] if status['held'] else ''}"


def table(status: dict[str, Any]) -> str:
    """All that is known, for a terminal."""
    rows = [("now", line(status))]
    if status["problem"]:
        return f"  {'now':<10} {status['problem']}"
    rows.append(("last use", f"{minutes(status['idle_seconds'])} ago: {status['last_use']}"))
    if status["stops_at"]:
        rows.append(("stops", status["rule"] + (f"; it waits: {status['held']}" if status["held"] else "")))
    rows += [(sign["source"], ("" if sign["state"] != "unknown" else "? ") + sign["words"]) for sign in status["signs"]]
    rows.append(("looked", f"{status['age_seconds']:.0f} seconds ago"))
    if status["last_stop"]:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(status["last_stop"]["wall"]))
        rows.append(("last stop", f"{when}: {status['last_stop']['words']}"))
    rows.append(("keep it up", "gluon-idle keep HOURS"))
    return "\n".join(f"  {name:<10} {words}" for name, words in rows)
