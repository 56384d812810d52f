"""Wait until the unit answers to its token and to nothing else; if it does not, exit 1 with its journal and why."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from pathlib import Path

# A minute was not enough for a start where ten processes shared two processors. A service that fails is told at once.
PATIENCE_S = 180


def output(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout


def status(port: int, headers: dict[str, str]) -> int:
    """HTTP status of /api/status on loopback; 0 if nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/api/status", headers=headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def complaint(port: int, token_file: str, unit: str) -> str:
    """What is wrong with the way the unit serves, empty if nothing is."""
    address = f"http://127.0.0.1:{port}/"
    authorised = {"Authorization": f"token {Path(token_file).read_text().strip()}"}
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        state = output("systemctl", "show", "-p", "ActiveState", "--value", unit).strip()
        answer = status(port, authorised) if state == "active" else 0
        if answer or state in ("failed", "inactive"):
            break
        time.sleep(0.2)
    if answer != 200:
        told = f"answers {answer} to its token" if answer else "does not answer"
        return f"{unit} is {state} and {address} {told}; the lines above are the end of its journal."
    if status(port, {}) != 403:
        return f"{address} answers without the token; remove the setting that allows it from jupyter_extra_config."
    return ""


asked = json.loads(sys.argv[1])
if found := complaint(int(asked["port"]), asked["token"], asked["unit"]):
    sys.exit(output("journalctl", "-u", asked["unit"], "-n", "15", "--no-pager", "-o", "cat") + found)
print("true")
