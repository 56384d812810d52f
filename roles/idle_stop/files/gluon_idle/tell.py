"""Tell the people: the journal, whoever is logged in, and a file beside the notebooks."""

from __future__ import annotations

import subprocess

from gluon_idle.files import THEIRS, notice_of
from gluon_idle.machine import Machine
from gluon_idle.settings import Settings

CHECKPOINT_UNIT = "gluon-checkpoint@{reason}.service"


def journal(words: str, level: int = 5) -> None:
    """A line of the unit's journal. 5 is notice, 3 is error, as systemd reads them from standard output."""
    print(f"<{level}>{words}", flush=True)


def write_notice(settings: Settings, machine: Machine, words: str) -> None:
    """The file beside the notebooks; without words it is removed. A full disk or such is no reason to fail."""
    notice = notice_of(settings.folder)
    if not notice or not settings.user:
        return
    try:
        what = ("write", notice) if words else ("remove", notice)
        status, said = machine.python(THEIRS, *what, text=f"{words}\n", user=settings.user)
    except (OSError, KeyError, subprocess.SubprocessError) as error:
        status, said = 1, str(error)
    if status:
        journal(f"{notice} could not be {'written' if words else 'removed'}: {said.splitlines()[-1:] or status}", 4)


def everybody(settings: Settings, machine: Machine, words: str) -> None:
    journal(words)
    try:
        machine.run("wall", words)
    except (OSError, subprocess.SubprocessError) as error:
        journal(f"wall: {error}", 4)
    write_notice(settings, machine, words)


def save_work(settings: Settings, machine: Machine, reason: str) -> None:
    """Run the checkpoint hooks, if there are any, and bring to disk what waits in memory."""
    machine.sync()
    folder = machine.path(settings.checkpoint_folder)
    if folder.is_dir() and any(folder.iterdir()):
        try:
            unit = CHECKPOINT_UNIT.format(reason=reason)
            status, said = machine.run("systemctl", "start", unit, timeout=settings.checkpoint_seconds + 15)
            if status:
                journal(f"Not all checkpoint hooks ended well: {said}", 4)
        except (OSError, subprocess.SubprocessError) as error:
            journal(f"Checkpoint hooks: {error}", 4)
        machine.sync()
