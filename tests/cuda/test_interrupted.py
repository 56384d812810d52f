"""A run that is killed, or meets another at work: the next one waits for what goes on, and does nothing twice."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from bench_ansible import Begun, Run
from bench_faults import (
    APT,
    APT_HOLD,
    APT_WAITS,
    CONFIGURED,
    FAULT,
    FRONTEND,
    HELD,
    LET_GO,
    LISTS,
    M60,
    OF_TOOLKIT,
    RECORD,
    UNPACKED,
    alone,
    configures_slowly,
    converge,
    cut,
    hold,
    is_there,
    toolkit,
)
from bench_fleet import Fleet, fleet_of
from bench_image import Bench
from conftest import Nvidia
from local_cloud import eventually

Options = dict[str, Any]
Runs = dict[str, Run]
# Its runs wait for each other at every turn.
pytestmark = pytest.mark.slow


@dataclass
class Kills:
    """Runs on the same machines: two were killed, the third met what they had left at work, and one more."""

    fleet: Fleet
    killed: list[Run]
    third: Runs
    fourth: Runs
    locks: list[str]


@pytest.fixture(scope="module")
def kills(bench: Bench, repository: Nvidia, runfiles: dict[str, Options]) -> Iterator[Kills]:
    options = {"packages": toolkit(repository), "runfile": toolkit(repository, runfiles["10.2"])}
    with fleet_of(bench, "packages", "runfile", "cut", "waits") as fleet:
        for machine in fleet.machines.values():
            machine.shows_gpu(M60)
            alone(machine)
        for name in ("packages", "cut"):
            fleet[name].put("/etc/apt/apt.conf.d/99hold", APT)
            fleet[name].run(f"touch {APT_HOLD}", check=True)
        fleet["runfile"].put(FAULT, "CUDA_STANDIN_FAULT=kill\n")

        def at_work(run: Begun) -> None:
            run.reaches("Wait for the end")
            eventually(is_there(fleet["packages"], APT_WAITS))
            eventually(is_there(fleet["runfile"], f"{RECORD}.halfway"))

        killed = []
        for number in (signal.SIGKILL, signal.SIGINT):
            with fleet.begin(**options) as run:
                at_work(run)
                killed.append(run.stop(number))
        waits = fleet["waits"]
        configures_slowly(waits)
        hold(waits, LISTS)
        locks = [waits.out(f"stat -c %i {FRONTEND} {LISTS}")]
        options |= {"cut": toolkit(repository), "waits": toolkit(repository)}
        with fleet.begin(**options) as run:
            run.reaches("Finish an interrupted installation")
            time.sleep(3)
            waits.run(f"rm {UNPACKED}", check=True)
            run.reaches("Ask the archives what they have")
            time.sleep(3)
            waits.run(f"rm {HELD}", check=True)
            run.reaches("Wait for the end")
            eventually(is_there(fleet["cut"], APT_WAITS))
            cut(fleet["cut"])
            for name in ("packages", "cut"):
                fleet[name].run(f"rm {APT_HOLD}", check=True)
            fleet["runfile"].run(f"rm {RECORD}.halfway", check=True)
            done = run.end()
        locks.append(waits.out(f"stat -c %i {FRONTEND} {LISTS}"))
        third = {name: done.of(name) for name in options}
        yield Kills(fleet, killed, third, converge(fleet, **options), locks)


def test_a_run_can_be_killed(kills: Kills) -> None:
    assert [run.rc for run in kills.killed] == [-signal.SIGKILL, 99]


@pytest.mark.parametrize("name", ["packages", "runfile", "cut", "waits"])
def test_a_run_waits_for_who_is_at_work_and_succeeds(kills: Kills, name: str) -> None:
    assert kills.third[name].rc == 0, kills.third[name].output
    assert kills.fleet[name].run("bash -lc 'nvcc --version'").returncode == 0


@pytest.mark.parametrize("name", ["packages", "runfile", "cut", "waits"])
def test_then_nothing_is_left_to_do(kills: Kills, name: str) -> None:
    assert (kills.fourth[name].rc, kills.fourth[name].changed) == (0, 0), kills.fourth[name].output


@pytest.mark.parametrize("name", ["packages", "cut", "waits"])
def test_a_package_is_installed_once(kills: Kills, name: str) -> None:
    assert kills.fleet[name].out(f"grep -c 'status installed {OF_TOOLKIT}:' /var/log/dpkg.log") == "1"


def test_a_runfile_is_run_once(kills: Kills) -> None:
    assert kills.fleet["runfile"].out(f"wc -l <{RECORD}") == "1"


def test_whoever_holds_apt_ends_by_itself(kills: Kills) -> None:
    assert all(is_there(kills.fleet["waits"], path)() for path in (CONFIGURED, LET_GO))
    assert kills.locks[0] == kills.locks[1]
