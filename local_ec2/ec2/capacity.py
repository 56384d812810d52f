"""Capacity on request: pools of machines with room for so many more."""

import dataclasses
import threading
from typing import Any

from moto.ec2.exceptions import EC2ClientError

SPOT = "spot"


@dataclasses.dataclass
class Pool:
    """Room for so many more machines of a type, in a zone, on a market; None stands for any."""

    room: int
    type: str | None = None
    zone: str | None = None
    market: str | None = None

    def holds(self, type: str, zone: str, market: str) -> bool:
        pairs = ((self.type, type), (self.zone, zone), (self.market, market))
        return all(own in (None, asked) for own, asked in pairs)


class Capacity:
    """The pools that were set. Where there is none, there is room without end. What ends gives no room back."""

    def __init__(self) -> None:
        self._pools: list[Pool] = []
        self._lock = threading.RLock()

    def set(self, wanted: list[dict[str, Any]]) -> None:
        """Set pools, in place of those for the same type, zone and market. Raises TypeError for an unknown field."""
        for pool in [Pool(**one) for one in wanted]:
            key = (pool.type, pool.zone, pool.market)
            with self._lock:
                self._pools = [one for one in self._pools if (one.type, one.zone, one.market) != key] + [pool]

    def clear(self) -> None:
        with self._lock:
            self._pools.clear()

    def listed(self) -> list[dict[str, Any]]:
        with self._lock:
            return [dataclasses.asdict(pool) for pool in self._pools]

    def room(self, type: str, zone: str, market: str) -> int | None:
        """For how many more there is room; None for as many as anybody wants."""
        with self._lock:
            return min((pool.room for pool in self._pools if pool.holds(type, zone, market)), default=None)

    def take(self, type: str, zone: str, market: str, least: int, most: int, others: list[str]) -> int:
        """Take room for as many as there is, `most` at best; say how many.

        others: zones that may be tried instead. Raises EC2's error if there is not even room for `least`.
        """
        with self._lock:
            room = self.room(type, zone, market)
            if room is None:
                return most
            if room < least:
                raise refusal(type, zone, market, [one for one in others if self.room(type, one, market) != 0])
            granted = min(room, most)
            for pool in self._pools:
                if pool.holds(type, zone, market):
                    pool.room -= granted
            return granted


def refusal(type: str, zone: str, market: str, others: list[str]) -> EC2ClientError:
    if market == SPOT:
        message = "There is no Spot capacity available that matches your request."
    else:
        message = (
            f"We currently do not have sufficient {type} capacity in the Availability Zone you requested ({zone}). Our"
            " system will be working on provisioning additional capacity."
        )
        if others:
            message += (
                f" You can currently get {type} capacity by not specifying an Availability Zone in your request or"
                f" choosing {', '.join(others)}."
            )
    return EC2ClientError("InsufficientInstanceCapacity", message)
