"""Look at everything the role manages, in one visit; changes nothing, prints JSON."""

from __future__ import annotations

import hashlib
import http.client
import json
import pwd
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def output(*command: str) -> str:
    """Standard output of a read-only command, empty if it cannot be run."""
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    except OSError:
        return ""


def served(python: str, imports: list[str], module: str, state: dict[str, str]) -> dict[str, str]:
    """Version of the environment's interface, and why it cannot be imported."""
    code = f"import {', '.join(imports)}"
    if version := running(python, code, module, state):
        return {"version": version, "error": ""}
    code = f"{code}; print({module}.__version__)"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True)
    except OSError as error:
        return {"version": "", "error": f"{python}: {error.strerror}"}
    reason = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
    return {"version": done.stdout.strip(), "error": "" if done.returncode == 0 else reason[0]}


def running(python: str, code: str, module: str, state: dict[str, str]) -> str:
    """Version of the interface that runs; empty where only an import, which takes seconds, tells if it still could.

    The unit imports all of it before each start. What installs, removes or updates a package since then shows in the
    times of the folder of all packages, or of the package's own.
    """
    began = started(state)
    if began is None or f"argv[]={python} -c {code} ;" not in state.get("ExecCondition", ""):
        return ""
    sites = list(Path(python).parents[1].glob("lib/python3*/site-packages"))
    touched = [*sites, *(entry for site in sites for entry in site.iterdir())]
    versions = [named[1] for entry in touched if (named := re.fullmatch(rf"{module}-(.+)\.dist-info", entry.name))]
    as_it_was = len(versions) == 1 and all(entry.lstat().st_mtime < began for entry in touched)
    return versions[0] if as_it_was else ""


def user(name: str) -> dict[str, Any] | None:
    """The login's uid and home, None if there is no such login."""
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return None
    return {"uid": found.pw_uid, "home": found.pw_dir}


def kept(path: Path, mode: int) -> bytes | None:
    """Content of a file that is root's with this mode; None for anything else, which is then written anew."""
    try:
        found = path.lstat()
    except OSError:
        return None
    as_it_should_be = stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) == mode and found.st_uid == 0
    return path.read_bytes() if as_it_should_be else None


def ours(path: Path, mark: str) -> bool:
    """Whether the role wrote this file."""
    return mark.encode() in (kept(path, 0o644) or b"")


def digest(path: Path) -> str:
    """Of a secret that is root's alone; empty where there is none, another word where others could read it."""
    if not path.exists():
        return ""
    content = kept(path, 0o600)
    return "open" if content is None else hashlib.sha256(content).hexdigest()


def unit(name: str) -> dict[str, str]:
    """State of the unit as systemd tells it."""
    wanted = "LoadState,ActiveState,UnitFileState,MainPID,ExecMainStartTimestampMonotonic,ExecCondition"
    return dict(line.split("=", 1) for line in output("systemctl", "show", "-p", wanted, name).splitlines())


def started(state: dict[str, str]) -> float | None:
    """When the running server was started, in seconds since the epoch; None where none runs."""
    if state.get("ActiveState") != "active":
        return None
    age = time.clock_gettime(time.CLOCK_MONOTONIC) - int(state["ExecMainStartTimestampMonotonic"]) / 1e6
    return time.time() - age


def culprit(port: int, state: dict[str, str]) -> str:
    """The process that listens on the port, empty if nobody or the unit itself does."""
    for listener in output("ss", "-Hltnp", f"sport = :{port}").splitlines():
        owner = re.search(r'"(?P<name>[^"]*)",pid=(?P<pid>\d+)', listener)
        if owner and owner["pid"] != state.get("MainPID"):
            return f"{owner['name']} (pid {owner['pid']})"
        # A container may hide whose socket it is, even from root.
        if not owner and state.get("ActiveState") != "active":
            return "a process that does not show its name"
    return ""


def answers(port: int, token: Path, state: dict[str, str]) -> bool:
    """Whether the unit answers to its token, and to nobody without it."""
    if state.get("ActiveState") != "active":
        return False
    said = []
    try:
        for headers in ({"Authorization": f"token {token.read_text().strip()}"}, {}):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/api/status", headers=headers)
            said.append(connection.getresponse().status)
            connection.close()
    # A token that cannot be one is no answer either.
    except (OSError, ValueError, http.client.HTTPException):
        return False
    return said == [200, 403]


def unread(paths: Iterable[Path], state: dict[str, str]) -> bool:
    """Whether a running server started before one of the files was last changed."""
    began = started(state)
    return began is not None and any(path.exists() and path.stat().st_mtime > began for path in paths)


def look(question: dict[str, Any]) -> dict[str, Any]:
    files = {path: kept(Path(path), 0o644) for path in question["files"]}
    token, password, environment = (Path(question[name]) for name in ("token", "password", "environment"))
    state = unit(question["unit"])
    return {
        **served(question["python"], question["imports"], question["module"], state),
        "python": Path(question["python"]).exists(),
        "user": user(question["user"]),
        "directory": not question["directory"] or Path(question["directory"]).is_dir(),
        "culprit": culprit(question["port"], state),
        "answers": answers(int(question["port"]), token, state),
        "folder": Path(question["files"][0]).parent.is_dir(),
        "files": {path: text and hashlib.sha256(text).hexdigest() for path, text in files.items()},
        "leftovers": [path for path in question["others"] if ours(Path(path), question["mark"])],
        "token": bool(kept(token, 0o600)),
        "password": digest(password),
        "loaded": state.get("LoadState") == "loaded",
        "active": state.get("ActiveState"),
        "enabled": state.get("UnitFileState") == "enabled",
        "environment": environment.exists(),
        "unread": unread([token, password, environment, *map(Path, files)], state),
    }


print(json.dumps(look(json.loads(sys.argv[1]))))
