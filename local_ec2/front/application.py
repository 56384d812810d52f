"""The WSGI application before moto's: control under /local-ec2/, faults and journal for all else."""

import io
import json
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

import boto3

from local_ec2.front import call as calls
from local_ec2.front import errors, pricing
from local_ec2.front.faults import Faults
from local_ec2.front.journal import Entry, Journal, code_of

PREFIX = "/local-ec2/"
# Service endpoints without a region of their own sign with us-east-1.
REGIONS = frozenset(boto3.Session(region_name="us-east-1").get_available_regions("ec2"))
# What a signature for a region that does not exist is answered with.
WRONG_REGION = {"ec2": "AuthFailure", "sts": "SignatureDoesNotMatch", "iam": "SignatureDoesNotMatch"}
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
# A resource of the control: what each HTTP method does with the body that was sent, and answers.
Resource = dict[str, Callable[[Any], Any]]


class Front:
    """Stands before moto. Calls without an AWS signature pass unseen."""

    def __init__(self, moto: Wsgi, faults: Faults, resources: dict[str, Resource] | None = None) -> None:
        self.moto = moto
        self.faults = faults
        self.journal = Journal()
        self.resources: dict[str, Resource] = {
            "faults": {
                "GET": lambda _: faults.listed(),
                "POST": faults.add,
                "DELETE": lambda _: faults.clear(),
            },
            "requests": {"GET": lambda _: self.journal.listed(), "DELETE": lambda _: self.journal.clear()},
            **(resources or {}),
        }

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith(PREFIX):
            status, kind, body = self.control(path.removeprefix(PREFIX), environ["REQUEST_METHOD"], taken(environ))
            return respond(start_response, status, kind, body)
        begun, clock = time.time(), time.monotonic()
        call = calls.read(environ, taken(environ))
        if not call.service:
            return self.moto(environ, start_response)
        status, headers, body = self.answer(call, environ)
        code = code_of(status, body)
        spent = round((time.monotonic() - clock) * 1000)
        agent = environ.get("HTTP_USER_AGENT", "")
        self.journal.add(Entry(begun, call.service, call.action, status, code, spent, call.region, agent))
        start_response(f"{status} {phrase(status)}", headers)
        return [body]

    def answer(self, call: calls.Call, environ: dict[str, Any]) -> tuple[int, list[tuple[str, str]], bytes]:
        """HTTP status, headers and body: moto's, or those of a fault that was asked for."""
        met = self.faults.take(call)
        if met is None:
            return self.real(call, environ)
        fault, resolved = met
        done = self.real(call, environ) if fault.after else None
        time.sleep(fault.delay)
        if fault.code is None:
            return done or self.real(call, environ)
        return ready(*fault.answer(call, resolved))

    def real(self, call: calls.Call, environ: dict[str, Any]) -> tuple[int, list[tuple[str, str]], bytes]:
        """moto's answer, an error with the status that EC2 has for it: moto knows 400 only."""
        if call.region not in REGIONS:
            code = WRONG_REGION.get(call.service, "InvalidSignatureException")
            return ready(errors.status_of(code), *errors.body(call, code, f"No such region: '{call.region}'."))
        if call.service == "pricing":
            return ready(*pricing.answer(call, calls.decoded(taken(environ))))
        status, headers, body = run(self.moto, environ)
        if call.service == "ec2" and status == 400:
            status = errors.status_of(code_of(status, body))
        return status, headers, body

    def control(self, name: str, method: str, body: bytes) -> tuple[int, str, bytes]:
        resource = self.resources.get(name)
        if resource is None:
            return told(404, f"No {name} here, only {', '.join(sorted(self.resources))}.")
        if method not in resource:
            return told(405, f"{name} takes {', '.join(sorted(resource))}.")
        try:
            answer = resource[method](json.loads(body) if body else None)
        except (TypeError, ValueError, KeyError) as error:
            return told(400, f"{name}: {error}")
        return 200, "application/json", json.dumps(answer).encode()


def ready(status: int, kind: str, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
    return status, [("Content-Type", kind), ("Content-Length", str(len(body)))], body


def told(status: int, text: str) -> tuple[int, str, bytes]:
    return status, "text/plain; charset=utf-8", f"{text}\n".encode()


def taken(environ: dict[str, Any]) -> bytes:
    """The body of a request, which can be read again afterwards."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def run(application: Wsgi, environ: dict[str, Any]) -> tuple[int, list[tuple[str, str]], bytes]:
    said: list[Any] = []
    parts = application(environ, lambda status, headers, *_: said.extend((status, headers)))
    try:
        body = b"".join(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()
    status, headers = said[:2]
    return int(status.split()[0]), headers, body


def phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def respond(start_response: Callable[..., Any], status: int, kind: str, body: bytes) -> list[bytes]:
    start_response(
        f"{status} {phrase(status)}",
        [("Content-Type", kind), ("Content-Length", str(len(body)))],
    )
    return [body]
