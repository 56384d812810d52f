"""Make a new token and start the server with it, or refuse while a cell runs; prints as JSON what ended by it.

Its only argument is JSON: {unit, port, token, maker, force, check}. It never prints a token.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PATIENCE_S = 60


class Refused(Exception):
    """Its text is the sentence to end with."""


def output(*command: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        last = (done.stdout.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise Refused(f"{' '.join(command[:2])} failed: {last}. Mend that, and run this again.")
    return done.stdout.strip()


class Server:
    """The running one, asked by the token it was started with: where a run broke off, that of the file is newer."""

    def __init__(self, unit: str, port: int, token_file: str) -> None:
        given = Path("/run/credentials", unit, "token")
        token = (given if given.exists() else Path(token_file)).read_text().strip()
        self.headers, self.port = {"Authorization": f"token {token}"}, port

    def get(self, what: str) -> list[dict[str, Any]]:
        """A list of the API, empty where it has none, as of terminals that are switched off. Raises OSError."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", f"/api/{what}", headers=self.headers)
            answer = connection.getresponse()
            if answer.status not in (200, 404):
                raise OSError(f"it answers {answer.status}")
            return json.loads(answer.read()) if answer.status == 200 else []
        except (http.client.HTTPException, ValueError):
            raise OSError("what it answers is no list") from None
        finally:
            connection.close()

    def wait(self) -> None:
        """One that was started a moment ago does not answer yet. Raises OSError."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.get("kernels")
                return
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.2)


def at_work(asked: dict[str, Any]) -> tuple[dict[str, str], list[str]]:
    """The state of each kernel, by its notebook, and the terminals. Raises OSError where the server does not tell."""
    server = Server(asked["unit"], asked["port"], asked["token"])
    server.wait()
    paths = {(one.get("kernel") or {}).get("id"): one.get("path") for one in server.get("sessions")}
    kernels = server.get("kernels")
    states = {paths.get(one["id"]) or f"kernel {one['id'][:8]}": one["execution_state"] for one in kernels}
    return states, [f"terminal {one['name']}" for one in server.get("terminals")]


def rotate(asked: dict[str, Any]) -> list[str]:
    """What ended, or would end. Raises Refused."""
    unit, states, terminals, unknown = asked["unit"], {}, [], ""
    if not Path(asked["maker"]).exists():
        raise Refused(f"There is no {unit} on this machine: set it up first, as configure.yml does.")
    found = output("systemctl", "show", "-p", "ActiveState", "--value", unit)
    if found == "active":
        try:
            states, terminals = at_work(asked)
        except (OSError, KeyError) as error:
            unknown = f"Nobody can tell whether a cell runs, as {unit} does not say: {error}."
    busy = [name for name, state in states.items() if state == "busy"]
    if (busy or unknown) and not asked["force"]:
        raise Refused(
            f"{unknown or 'A cell runs in ' + ', '.join(busy) + '.'} For a new token the server is started again, "
            "which ends its kernels, and what is only in their memory is lost. So the token is still the old one: wait "
            "until the cells have run, or do it all the same (token.yml -e force=yes, or jupyter_rotate_force)."
        )
    if not asked["check"]:
        output(sys.executable, asked["maker"], asked["token"])
        # One that failed too often would not be started, however good its token.
        if found == "failed":
            output("systemctl", "reset-failed", unit)
        output("systemctl", "restart", unit)
    return [f"{name} ({state})" for name, state in states.items()] + terminals


try:
    print(json.dumps(rotate(json.loads(sys.argv[1]))))
except Refused as refusal:
    sys.exit(str(refusal))
