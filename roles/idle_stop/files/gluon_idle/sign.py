"""A sign of use, or of none; and all that a source of them may ask."""

from __future__ import annotations

from dataclasses import dataclass

from gluon_idle.machine import Machine, Moment
from gluon_idle.memory import Memory
from gluon_idle.settings import Settings

# In use; not in use; cannot tell, which keeps the machine up as well.
BUSY, QUIET, UNKNOWN = "busy", "quiet", "unknown"


@dataclass(frozen=True)
class Sign:
    """words: what was found. at: when it was in use since the last check, if it was, in seconds since the start."""

    source: str
    state: str
    words: str
    at: float | None = None


@dataclass(frozen=True)
class Look:
    settings: Settings
    machine: Machine
    memory: Memory
    now: Moment
