"""Ubuntu's drivers, whose modules are made for its kernels; and what becomes of them when the archive moves on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from bench_fleet import Fleet, Seen, fleet_of
from bench_image import FLAVOUR, Bench
from bench_machine import Machine
from bench_upstream import Upstream

from local_ec2.upstream import ubuntu
from local_ec2.upstream.debs import Key

T4, V100 = "1eb8", "1db1"
METAS = {"linux-aws", "linux-image-aws", "linux-headers-aws"}
FOUND, NEWER = ubuntu.DRIVERS[580], "580.105.08"
Rounds = list[dict[str, Seen]]


@dataclass
class Archive:
    """Ubuntu's archive in a folder of its own. All of it is there; machines know of its main only."""

    folder: Path
    url: str
    key: Key

    def publish(self, **state: Any) -> None:
        """Have it in this state, or another one than before."""
        ubuntu.build(self.folder, print, key=self.key, suites=["jammy"], **state)

    def known_to(self, machine: Machine) -> None:
        """Have a machine take its kernel from here, and follow it, as one of EC2's does."""
        machine.poses_as_ubuntu("22.04")
        machine.apt_sources("ubuntu", self.url, "jammy", "main", self.key.public(), only=True)
        machine.run(f"dpkg --purge linux-image-{FLAVOUR} linux-headers-{FLAVOUR}", check=True)
        machine.run("apt-get install -qy linux-aws", check=True)


@pytest.fixture(scope="module")
def archive(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    key = Key.make(tmp_path_factory.mktemp("key") / "ubuntu", "Ubuntu Archive")
    return Archive(upstream.directory / "ubuntu", f"{upstream.url}/ubuntu", key)


@pytest.fixture(scope="module")
def fleet(bench: Bench) -> Iterator[Fleet]:
    with fleet_of(bench, "upgraded", "branches", "volta", "kernel") as fleet:
        yield fleet


@pytest.fixture(scope="module")
def rounds(fleet: Fleet, archive: Archive) -> Rounds:
    """Each machine after each of three runs. After the first one the archive has a newer kernel and a newer driver."""
    for name, machine in fleet.machines.items():
        machine.shows_gpu(V100 if name == "volta" else T4)
        newer, older = machine.kernel, machine.runs_older_kernel()
        machine.run(f"rm -r /boot/vmlinuz-* /lib/modules/{newer}", check=True)
    fleet["volta"].has_secure_boot()
    archive.publish(kernels=[older])
    for machine in fleet.machines.values():
        archive.known_to(machine)
    quiet = {"cuda_build_tools": False}
    in_580, in_535 = quiet | {"cuda_driver_branch": "580"}, quiet | {"cuda_driver_branch": "535"}
    first = fleet.converge(upgraded=quiet, branches=in_580, volta=quiet, kernel=quiet)
    archive.publish(kernels=[older, newer], drivers=ubuntu.DRIVERS | {580: NEWER})
    fleet["upgraded"].run("apt-get update -q", check=True)
    by_hand = f"apt-get install -qy --allow-change-held-packages {' '.join(METAS)}"
    fleet["kernel"].run(f"apt-get update -q && {by_hand}", check=True)
    second = fleet.converge(upgraded=quiet, branches=in_535, kernel=quiet)
    third = fleet.converge(upgraded=quiet | {"cuda_driver_upgrade": True}, branches=in_580, kernel=quiet)
    return [first, second, third]


def driver_of(seen: Seen, branch: str, flavour: str = "-open") -> set[str]:
    """All packages of a driver."""
    named = ("libnvidia-compute", "nvidia-compute-utils", "nvidia-kernel-common", "nvidia-utils")
    modules = f"linux-modules-nvidia-{branch}-server{flavour}"
    made_for = {f"nvidia-headless-no-dkms-{branch}-server{flavour}", f"{modules}-aws", f"{modules}-{seen.kernel}"}
    return {f"{name}-{branch}-server" for name in named} | made_for


def uses(seen: Seen, version: str) -> bool:
    """Whether this version is the one in the kernel, on the disk and in the libraries, and answers."""
    assert seen.run.rc == 0, seen.run.output
    libraries = [seen.packages[name] for name in seen.packages if name.startswith("libnvidia-compute-")]
    return (
        f"  {version}  " in seen.loaded
        and seen.built == version
        and [one.partition("-")[0] for one in libraries] == [version]
        and seen.answering == 1
    )


def test_open_modules_made_for_the_kernel_are_installed_and_loaded(rounds: Rounds) -> None:
    seen = rounds[0]["upgraded"]
    assert uses(seen, FOUND) and "Open Kernel Module" in seen.loaded
    assert seen.boots == 1
    assert not {"dkms", "gcc", "make", "build-essential"} & set(seen.packages)


def test_the_driver_is_held_with_its_kernel(rounds: Rounds) -> None:
    seen = rounds[0]["upgraded"]
    assert seen.held == METAS | driver_of(seen, "580")


def test_the_rest_of_the_archive_is_added_as_the_machine_knows_it(fleet: Fleet, rounds: Rounds) -> None:
    added = fleet["upgraded"].out("cat /etc/apt/sources.list.d/cuda.sources")
    there = fleet["upgraded"].out("cat /etc/apt/sources.list.d/ubuntu.sources")
    assert added == there.replace("Components: main", "Components: restricted multiverse")


def test_unattended_upgrades_and_nouveau_are_kept_away(fleet: Fleet, rounds: Rounds) -> None:
    assert '"^libnvidia-"' in fleet["upgraded"].out("apt-config dump Unattended-Upgrade::Package-Blacklist")
    assert "blacklist nouveau" in fleet["upgraded"].out("modprobe --showconfig")


def test_the_driver_stays_as_it_is_when_the_archive_has_a_newer_one(rounds: Rounds) -> None:
    first, second, _ = (one["upgraded"] for one in rounds)
    assert uses(second, FOUND) and second.run.changed == 0
    assert second.sessions - first.sessions <= 6


def test_the_driver_is_upgraded_with_its_kernel_when_asked_with_one_restart(rounds: Rounds) -> None:
    first, _, third = (one["upgraded"] for one in rounds)
    assert uses(third, NEWER) and third.boots == 2 and third.kernel != first.kernel
    assert third.held >= METAS | driver_of(third, "580")


def test_a_branch_takes_another_s_place_with_one_restart(rounds: Rounds) -> None:
    for boots, (branch, version) in enumerate([("580", FOUND), ("535", ubuntu.DRIVERS[535]), ("580", NEWER)], start=1):
        seen = rounds[boots - 1]["branches"]
        assert uses(seen, version) and seen.boots == boots
        assert seen.held == METAS | driver_of(seen, branch)
        assert {name for name in seen.packages if "nvidia" in name} == driver_of(seen, branch)


def test_an_older_gpu_has_proprietary_modules_and_secure_boot_lets_them_in(rounds: Rounds) -> None:
    seen = rounds[0]["volta"]
    assert uses(seen, FOUND) and "Open" not in seen.loaded
    assert seen.held == METAS | driver_of(seen, "580", "")


def test_a_kernel_that_came_without_its_modules_gets_them_with_one_restart(rounds: Rounds) -> None:
    first, second, third = (one["kernel"] for one in rounds)
    assert uses(first, FOUND) and first.boots == 1
    assert uses(second, NEWER) and second.boots == 2 and second.kernel != first.kernel
    assert second.held >= METAS | driver_of(second, "580")
    assert (third.run.rc, third.run.changed, third.boots) == (0, 0, 2), third.run.output
