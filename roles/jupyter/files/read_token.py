"""Tell the token that the server answers to, once a server that is starting listens; prints JSON.

After a boot SSH answers some time before Jupyter does, and before the first start of an image there is no token at all.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

# As in ask.py.
PATIENCE_S = 180


def coming(unit: str) -> bool:
    """Whether systemd has started it, or is about to."""
    command = ["systemctl", "show", "-p", "ActiveState,Job", unit]
    lines = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.splitlines()
    state = dict(line.split("=", 1) for line in lines)
    # Without a job its number is empty.
    return state.get("ActiveState") in ("active", "activating", "reloading") or state.get("Job", "") not in ("", "0")


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except OSError:
        return False
    return True


asked = json.loads(sys.argv[1])
deadline = time.monotonic() + PATIENCE_S
while not listens(int(asked["port"])) and coming(asked["unit"]) and time.monotonic() < deadline:
    time.sleep(0.3)
try:
    print(json.dumps(Path(asked["token"]).read_text().strip()))
except FileNotFoundError:
    sys.exit(f"file not found: {asked['token']}")
