"""What one check leaves to the next, as JSON. Times are seconds since the machine's start: no clock's step counts."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gluon_idle.machine import Moment

FILE = "/var/lib/gluon-idle/state.json"
# Checks come every minute. After a longer pause nobody knows what went on meanwhile.
GAP_SECONDS = 300


@dataclass
class Memory:
    boot: str = ""
    checked: float = 0.0
    # The last sign of use, and what it was.
    active: float = 0.0
    active_words: str = ""
    # Time stamps of kernels, terminals and files as last seen; since when a kernel is in a state that is no work.
    seen: dict[str, Any] = field(default_factory=dict)
    odd: dict[str, float] = field(default_factory=dict)
    # By the keep file: which it was, and until when it counts.
    kept: dict[str, Any] = field(default_factory=dict)
    # Ticks that all CPUs have worked, and when that was.
    cpu: list[float] = field(default_factory=list)
    # What was warned of, and when: {why, at}.
    warned: dict[str, Any] = field(default_factory=dict)
    # When the daily stop of which was warned is due, whatever the clock says by then.
    daily: float | None = None
    # For `status`: what was found, what follows from it, and the last stop.
    signs: list[dict[str, Any]] = field(default_factory=list)
    decision: dict[str, Any] = field(default_factory=dict)
    last_stop: dict[str, Any] = field(default_factory=dict)

    def since(self, up: float, words: str) -> None:
        """Note a sign of use."""
        if up > self.active or not self.active_words:
            self.active, self.active_words = up, words

    def changed(self, key: str, stamp: Any, age: float, now: Moment) -> float | None:
        """When a thing with a time stamp was last in use, if that was after the last check.

        Its age is told by a clock that may have been set meanwhile, so it is believed only as far as the checks allow.
        """
        before = self.seen.get(key)
        self.seen[key] = stamp
        return None if before == stamp else min(max(now.up - age, self.checked), now.up)


def load(file: Path) -> Memory:
    """An unreadable one is as good as none."""
    try:
        told = json.loads(file.read_text())
        memory = Memory(**told)
        numbers = [memory.checked, memory.active, *memory.cpu, *memory.odd.values(), memory.daily or 0.0]
        if not all(isinstance(number, (int, float)) for number in numbers):
            raise TypeError(numbers)
        dict(memory.seen), dict(memory.kept), dict(memory.warned), dict(memory.last_stop)
        return memory
    except (OSError, ValueError, TypeError, AttributeError):
        return Memory()


def begin(memory: Memory, now: Moment) -> Memory:
    """What of it counts now. Where it is unknown what went on, the machine was in use until now."""
    if memory.boot != now.boot:
        return Memory(now.boot, now.up, now.up, "the first look after the start", last_stop=memory.last_stop)
    if not 0 <= now.up - memory.checked <= GAP_SECONDS:
        memory.active, memory.active_words = now.up, "nobody looked for a while"
        memory.checked, memory.daily, memory.cpu = now.up, None, []
    return memory


def save(memory: Memory, file: Path) -> None:
    """Whole or not at all. Raises OSError."""
    draft = file.with_name(f".{file.name}")
    with draft.open("w") as text:
        json.dump(asdict(memory), text)
        text.flush()
        os.fsync(text.fileno())
        # For `status`, which anybody may ask.
        os.fchmod(text.fileno(), 0o644)
    draft.replace(file)
