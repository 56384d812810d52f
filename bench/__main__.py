"""Measure the local machine that `make local` converged, and print a table.

SSH sessions are counted where they arrive: the machine's sshd tells its journal of every session while this runs.
All figures are of one run on one machine, so compare them with each other rather than with other days'.
"""

from __future__ import annotations

import datetime
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INVENTORY = Path(os.environ.get("LOCAL_EC2_INVENTORY", ROOT / "inventories/local"))
SSH_CONFIG = INVENTORY / ".state/gluon-ec2/ssh_config"
MACHINE = "reader"
ROLES = ["cuda", "miniconda", "gluon_env", "jupyter"]
DROP_IN = "/etc/ssh/sshd_config.d/bench.conf"


@dataclass
class Figure:
    """One run: SSH sessions seen by sshd, seconds by the clock, changed tasks."""

    name: str
    sessions: int
    seconds: float
    changed: int


def ssh(command: str) -> str:
    """What a root command prints on the machine, over a connection that nothing else shares."""
    return subprocess.run(
        # Some attempts: sshd takes no connections for a moment while it reads its configuration again.
        [
            "ssh",
            "-F",
            SSH_CONFIG,
            "-o",
            "ControlPath=none",
            "-o",
            "ConnectionAttempts=5",
            MACHINE,
            f"sudo sh -c '{command}'",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


@contextmanager
def sshd_tells() -> Iterator[None]:
    """While this lasts, sshd logs every session."""
    ssh(f"echo LogLevel VERBOSE > {DROP_IN}; systemctl reload ssh")
    try:
        yield
    finally:
        ssh(f"rm -f {DROP_IN}; systemctl reload ssh")


def sessions_so_far() -> int:
    """Sessions of the login user in sshd's journal; the one that asks is not in it."""
    return int(ssh('journalctl -u ssh -o cat | grep -c "^Starting session: .* for admin" || true').strip())


def measure(name: str, command: list[str], environment: dict[str, str] | None = None) -> Figure:
    """Run a command that ends in Ansible's recap, and count.

    Raises SystemExit when the command fails: a figure of a failed run means nothing.
    """
    before, started = sessions_so_far(), time.monotonic()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | (environment or {}),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    seconds = time.monotonic() - started
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stdout}")
    # Of the sessions since, one is that of the first count itself.
    sessions = sessions_so_far() - before - 1
    return Figure(name, sessions, seconds, sum(int(count) for count in re.findall(r"changed=(\d+)", done.stdout)))


def playbook(file: str | Path, *arguments: str) -> list[str]:
    return [str(ROOT / ".venv/bin/ansible-playbook"), "-i", str(INVENTORY), str(file), *arguments]


def one_role(role: str, folder: Path) -> Path:
    """A playbook with the facts and one role of configure.yml."""
    file = folder / f"{role}.yml"
    roles = "" if role == "facts" else f"  roles: [{role}]\n"
    file.write_text(
        "- hosts: gluon\n  become: true\n  gather_subset: [min]\n"
        f"  vars_files: [{ROOT}/playbooks/editions/d2l-zh-v1.yml, {ROOT}/playbooks/vars/configure.yml]\n{roles}"
    )
    return file


def main() -> int:
    if not SSH_CONFIG.exists():
        sys.exit("There is no converged local machine to measure. Run `make local` first.")
    with tempfile.TemporaryDirectory() as name, sshd_tells():
        folder = Path(name)
        # A connection that was opened earlier would not tell: its sshd has read its configuration.
        os.environ["ANSIBLE_SSH_CONTROL_PATH_DIR"] = name
        figures = [
            measure("facts only", playbook(one_role("facts", folder))),
            measure("site.yml, nothing to do", playbook("site.yml")),
            *(measure(f"role {role}, nothing to do", playbook(one_role(role, folder))) for role in ROLES),
            measure("make local, warm", ["tools/local"]),
        ]
    facts, site = figures[0], figures[1]
    print(f"\n{datetime.date.today()}, {os.cpu_count()} cores\n")
    print(f"{'':<32} {'SSH sessions':>12} {'seconds':>8} {'changed':>8}")
    for figure in figures:
        print(f"{figure.name:<32} {figure.sessions:>12} {figure.seconds:>8.1f} {figure.changed:>8}")
    print(f"\nno-op site.yml over facts only: {site.seconds / facts.seconds:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
