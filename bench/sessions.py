"""What a run costs that has nothing to do: SSH sessions and seconds, of all, of one role, and of the facts alone.

Sessions are counted where they arrive: the machine's sshd tells its journal of every one while this runs.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml

from bench.local import ANSIBLE, INVENTORY, ROOT, STATE, Figure, play, role, timed

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


def own_inventory() -> Path:
    """An inventory as docs/ops.md has it, a file of hosts, with the choices of ours. EC2 is not asked."""
    folder = ROOT / ".cache/bench-inventory"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "group_vars").mkdir(parents=True)
    for name in ("group_vars/all.yml", "upstream.yml"):
        if (INVENTORY / name).exists():
            shutil.copy(INVENTORY / name, folder / name)
    reached = {
        "ansible_ssh_common_args": f'-F "{STATE / "ssh_config"}"',
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    hosts = {"notebooks": {"hosts": {MACHINE: None}, "vars": reached}}
    (folder / "hosts.yml").write_text(yaml.safe_dump(hosts))
    return folder


def cost(file: str | os.PathLike[str], *arguments: str, inventory: Path = INVENTORY) -> Cost:
    """Run a playbook that must have nothing to do, and count."""
    before = sessions_so_far()
    seconds, printed = timed(str(file), [ANSIBLE, "-i", inventory, file, *arguments])
    if changed := sum(int(count) for count in re.findall(r"changed=(\d+)", printed)):
        sys.exit(f"{file} has changed {changed} things and should have had nothing to do:\n{printed[-5000:]}")
    # Of the sessions since, one is that of the first count itself.
    return Cost(sessions_so_far() - before - 1, seconds)


def measure() -> list[Figure]:
    own, there = own_inventory(), ("-e", f"hosts={MACHINE}")
    facts, all_facts = play("facts", []), play("all-facts", [], gather_subset=["all"])
    roles = {name: role(name) for name in ROLES}
    runs = {
        "facts": partial(cost, facts, *there),
        "all facts": partial(cost, all_facts, *there),
        "site": partial(cost, "site.yml"),
        **{name: partial(cost, file, *there) for name, file in roles.items()},
        **{f"{name}, hosts.yml": partial(cost, file, *there, inventory=own) for name, file in roles.items()},
    }
    with sshd_tells():
        every = [{name: run() for name, run in runs.items()} for _ in range(TIMES)]
    best = {name: min((costs[name] for costs in every), key=lambda one: one.seconds) for name in runs}
    seconds = {name: one.seconds for name, one in best.items()}
    alone = {name: best[f"{name}, hosts.yml"] for name in ROLES}
    dear = max(ROLES, key=lambda name: alone[name].seconds)
    site, facts_only, mine, ours = seconds["site"], seconds["facts"], alone[dear].seconds, seconds[dear]
    each = ", ".join(f"{name} {one.sessions} ({one.seconds:.2f} s)" for name, one in alone.items())
    return [
        Figure(
            "site.yml with nothing to do: SSH sessions",
            best["site"].sessions,
            "",
            25,
            f"facts only: {best['facts'].sessions}",
        ),
        Figure(
            "the same, over a run that gathers facts only",
            site / seconds["all facts"],
            "times",
            3,
            f"{site:.2f} and {seconds['all facts']:.2f} s; {site / facts_only:.2f} times, if only those are gathered "
            f"that our plays gather ({facts_only:.2f} s)",
        ),
        Figure(
            f"one role with nothing to do (the dearest, {dear}), on a file of hosts, over all of site.yml",
            mine / site,
            "times",
            0.35,
            f"{mine:.2f} and {site:.2f} s; on EC2's inventory {ours / site:.2f} times ({ours:.2f} s), and "
            f"{(ours - facts_only) / (site - facts_only):.2f}, if the facts are taken off both; "
            f"sessions, facts included, and seconds on a file of hosts: {each}",
        ),
    ]
