"""Machines of several tests on which the role runs at once: a run takes as long as its slowest machine."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_ansible import Begun, Run, begin
from bench_image import Bench
from bench_machine import Machine, hang_up

PLAY = {"hosts": "all", "become": True, "gather_subset": ["min"], "roles": ["cuda"]}


@dataclass
class Seen:
    """A machine after a run: what was done on it, and what it is like now."""

    run: Run
    boots: int
    sessions: int
    kernel: str
    loaded: str  # the first line of the driver's version file
    built: str  # version of the module for the running kernel
    answering: int  # GPUs
    held: set[str]
    packages: dict[str, str]  # installed ones, name -> version

    @classmethod
    def on(cls, machine: Machine, run: Run) -> Seen:
        packages = machine.out("dpkg-query -W -f '${db:Status-Abbrev} ${Package} ${Version}\n' | grep ^.i").splitlines()
        return cls(
            run,
            machine.boots(),
            machine.sessions(),
            machine.kernel,
            machine.loaded(),
            machine.run("modinfo -F version nvidia").stdout.strip(),
            machine.run("nvidia-smi -L").stdout.count("UUID"),
            set(machine.out("apt-mark showhold").split()),
            dict(line.split()[1:] for line in packages),
        )


@dataclass
class Fleet:
    """Fresh machines by the names that Ansible has for them. The folder is the fleet's own."""

    machines: dict[str, Machine]
    folder: Path

    def __getitem__(self, name: str) -> Machine:
        return self.machines[name]

    def converge(self, *arguments: str, **options: Mapping[str, Any]) -> dict[str, Seen]:
        """Run the role on some machines, each with its own variables; arguments are ansible-playbook's own."""
        with self.begin(*arguments, **options) as begun:
            run = begun.end()
        return {name: Seen.on(self[name], run.of(name)) for name in options}

    def begin(self, *arguments: str, **options: Mapping[str, Any]) -> Begun:
        """As `converge`, and do not wait for it."""
        hosts = {name: {"ansible_host": self[name].address, **options[name]} for name in options}
        playbook = self.folder / "play.yml"
        playbook.write_text(json.dumps([PLAY]))
        key = next(iter(self.machines.values())).key
        return begin("ansible-playbook", str(playbook), *arguments, hosts=hosts, key=key, folder=self.folder)


@contextlib.contextmanager
def fleet_of(bench: Bench, *names: str) -> Iterator[Fleet]:
    """Have these machines for a while."""
    # Short: a socket's path has at most 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="cuda-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        stack.callback(hang_up, folder)
        machines = {}
        for name, instance in zip(names, bench.launch(len(names)), strict=True):
            (folder / name).mkdir()
            machine = Machine(instance, bench.cloud.up(instance), bench.cloud.key, folder / name)
            stack.callback(bench.give_back, machine)
            machines[name] = stack.enter_context(machine.connected())
        yield Fleet(machines, folder)
