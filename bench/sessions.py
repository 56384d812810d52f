"""What a run costs that has nothing to do: SSH sessions and seconds, of all, of one role, and of the facts alone.

Sessions are counted where they arrive: the machine's sshd tells its journal of every one while this runs.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.local import ANSIBLE, INVENTORY, STATE, Figure, play, role, timed

MACHINE = "reader"
# Those that a local machine has: it never stops itself.
ROLES = ["cuda", "miniconda", "gluon_env", "jupyter"]
DROP_IN = "/etc/ssh/sshd_config.d/bench.conf"
# A run of seconds is disturbed by anything; of as many the quickest counts, of each kind alike.
TIMES = 9


@dataclass
class Cost:
    """Of one run: sessions that sshd saw, and seconds."""

    sessions: int
    seconds: float


def ssh(command: str) -> str:
    """What a root command prints on the machine, over a connection that nothing else shares."""
    # Some attempts: sshd takes no connections for a moment while it reads its configuration again.
    options = ["-o", "ControlPath=none", "-o", "ConnectionAttempts=5"]
    return timed(command, ["ssh", "-F", STATE / "ssh_config", *options, MACHINE, f"sudo sh -c '{command}'"])[1]


@contextmanager
def sshd_tells() -> Iterator[None]:
    """While this lasts, sshd logs every session, and no connection of before is used, which would not tell."""
    ssh(f"echo LogLevel VERBOSE > {DROP_IN}; systemctl reload ssh")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ANSIBLE_SSH_CONTROL_PATH_DIR"] = folder
        try:
            yield
        finally:
            del os.environ["ANSIBLE_SSH_CONTROL_PATH_DIR"]
            ssh(f"rm -f {DROP_IN}; systemctl reload ssh")


def sessions_so_far() -> int:
    """Sessions of the login user in sshd's journal; the one that asks is not in it."""
    return int(ssh('journalctl -u ssh -o cat | grep -c "^Starting session: .* for admin" || true').strip())


def cost(file: str | os.PathLike[str], *arguments: str) -> Cost:
    """Run a playbook that must have nothing to do, and count."""
    before = sessions_so_far()
    seconds, printed = timed(str(file), [ANSIBLE, "-i", INVENTORY, file, *arguments])
    if changed := sum(int(count) for count in re.findall(r"changed=(\d+)", printed)):
        sys.exit(f"{file} has changed {changed} things and should have had nothing to do:\n{printed[-5000:]}")
    # Of the sessions since, one is that of the first count itself.
    return Cost(sessions_so_far() - before - 1, seconds)


def measure() -> list[Figure]:
    files = {
        "facts": (play("facts", []), "-e", f"hosts={MACHINE}"),
        "all facts": (play("all-facts", [], gather_subset=["all"]), "-e", f"hosts={MACHINE}"),
        "site": ("site.yml",),
        **{name: (role(name), "-e", f"hosts={MACHINE}") for name in ROLES},
    }
    with sshd_tells():
        every = [{name: cost(*arguments) for name, arguments in files.items()} for _ in range(TIMES)]
    best = {name: min((costs[name] for costs in every), key=lambda one: one.seconds) for name in files}
    facts, all_facts, site = best["facts"], best["all facts"], best["site"]
    dear = max(ROLES, key=lambda name: best[name].seconds)
    beyond = (best[dear].seconds - facts.seconds) / (site.seconds - facts.seconds)
    told = ", ".join(f"{name} {best[name].sessions} ({best[name].seconds:.1f} s)" for name in ROLES)
    return [
        Figure("site.yml with nothing to do: SSH sessions", site.sessions, "", 25, f"facts only: {facts.sessions}"),
        Figure(
            "the same, over a run that gathers facts only",
            site.seconds / all_facts.seconds,
            "times",
            3,
            f"{site.seconds:.2f} and {all_facts.seconds:.2f} s; {site.seconds / facts.seconds:.2f} times, if only "
            f"those are gathered that our plays gather ({facts.seconds:.2f} s)",
        ),
        Figure(
            f"one role with nothing to do (the dearest, {dear}), over all of site.yml",
            best[dear].seconds / site.seconds,
            "times",
            0.35,
            f"{beyond:.2f} times, if the facts are taken off both; sessions, facts included: {told}",
        ),
    ]
