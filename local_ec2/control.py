"""Control of a local EC2 that is up, for tests: faults on request, and the journal of what was called.

>>> control = Control("http://127.0.0.1:5950")
>>> control.no_capacity(type="g4dn.xlarge", zone="us-east-1a")
>>> control.requests()

Needs Python's standard library only.
"""

import json
import urllib.error
import urllib.request
from typing import Any

SPOT = "spot"
ON_DEMAND = "on-demand"


class ControlError(RuntimeError):
    """The local EC2 refused; the message is its own."""


class Control:
    """What can be asked of a local EC2 beside AWS's own API."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint.rstrip("/")

    def fail(
        self,
        action: str,
        code: str | None = None,
        *,
        message: str | None = None,
        status: int | None = None,
        times: int | None = None,
        skip: int = 0,
        when: dict[str, str] | None = None,
        delay: float = 0.0,
        after: bool = False,
    ) -> None:
        """Make calls of an action fail with an error code, or be slow if there is none. See front/faults.py."""
        fault = {"action": action, "code": code, "message": message, "status": status, "times": times, "skip": skip}
        self._ask("POST", "faults", [{**fault, "when": when or {}, "delay": delay, "after": after}])

    def slow(self, action: str, seconds: float, times: int | None = None) -> None:
        """Make calls of an action take so many seconds longer."""
        self.fail(action, delay=seconds, times=times)

    def throttle(self, action: str, times: int | None = None) -> None:
        """Answer calls of an EC2 action with RequestLimitExceeded, as when too many come at once."""
        self.fail(action, "RequestLimitExceeded", times=times)

    def lose(self, action: str, times: int = 1) -> None:
        """Do what calls of an action ask, and answer with an error all the same."""
        self.fail(action, "InternalError", times=times, after=True)

    def no_capacity(self, type: str | None = None, zone: str | None = None, market: str | None = None) -> None:
        """Refuse launches of a type, in a zone, on a market (spot, on-demand), for want of capacity."""
        self.capacity(0, type, zone, market)

    def capacity(self, room: int, type: str | None = None, zone: str | None = None, market: str | None = None) -> None:
        """Leave room for so many more machines of a type, in a zone, on a market; None stands for any."""
        self._ask("POST", "capacity", [{"room": room, "type": type, "zone": zone, "market": market}])

    def quota(self, code: str, value: float) -> None:
        """Set a quota of vCPUs, by its code as AWS has it: `L-DB2E81BA`."""
        self._ask("POST", "quotas", {code: value})

    def quotas(self) -> dict[str, float]:
        """The quotas in force, by code."""
        return self._ask("GET", "quotas")

    def interrupt(self, instance: str) -> None:
        """Take a Spot instance back, as EC2 does for want of capacity."""
        self._ask("POST", "interruptions", instance)

    def forbid(self, action: str) -> None:
        """Refuse an action, written as in IAM (`ec2:RunInstances`), as to one whose policy does not grant it."""
        service = action.partition(":")[0]
        codes = {"ec2": "UnauthorizedOperation", "sts": "AccessDenied", "iam": "AccessDenied"}
        self.fail(action, codes.get(service, "AccessDeniedException"))

    def expired_credentials(self) -> None:
        """Answer every call as to credentials whose time is over."""
        self.fail("ec2:*", "RequestExpired")
        self.fail("sts:*", "ExpiredToken")
        self.fail("*:*", "ExpiredTokenException")

    def wrong_credentials(self) -> None:
        """Answer every call as to credentials that nobody issued."""
        self.fail("ec2:*", "AuthFailure")
        self.fail("sts:*", "InvalidClientTokenId")
        self.fail("*:*", "UnrecognizedClientException")

    def faults(self) -> list[dict[str, Any]]:
        """The faults that are set, with what is left of `times` and `skip`."""
        return self._ask("GET", "faults")

    def clear(self) -> None:
        """Let all go well again: no faults, capacity without end, and the quotas of the start."""
        for resource in ("faults", "capacity", "quotas"):
            self._ask("DELETE", resource)

    def requests(self, action: str | None = None) -> list[dict[str, Any]]:
        """The calls since the journal was emptied, in the order of their answers; those of one action only."""
        return [one for one in self._ask("GET", "requests") if action in (None, one["action"])]

    def actions(self) -> set[str]:
        """The actions that were called, as IAM spells them: `ec2:RunInstances`."""
        return {f"{one['service']}:{one['action']}" for one in self.requests()}

    def forget_requests(self) -> None:
        """Empty the journal."""
        self._ask("DELETE", "requests")

    def _ask(self, method: str, resource: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.endpoint}/local-ec2/{resource}", data, method=method)
        request.add_header("Content-Type", "application/json")
        # a proxy of the environment's knows nothing of the loopback address
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise ControlError(error.read().decode().strip()) from None
