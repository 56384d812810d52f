"""Run the checkpoint hooks: all at once, since the time is short, and with one limit for all."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import time
from pathlib import Path

from gluon_idle.tell import journal

GRACE_SECONDS = 2


def is_roots_alone(path: Path) -> bool:
    about = path.stat()
    return about.st_uid == 0 and not stat.S_IMODE(about.st_mode) & 0o022


def hooks(folder: Path) -> list[Path]:
    """Executables that only root could have put there. Hidden files and an editor's backups are none."""
    if not folder.is_dir():
        return []
    if not is_roots_alone(folder):
        journal(f"{folder} is not root's alone, so nothing in it is run.", 3)
        return []
    found = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name.endswith("~") or not path.is_file() or not os.access(path, os.X_OK):
            continue
        if is_roots_alone(path):
            found.append(path)
        else:
            journal(f"{path} is not root's alone, so it is not run.", 3)
    return found


def end(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    try:
        os.killpg(process.pid, how)
    except ProcessLookupError:
        return


def run(folder: Path, seconds: float, reason: str, home: str) -> int:
    """How many did not end well within the time."""
    started, environment = [], os.environ | {"GLUON_REASON": reason, "GLUON_SECONDS": f"{seconds:g}"}
    deadline = time.monotonic() + seconds
    for hook in hooks(folder):
        try:
            process = subprocess.Popen(
                [str(hook)], stdin=subprocess.DEVNULL, env=environment, cwd=home or "/", start_new_session=True
            )
            started.append((hook, process))
        except OSError as error:
            journal(f"{hook}: {error}", 3)
            started.append((hook, None))
    failed = 0
    for hook, process in started:
        if process is None:
            failed += 1
            continue
        try:
            status = process.wait(max(deadline - time.monotonic(), 0))
            said = f"exit status {status}" if status else ""
        except subprocess.TimeoutExpired:
            said = f"not done after {seconds:g} seconds, and ended"
            end(process, signal.SIGTERM)
            deadline = max(deadline, time.monotonic() + GRACE_SECONDS)
        if said:
            failed += 1
            journal(f"{hook}: {said}", 3)
    for _, process in started:
        if process is not None:
            try:
                process.wait(max(deadline - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                end(process, signal.SIGKILL)
                process.wait()
    return failed
