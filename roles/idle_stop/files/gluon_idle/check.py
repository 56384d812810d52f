"""One check: look, decide, and do it. A timer runs it every minute."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import asdict, replace

from gluon_idle import files, jupyter, memory, work
from gluon_idle.decide import CALM, STOP, WARN, Decision, decide, take
from gluon_idle.machine import Machine
from gluon_idle.settings import Settings
from gluon_idle.sign import UNKNOWN, Look, Sign
from gluon_idle.spot import MARKET, SPOT
from gluon_idle.tell import everybody, journal, save_work, write_notice
from gluon_idle.words import reason, warning

SOURCES: dict[str, Callable[[Look], list[Sign]]] = {
    "keep": files.signs,
    "jupyter": jupyter.signs,
    "ssh": work.ssh,
    "gpu": work.gpu,
    "cpu": work.cpu,
}


def collect(look: Look) -> list[Sign]:
    """What all sources say. Whatever goes wrong in one is its answer: that it cannot tell."""
    found: list[Sign] = []
    for name, source in SOURCES.items():
        try:
            found += source(look)
        except Exception as error:
            found.append(Sign(name, UNKNOWN, f"cannot tell: {type(error).__name__}: {error}"))
    return [replace(sign, words=printable(sign.words)) for sign in found]


def printable(words: str) -> str:
    """Without what a file's name could do to a terminal or to the journal."""
    return "".join(letter if letter.isprintable() else "?" for letter in words)


def forbidden(settings: Settings, machine: Machine) -> str:
    """Why this machine must not power itself off; empty if it may."""
    if settings.spot_stop or not settings.spot_watch:
        return ""
    market = machine.read(MARKET).strip()
    if market == SPOT:
        return "a spot machine may be deleted when it powers itself off (idle_stop_spot says if this one may)"
    return "" if market else "it is not known yet whether this is a spot machine"


def check(settings: Settings, machine: Machine) -> int:
    """Exit status: 0 unless the check itself failed. In use as long as anything is unknown."""
    now, file = machine.now(), machine.path(memory.FILE)
    known = memory.load(file)
    fresh = known.boot != now.boot
    unknown_before = {sign["words"] for sign in known.signs if sign["state"] == UNKNOWN}
    known = memory.begin(known, now)
    found = collect(Look(settings, machine, known, now))
    take(known, found, now)
    decision = decide(settings, known, now, found, forbidden(settings, machine), work.installing(machine))
    known.checked, known.signs, known.decision = now.up, [asdict(sign) for sign in found], asdict(decision)
    because = reason(settings, decision.why, now, known.active, known.active_words) if decision.why else ""
    if decision.action == STOP:
        known.last_stop = {"wall": now.wall, "words": because}
    # Before anything is done: without a memory nothing is stopped.
    memory.save(known, file)
    for sign in found:
        if sign.state == UNKNOWN and sign.words not in unknown_before:
            journal(f"The machine stays up: {sign.words}", 4)
    if fresh:
        write_notice(settings, machine, "")
    return act(settings, machine, decision, because, now.wall - now.up)


def act(settings: Settings, machine: Machine, decision: Decision, because: str, started: float) -> int:
    if decision.action == WARN and decision.due is not None:
        everybody(settings, machine, warning(settings, decision.why, because, started + decision.due))
    elif decision.action == CALM:
        journal("The stop that was announced is off: the machine is in use again.")
        write_notice(settings, machine, "")
    elif decision.action == STOP:
        journal(f"The machine stops itself now: {because}.")
        save_work(settings, machine, decision.why)
        try:
            status, said = machine.run("systemctl", "--no-block", "poweroff")
        except subprocess.TimeoutExpired:
            status, said = 1, "no answer"
        if status:
            journal(f"It could not be powered off, and goes on costing: {said}", 3)
        return status
    return 0
