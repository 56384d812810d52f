"""Faults on request: which calls go wrong, and how."""

import base64
import dataclasses
import fnmatch
import json
import threading
from collections.abc import Callable
from typing import Any

from local_ec2.front import errors
from local_ec2.front.call import Call

# Finds the instance type, zone and market of a launch or of an instance that is named: what a call does not say.
Resolve = Callable[[Call], dict[str, str]]


@dataclasses.dataclass
class Fault:
    """A way for calls to go wrong.

    action: RunInstances, a pattern like Describe*, or with the service: sts:*. when: parameters and their values that
    the call must have, `*` for any value; beside the call's own ones, InstanceType, AvailabilityZone and Market (spot,
    on-demand) are known of launches. Of the calls that match, `skip` pass first and `times` go wrong, all if None.
    delay: seconds to wait. after: do what is asked, then answer with the error, as when the answer is lost.
    code: None for a call that is slow only.
    """

    action: str
    code: str | None = None
    message: str | None = None
    status: int | None = None
    times: int | None = None
    skip: int = 0
    when: dict[str, str] = dataclasses.field(default_factory=dict)
    delay: float = 0.0
    after: bool = False

    def matches(self, call: Call, resolved: dict[str, str]) -> bool:
        name = call.name if ":" in self.action else call.action
        if not fnmatch.fnmatchcase(name, self.action):
            return False
        return all(
            (wanted == "*" and bool(found)) or wanted in found
            for wanted, found in ((value, self._values(call, resolved, key)) for key, value in self.when.items())
        )

    @staticmethod
    def _values(call: Call, resolved: dict[str, str], name: str) -> list[str]:
        return [resolved[name]] if resolved.get(name) else call.parameters.get(name, [])

    def answer(self, call: Call, resolved: dict[str, str]) -> tuple[int, str, bytes]:
        """HTTP status, content type and body of the error."""
        message = self.message
        if message is None:
            words = {"InstanceType": "", "AvailabilityZone": "", **resolved, "name": call.name, "encoded": ""}
            words["encoded"] = encoded(call)
            message = errors.MESSAGES.get(self.code, "This call was made to fail.").format(**words)
        return self.status or errors.status_of(self.code), *errors.body(call, self.code, message)


def encoded(call: Call) -> str:
    """What DecodeAuthorizationMessage makes readable again."""
    failure = {"allowed": False, "explicitDeny": False, "context": {"action": call.name, "resource": "*"}}
    return base64.urlsafe_b64encode(json.dumps(failure).encode()).decode().rstrip("=")


class Faults:
    """The faults that are set, in their order; of those that match a call, the first one counts."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, wanted: list[dict[str, Any]]) -> None:
        """Raises TypeError for a fault with a field that does not exist."""
        made = [Fault(**one) for one in wanted]
        with self._lock:
            self._faults += made

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def listed(self) -> list[dict[str, Any]]:
        with self._lock:
            return [dataclasses.asdict(fault) for fault in self._faults]

    def take(self, call: Call) -> tuple[Fault, dict[str, str]] | None:
        """The fault that this call meets, counted, with what was found out about the call; None if it goes well."""
        if not self._faults:
            return None
        resolved = self._resolve(call)
        with self._lock:
            for fault in self._faults:
                if fault.times == 0 or not fault.matches(call, resolved):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                if fault.times is not None:
                    fault.times -= 1
                return fault, resolved
        return None
