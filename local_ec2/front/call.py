"""A call of an AWS API, read from its HTTP request, whatever the protocol."""

import dataclasses
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

# Where the name that signs differs from the one that IAM policies use.
IAM_NAMES = {"monitoring": "cloudwatch", "email": "ses"}
NOTHING = ("", "")


@dataclasses.dataclass(frozen=True)
class Call:
    """service and action as IAM spells them; `service` is empty for what is no signed AWS call.

    parameters: the values of each, members of a list together, by a dotted name without numbers:
    `NetworkInterface.SubnetId`, `Filter.Value`.
    """

    service: str
    region: str
    action: str
    parameters: dict[str, list[str]]
    json: bool

    @property
    def name(self) -> str:
        return f"{self.service}:{self.action}"

    def first(self, *names: str) -> str:
        """The first value of the first of these parameters that is given; empty if none is."""
        return next((self.parameters[name][0] for name in names if self.parameters.get(name)), "")


def read(environ: dict[str, Any], body: bytes) -> Call:
    service, region = signer(environ.get("HTTP_AUTHORIZATION", ""))
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        pairs = list(flat(decoded(body)))
        action = target.rpartition(".")[2]
    else:
        text = body.decode(errors="replace") or environ.get("QUERY_STRING", "")
        pairs = [(without_numbers(name), value) for name, value in parse_qsl(text, keep_blank_values=True)]
        action = next((value for name, value in pairs if name == "Action"), "")
    parameters: dict[str, list[str]] = {}
    for name, value in pairs:
        parameters.setdefault(name, []).append(value)
    return Call(service, region, action, parameters, bool(target))


def signer(authorization: str) -> tuple[str, str]:
    """Service and region of a signature: `AWS4-HMAC-SHA256 Credential=KEY/DAY/REGION/SERVICE/aws4_request, ...`"""
    _, found, credential = authorization.partition("Credential=")
    scope = credential.split(",")[0].split("/")
    if not found or len(scope) < 5:
        return NOTHING
    return IAM_NAMES.get(scope[3], scope[3]), scope[2]


def decoded(body: bytes) -> Any:
    try:
        return json.loads(body or b"{}")
    except ValueError:
        return {}


def without_numbers(name: str) -> str:
    return ".".join(part for part in name.split(".") if not part.isdigit())


def flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for inner in value:
            yield from flat(inner, name)
    elif value is not None:
        yield name, str(value).lower() if isinstance(value, bool) else str(value)
