"""Watch for the notice that EC2 takes a spot machine back: two minutes, in which to save what can be saved."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

from gluon_idle.machine import Machine
from gluon_idle.settings import Settings
from gluon_idle.tell import everybody, journal, save_work, write_notice
from gluon_idle.words import clock

# What kind of machine this is, for the check: spot, or another word.
MARKET, SPOT, NONE = "/run/gluon-spot/market", "spot", "none"
# AWS advises to look every five seconds.
EVERY_SECONDS = 5
# At boot the network may need a moment; where nobody has answered by then, there is no EC2.
FIRST_PAUSES = (1, 2, 4, 8, 15, 30)
TOKEN_SECONDS = 21600
# A notice that was not carried out by so long after its time is over.
OVER_SECONDS = 300


class Metadata:
    """The instance metadata service, version 2: a token first, which is renewed when it is no longer taken."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.place = parts.hostname or "", parts.port or 80
        self.token = ""

    def _ask(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
        connection = http.client.HTTPConnection(*self.place, timeout=2)
        try:
            connection.request(method, f"/latest/{path}", headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read(4096).decode(errors="replace")
        except http.client.HTTPException as error:
            raise OSError(f"no HTTP: {error!r}") from None
        finally:
            connection.close()

    def get(self, path: str) -> str:
        """What it says; empty if it knows nothing of that. Raises OSError when it does not answer."""
        status, text = 401, ""
        for _ in range(2):
            if not self.token:
                lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)}
                status, text = self._ask("PUT", "api/token", lifetime)
                if status != 200:
                    break
                self.token = text
            status, text = self._ask("GET", f"meta-data/{path}", {"X-aws-ec2-metadata-token": self.token})
            if status != 401:
                break
            self.token = ""
        if status not in (200, 404):
            raise OSError(f"the metadata service answers {status}")
        return text.strip() if status == 200 else ""


def market_of(metadata: Metadata, sleep: Callable[[float], None]) -> str:
    for pause in (*FIRST_PAUSES, 0):
        try:
            return metadata.get("instance-life-cycle") or NONE
        except OSError:
            sleep(pause)
    return NONE


def parse(notice: str) -> tuple[str, float]:
    """Action and Unix time of a notice. One that cannot be read counts as of now."""
    try:
        told = json.loads(notice)
        return str(told["action"]), datetime.fromisoformat(told["time"].replace("Z", "+00:00")).timestamp()
    except (ValueError, KeyError, TypeError, AttributeError):
        return "take it back", time.time()


def meet(settings: Settings, machine: Machine, notice: str) -> float:
    """Save what can be saved, and tell; until when the notice stands."""
    action, at = parse(notice)
    left = max(at - time.time(), 0)
    words = f"EC2 takes this spot machine back at {clock(settings, at)}, in {left:.0f} seconds (its word is: {action})."
    everybody(settings, machine, f"{words} Save your notebooks now. What is on its disk stays unless it is terminated.")
    save_work(settings, machine, SPOT)
    journal("What the checkpoint hooks save is saved, and all is on disk.")
    return at + OVER_SECONDS


def watch(
    settings: Settings, machine: Machine, sleep: Callable[[float], None] = time.sleep, rounds: int | None = None
) -> int:
    """Watch until the machine ends. One that is no spot machine has nothing to watch for."""
    metadata = Metadata(settings.metadata_url)
    market = market_of(metadata, sleep)
    machine.path(MARKET).write_text(f"{market}\n")
    if market != SPOT:
        journal(f"No spot machine ({market}): nothing to watch for.")
        return 0
    journal("A spot machine: watching for EC2's notice.")
    met, until, silent = "", 0.0, False
    while rounds is None or (rounds := rounds - 1) >= 0:
        try:
            notice, silent = metadata.get("spot/instance-action"), False
        except OSError as error:
            if not silent:
                journal(f"No notice could be read, and none may be: {error}", 4)
            notice, silent = met, True
        if notice and notice != met:
            met, until = notice, meet(settings, machine, notice)
        elif met and (not notice or time.time() > until):
            journal("The notice is over, and the machine still runs.")
            write_notice(settings, machine, "")
            met = "" if not notice else met
            until = float("inf")
        sleep(EVERY_SECONDS)
    return 0
