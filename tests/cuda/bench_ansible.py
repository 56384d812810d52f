"""Ansible, run on one machine under the checkout's own settings."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_cloud import SSH, eventually

ROOT = Path(__file__).resolve().parents[2]
PROMPTLY = 600  # seconds


@dataclass
class Run:
    """A run of Ansible's, and what it printed."""

    rc: int
    output: str
    seconds: float

    @property
    def changed(self) -> int:
        """Changed tasks."""
        return self._sum("changed")

    @property
    def failed(self) -> int:
        """Failed tasks."""
        return self._sum("failed")

    @property
    def unreachable(self) -> int:
        return self._sum("unreachable")

    def _sum(self, what: str) -> int:
        return sum(int(count) for count in re.findall(rf"\b{what}=(\d+)", self.output))

    def said(self, text: str) -> bool:
        """Whether the text was printed, however its lines were broken."""
        return " ".join(text.split()) in " ".join(self.output.split())

    def of(self, host: str) -> Run:
        """What was done on one of several hosts."""
        results = re.findall(rf"^(?:\w+: \[{host}\]|{host} +:).*\n(?: .*\n)*", self.output, re.M)
        # YAML writes an apostrophe twice.
        one = Run(0, "".join(results).replace("''", "'"), self.seconds)
        one.rc = 4 if one.unreachable else 2 if one.failed else 0
        return one


@dataclass
class Begun:
    """A run that goes on, until its block ends at the latest."""

    process: subprocess.Popen[bytes]
    log: Path
    started: float

    def __enter__(self) -> Begun:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop(signal.SIGKILL)

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def reaches(self, task: str) -> None:
        """Wait until a task of the role's is at work."""
        heading = f"TASK [cuda : {task}]"
        eventually(lambda: heading in self.output or self.process.poll() is not None, PROMPTLY)
        assert heading in self.output, self.output

    def stop(self, number: int) -> Run:
        """Send a signal to all of its processes on this machine, as a terminal does."""
        os.killpg(self.process.pid, number)
        return self.end()

    def end(self) -> Run:
        """Wait until it ends."""
        rc = self.process.wait(PROMPTLY)
        return Run(rc, self.output, time.monotonic() - self.started)


def ansible(program: str, *arguments: str, hosts: Mapping[str, Mapping[str, Any]], key: Path, folder: Path) -> Run:
    """Run one of Ansible's programs with an inventory of these hosts. What it leaves behind is in the folder.

    hosts: the variables of each, its address among them.
    """
    with begin(program, *arguments, hosts=hosts, key=key, folder=folder) as run:
        return run.end()


def begin(program: str, *arguments: str, hosts: Mapping[str, Mapping[str, Any]], key: Path, folder: Path) -> Begun:
    """As `ansible`, and do not wait for it."""
    reached_by = {
        "ansible_user": "admin",
        "ansible_ssh_private_key_file": str(key),
        "ansible_ssh_common_args": shlex.join(SSH),
    }
    inventory = folder / "inventory.yml"
    inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": reached_by}}))
    settings = {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_DEPRECATION_WARNINGS": "false",
        # Else a connection to an earlier machine might be taken for one to this.
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder),
        "COLUMNS": "400",
    }
    log = folder / "run.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(ROOT / ".venv/bin" / program), "-i", str(inventory), *arguments],
            cwd=ROOT,
            env=os.environ | settings,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Begun(process, log, time.monotonic())
