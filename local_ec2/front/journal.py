"""The journal: every call that came, with what was answered."""

import collections
import dataclasses
import re
import threading
from typing import Any

LONGEST = 100_000
XML = re.compile(rb"<Code>([^<]+)</Code>")
JSON = re.compile(rb'"__type"\s*:\s*"(?:[^"#]*#)?([^"]+)"')


@dataclasses.dataclass(frozen=True)
class Entry:
    """at: when it came, in seconds since the epoch. ms: until it was answered. code: empty if it went well."""

    at: float
    service: str
    action: str
    status: int
    code: str
    ms: int
    region: str
    agent: str


class Journal:
    """The last calls; those that lie longer back than 100 000 are forgotten."""

    def __init__(self) -> None:
        self._entries: collections.deque[Entry] = collections.deque(maxlen=LONGEST)
        self._lock = threading.Lock()

    def add(self, entry: Entry) -> None:
        with self._lock:
            self._entries.append(entry)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()

    def listed(self) -> list[dict[str, Any]]:
        with self._lock:
            return [dataclasses.asdict(entry) for entry in self._entries]


def code_of(status: int, body: bytes) -> str:
    """The error code in an answer; empty if it is none, or none that AWS would give."""
    if status < 400:
        return ""
    found = XML.search(body) or JSON.search(body)
    return found[1].decode() if found else ""
