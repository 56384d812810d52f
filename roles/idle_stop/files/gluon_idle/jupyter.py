"""What Jupyter's kernels and terminals do. For the classic notebook 6 and jupyter_server, whose API is the same here.

Its own `last_activity` is not asked: a browser tab that nobody looks at renews it every minute.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from gluon_idle.sign import BUSY, QUIET, UNKNOWN, Look, Sign

SOURCE = "jupyter"
OURS = ("kernel ", "terminal ")
PATIENCE_SECONDS = 5
# A kernel may take so long to start; what is stuck for longer is no work.
STARTING_SECONDS = 600


class Refused(Exception):
    """An answer that tells nothing; its text is a sentence."""


class Server:
    """One connection for all questions. They do not count as activity of their own."""

    def __init__(self, url: str, token_file: str, token: str) -> None:
        parts = urlsplit(url)
        self.token_file = token_file
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=PATIENCE_SECONDS)
        self.prefix = parts.path.rstrip("/")
        self.headers = {"Authorization": f"token {token}"} if token else {}

    def get(self, what: str) -> list[dict[str, Any]]:
        """A list that the API has. One that it does not know, as where terminals are switched off, is empty.

        Raises OSError and Refused.
        """
        try:
            self.connection.request("GET", f"{self.prefix}/api/{what}?no_track_activity=1", headers=self.headers)
            answer = self.connection.getresponse()
            text = answer.read()
        except http.client.HTTPException as error:
            raise Refused(f"it does not speak HTTP ({type(error).__name__})") from None
        if answer.status == 404 and what != "kernels":
            return []
        if answer.status in (401, 403):
            raise Refused(f"it does not take the token of {self.token_file}")
        if answer.status != 200:
            raise Refused(f"it answers {answer.status} for its {what}")
        try:
            found = json.loads(text)
        except ValueError:
            raise Refused(f"what it answers for its {what} is no JSON") from None
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise Refused(f"what it answers for its {what} is no list of them")
        return found

    def close(self) -> None:
        self.connection.close()


def age_of(stamp: Any, wall: float) -> float:
    """Seconds since a time stamp of the API. Raises Refused."""
    text = str(stamp).replace("Z", "+00:00")
    try:
        return wall - datetime.fromisoformat(text if "+" in text else f"{text}+00:00").timestamp()
    except ValueError:
        raise Refused(f"{text[:40]} is no time") from None


def of_kernel(look: Look, kernel: dict[str, Any], name: str) -> Sign:
    """A kernel that runs a cell is in use, however silently; one that only hangs is not, after a while."""
    memory, now, state = look.memory, look.now, kernel.get("execution_state")
    key = f"kernel {kernel['id']}"
    at = memory.changed(key, kernel["last_activity"], age_of(kernel["last_activity"], now.wall), now)
    odd_since = memory.odd.pop(key, now.up)
    if state == "busy":
        return Sign(SOURCE, BUSY, f"{name} is running")
    if state == "idle":
        return Sign(SOURCE, QUIET, f"{name} is idle" if at is None else f"{name} ran", at)
    memory.odd[key] = odd_since
    if now.up - odd_since < STARTING_SECONDS:
        return Sign(SOURCE, BUSY, f"{name} is {state}")
    return Sign(SOURCE, QUIET, f"{name} is {state} since {(now.up - odd_since) / 60:.0f} minutes, which is no work", at)


def of_terminal(look: Look, terminal: dict[str, Any]) -> Sign:
    name = f"terminal {terminal.get('name')}"
    if not terminal.get("last_activity"):
        return Sign(SOURCE, UNKNOWN, f"cannot tell when {name} was used: this Jupyter does not say")
    stamp = terminal["last_activity"]
    at = look.memory.changed(name, stamp, age_of(stamp, look.now.wall), look.now)
    return Sign(SOURCE, QUIET, f"{name} is open" if at is None else f"{name} was used", at)


def ask(look: Look, server: Server) -> Iterator[Sign]:
    kernels, terminals = server.get("kernels"), server.get("terminals")
    sessions = server.get("sessions")
    names = {(one.get("kernel") or {}).get("id"): one.get("path") for one in sessions}
    for kernel in kernels:
        yield of_kernel(look, kernel, str(names.get(kernel["id"]) or f"kernel {str(kernel['id'])[:8]}"))
    for terminal in terminals:
        yield of_terminal(look, terminal)
    if not kernels and not terminals:
        yield Sign(SOURCE, QUIET, "no kernel and no terminal")
    # What is gone is forgotten.
    there = {f"kernel {kernel['id']}" for kernel in kernels} | {f"terminal {one.get('name')}" for one in terminals}
    memory = look.memory
    memory.seen = {key: stamp for key, stamp in memory.seen.items() if key in there or not key.startswith(OURS)}
    memory.odd = {key: since for key, since in memory.odd.items() if key in there}


def signs(look: Look) -> list[Sign]:
    """Where nothing listens, nobody works. All else that is no clear answer is none."""
    settings = look.settings
    if not settings.jupyter_url:
        return []
    known = dict(look.memory.seen), dict(look.memory.odd)
    token = look.machine.read(settings.jupyter_token_file).strip()
    server = Server(settings.jupyter_url, settings.jupyter_token_file, token)
    try:
        found = list(ask(look, server))
    except ConnectionRefusedError:
        return [Sign(SOURCE, QUIET, f"nothing listens at {settings.jupyter_url}")]
    except (OSError, Refused, KeyError) as error:
        # What was half read is read again at the next check.
        look.memory.seen, look.memory.odd = known
        why = f"its answer lacks {error}" if isinstance(error, KeyError) else error or type(error).__name__
        return [Sign(SOURCE, UNKNOWN, f"cannot tell what Jupyter at {settings.jupyter_url} does: {why}")]
    finally:
        server.close()
    return found
