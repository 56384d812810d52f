"""gluon-idle: what the machine thinks of being idle, and how to keep it up."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from gluon_idle import check, checkpoint, files, memory, spot, words
from gluon_idle.machine import Machine
from gluon_idle.settings import FILE, Settings, load
from gluon_idle.sign import QUIET, UNKNOWN

UNIT = "gluon-idle.service"


def status(settings: Settings, machine: Machine) -> dict[str, Any]:
    """What the last check found, and what follows."""
    known = memory.load(machine.path(memory.FILE))
    now = machine.now(known.boot)
    age = now.up - known.checked
    problem = ""
    if known.boot != now.boot and now.up < memory.GAP_SECONDS:
        problem = "it was started a moment ago, and the first look is yet to come"
    elif known.boot != now.boot or not 0 <= age <= memory.GAP_SECONDS:
        problem = "nobody has looked for a while, so nothing stops it: see systemctl status gluon-idle.timer"
    due, why = known.decision.get("due"), known.decision.get("why", "")
    return {
        "problem": problem,
        "idle_seconds": round(now.up - known.active),
        "last_use": known.active_words,
        "busy": [sign["words"] for sign in known.signs if sign["state"] != QUIET],
        "unknown": [sign["words"] for sign in known.signs if sign["state"] == UNKNOWN],
        "signs": known.signs,
        "stops_at": "" if due is None else words.clock(settings, now.wall - now.up + due),
        "stops_in_seconds": None if due is None else round(due - now.up),
        "rule": words.rule(settings, why) if why else "",
        "held": known.decision.get("held", ""),
        "warned": bool(known.warned),
        "age_seconds": round(age),
        "last_stop": known.last_stop,
    }


def show(settings: Settings, machine: Machine, asked: argparse.Namespace) -> int:
    if asked.fresh:
        done = subprocess.run(["systemctl", "start", UNIT], capture_output=True, text=True, check=False)
        if done.returncode:
            tail = ["journalctl", "-u", UNIT, "-n", "5", "--no-pager", "-o", "cat"]
            said = subprocess.run(tail, capture_output=True, text=True, check=False).stdout
            sys.exit(f"{said}The check did not end well: {done.stderr.strip()}")
    now = status(settings, machine)
    now["line"] = words.line(now)
    print(json.dumps(now, indent=2) if asked.json else words.table(now))
    return 0


def keep(settings: Settings, machine: Machine, asked: argparse.Namespace) -> int:
    """Root's keep file lasts until the next start at most; the user's own lies in the home."""
    root = os.geteuid() == 0
    file = machine.path(files.ROOTS_KEEP) if root else Path(settings.keep_file)
    if not 0 <= asked.hours <= files.LONGEST_HOURS:
        sys.exit(f"{asked.hours:g} hours cannot be had: give 0 to {files.LONGEST_HOURS:g}; 0 takes it back.")
    try:
        file.unlink(missing_ok=True)
        if asked.hours:
            file.parent.mkdir(mode=0o755, exist_ok=True)
            file.write_text(f"{asked.hours:g}\n")
    except OSError as error:
        sys.exit(f"{file} cannot be written ({error.strerror}): run sudo gluon-idle keep {asked.hours:g}.")
    print(f"{file} keeps this machine up for {asked.hours:g} hours." if asked.hours else f"{file} is gone.")
    if settings.max_hours:
        print(f"It stops {settings.max_hours:g} hours after its start all the same.")
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gluon-idle", description=__doc__)
    parser.add_argument("--settings", type=Path, default=Path(FILE), help=argparse.SUPPRESS)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    shown = commands.add_parser("status", help="what keeps it up, and when it would stop")
    shown.add_argument("--json", action="store_true", help="for programs")
    shown.add_argument("--fresh", action="store_true", help="look first (as root)")
    kept = commands.add_parser("keep", help="keep it up for some hours, whether it is used or not")
    kept.add_argument("hours", type=float, metavar="HOURS", help="0 takes it back")
    # The units' own.
    commands.add_parser("check")
    commands.add_parser("spot")
    hooks = commands.add_parser("checkpoint")
    hooks.add_argument("reason")
    return parser.parse_args()


def main() -> int:
    asked = arguments()
    settings, machine = load(asked.settings), Machine()
    if asked.command == "status":
        return show(settings, machine, asked)
    if asked.command == "keep":
        return keep(settings, machine, asked)
    if asked.command == "check":
        try:
            return check.check(settings, machine)
        except OSError as error:
            sys.exit(f"The machine stays up, as what a check finds cannot be kept: {error}")
    if asked.command == "spot":
        return spot.watch(settings, machine)
    folder, seconds = machine.path(settings.checkpoint_folder), settings.checkpoint_seconds
    return min(checkpoint.run(folder, seconds, asked.reason, settings.folder), 1)
