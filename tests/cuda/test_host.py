"""A machine whose kernel, firmware or former driver is in the driver's way, or that has no GPU to drive."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench_fleet import Fleet, Seen, fleet_of
from bench_image import Bench
from bench_machine import Machine
from bench_upstream import Upstream
from conftest import Nvidia
from local_cloud import eventually

from local_ec2.upstream import driver
from local_ec2.upstream.debs import Key, Package, deb, publish_flat

T4, L4, V520 = "1eb8", "27b8", "1002:7362"
VERSION, OLDER, FOREIGN = "535.309.01", "535.261.03", "570.133.20"
NEVER = "6.99.0-1-cloud-amd64"  # a kernel that no machine here boots
QUIET = {"cuda_build_tools": False}
# Compiling takes minutes on a real machine; here only the first time.
COMPILES = "/var/tmp/compiles"
SLOW_DKMS = f"""\
#!/bin/sh
[ -e {COMPILES} ] || {{ touch {COMPILES} && sleep 60; }}
exec /usr/sbin/dkms.distrib "$@"
"""
FOUND = "dpkg -l | grep ^.i; find /etc /boot /lib/modules /usr/share/keyrings -printf '%p %T@ %s\\n' | sort"


def debian_driver() -> list[Package]:
    """Debian's driver, as far as the role sees it."""
    others = ("libcuda1", "libnvidia-ml1", "nvidia-modprobe", "nvidia-persistenced")
    held = {name: {} for name in others} | {
        "nvidia-kernel-dkms": {f"/usr/src/nvidia-{VERSION}/nvidia.ko": driver.module(VERSION, opened=False)},
        "nvidia-smi": {"/usr/bin/nvidia-smi": driver.smi(VERSION)},
    }
    dkms = Package("dkms", "99", architecture="all", files={"/usr/sbin/dkms": driver.DKMS})
    return [dkms, *(Package(name, f"{VERSION}-1~deb12u1", files=files) for name, files in held.items())]


def has_driver(machine: Machine, kernel: str = "") -> None:
    """Have Debian's driver, built for a kernel if one is named, and loaded by none."""
    machine.shows_gpu(T4)
    for package in debian_driver():
        machine.put(f"/root/{package.file}", deb(package))
    machine.run("dpkg -i /root/*.deb", check=True)
    if kernel:
        machine.add_headers(kernel)
        machine.run(f"dkms autoinstall -k {kernel}", check=True)


def uses_it(seen: Seen) -> bool:
    assert seen.run.rc == 0, seen.run.output
    return VERSION in seen.loaded and seen.answering == 1


def refused(seen: Seen, *sentences: str) -> bool:
    assert all(seen.run.said(sentence) for sentence in sentences), seen.run.output
    return seen.run.rc == 2


@pytest.fixture(scope="module")
def fleet(bench: Bench) -> Iterator[Fleet]:
    with fleet_of(
        bench, "nouveau", "older", "version", "never", "foreign", "cpu", "amd", "fraction", "secure"
    ) as fleet:
        for name in ("nouveau", "older", "version"):
            has_driver(fleet[name], fleet[name].kernel)
        fleet["nouveau"].has_nouveau()
        fleet["older"].runs_older_kernel()
        fleet["version"].brings_driver(OLDER)
        fleet["version"].run("rm /etc/gpu-standin/loaded_at_boot", check=True)
        fleet["never"].add_kernel(NEVER)
        has_driver(fleet["never"], NEVER)
        fleet["foreign"].shows_gpu(T4)
        fleet["foreign"].brings_driver(FOREIGN, open_module=True)
        fleet["foreign"].put("/usr/bin/nvidia-smi", driver.smi(FOREIGN), "0755")
        fleet["foreign"].put("/usr/bin/nvidia-uninstall", "#!/bin/sh\n", "0755")
        fleet["cpu"].shows_gpu()
        fleet["amd"].shows_gpu(V520)
        fleet["fraction"].shows_gpu(L4)
        fleet["fraction"].says_it_is("g6f.xlarge")
        fleet["secure"].shows_gpu(T4)
        fleet["secure"].has_secure_boot()
        yield fleet


@pytest.fixture(scope="module")
def found(fleet: Fleet) -> dict[str, str]:
    """What lies on each machine before the first run."""
    return {name: machine.out(FOUND) for name, machine in fleet.machines.items()}


@pytest.fixture(scope="module")
def first(fleet: Fleet, found: dict[str, str]) -> dict[str, Seen]:
    own = {"nouveau": QUIET | {"cuda_reboot": False}, "cpu": {}}
    return fleet.converge(**dict.fromkeys(fleet.machines, QUIET) | own)


@pytest.fixture(scope="module")
def second(fleet: Fleet, first: dict[str, Seen]) -> dict[str, Seen]:
    return fleet.converge(nouveau=QUIET, older=QUIET, version=QUIET, foreign=QUIET | {"cuda_driver_branch": "535"})


class TestRestart:
    def test_waits_for_permission(self, first: dict[str, Seen]) -> None:
        seen = first["nouveau"]
        why = "The machine has to be restarted: the kernel has given the GPU to nouveau. Restart it and run this again"
        assert refused(seen, why, "set cuda_reboot to true")
        assert (seen.boots, seen.loaded, seen.built) == (1, "", VERSION)

    def test_takes_the_gpu_from_nouveau(self, fleet: Fleet, second: dict[str, Seen]) -> None:
        assert uses_it(second["nouveau"]) and second["nouveau"].boots == 2
        assert "call update-initramfs -u -k all" in fleet["nouveau"].log()

    @pytest.mark.parametrize("name", ["older", "version"])
    def test_ends_an_older_kernel_or_driver_once(
        self, first: dict[str, Seen], second: dict[str, Seen], name: str
    ) -> None:
        assert uses_it(first[name]) and first[name].boots == 2
        assert uses_it(second[name]) and (second[name].boots, second[name].run.changed) == (2, 0)

    def test_that_does_not_help_is_not_repeated(self, first: dict[str, Seen]) -> None:
        seen = first["never"]
        still = f"still the driver is made for the kernel {NEVER}, and {seen.kernel} runs"
        assert refused(seen, f"The machine was restarted, and {still}. See which kernel") and seen.boots == 2


class TestForeignDriver:
    """One that no package brought."""

    def test_is_left_alone(self, first: dict[str, Seen]) -> None:
        run = first["foreign"].run
        assert (run.rc, run.changed) == (0, 0), run.output
        assert run.said(f"Driver {FOREIGN} was not installed by this role: it is left alone.")

    def test_is_not_exchanged(self, fleet: Fleet, found: dict[str, str], second: dict[str, Seen]) -> None:
        assert refused(second["foreign"], "remove it (sudo nvidia-uninstall, where NVIDIA's installer put it)")
        assert fleet["foreign"].out(FOUND) == found["foreign"]


def test_a_machine_without_a_gpu_is_told_of_and_left_alone(
    fleet: Fleet, found: dict[str, str], first: dict[str, Seen]
) -> None:
    run = first["cpu"].run
    assert (run.rc, run.changed) == (0, 0), run.output
    assert run.said("No NVIDIA GPU on the PCI bus: no driver is installed.")
    assert fleet["cpu"].out(FOUND) == found["cpu"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("amd", "This machine's GPU cannot be used: the GPU is AMD's Radeon Pro V520 (g4ad)"),
        (
            "fraction",
            "a g6f machine has a fraction of an L4, which wants NVIDIA's licensed GRID driver. Use another type",
        ),
        ("secure", "Secure Boot is on, and refuses a driver that is compiled here: switch it off, or use Ubuntu"),
    ],
    ids=["AMD", "a fraction of a GPU", "Secure Boot"],
)
def test_what_cannot_work_is_refused_before_anything_is_changed(
    fleet: Fleet, found: dict[str, str], first: dict[str, Seen], name: str, sentence: str
) -> None:
    assert refused(first[name], sentence) and first[name].run.changed == 0
    assert fleet[name].out(FOUND) == found[name]


def test_a_newer_kernel_is_told_of_and_gets_its_module(machine: Machine, upstream: Upstream, tmp_path: Path) -> None:
    has_driver(machine)
    headers = f"linux-headers-{machine.kernel}"
    files, links = {f"/usr/src/{headers}/Makefile": ""}, {f"/lib/modules/{machine.kernel}/build": f"/usr/src/{headers}"}
    key = Key.make(tmp_path / "key", "kernel")
    publish_flat(
        upstream.directory / "kernel", [Package(headers, "1", files=files, links=links)], key, "bench", "bench"
    )
    machine.apt_sources("kernel", f"{upstream.url}/kernel", "/", "", key.public(), only=True)
    verified = machine.converge(tasks_from="verify")
    assert verified.rc == 2
    assert verified.said(
        f"The driver's module is not built for the running kernel {machine.kernel}: run the cuda role again."
    )
    done = machine.converge(**QUIET)
    assert uses_it(Seen.on(machine, done)) and machine.boots() == 1
    verified = machine.converge(tasks_from="verify")
    assert (verified.rc, verified.changed) == (0, 0), verified.output
    assert f"  gpu  T4, driver {VERSION}, no CUDA toolkit\n" in verified.output


@pytest.mark.slow
def test_a_machine_that_restarts_meanwhile_is_finished_by_the_next_run(machine: Machine, repository: Nvidia) -> None:
    machine.shows_gpu(T4)
    machine.add_headers(machine.kernel)
    machine.run("dpkg-divert --local --rename /usr/sbin/dkms", check=True)
    machine.put("/usr/sbin/dkms", SLOW_DKMS, "0755")
    runs = []
    run = threading.Thread(target=lambda: runs.append(machine.converge(**repository.options())))
    run.start()
    eventually(lambda: machine.run(f"test -e {COMPILES}").returncode == 0)
    machine.reboot()
    run.join()
    # The connection may have been made again.
    assert runs[0].unreachable or runs[0].said(
        "apt could not do its work: it broke off, as when the machine restarts meanwhile."
    ), runs[0].output
    done = machine.converge(**repository.options())
    assert done.rc == 0, done.output
    assert machine.out("nvidia-smi -L").count("UUID") == 1 and not machine.out("dpkg --audit")
    assert machine.converge(**repository.options()).changed == 0


def test_check_mode_says_what_would_be_installed(machine: Machine) -> None:
    machine.shows_gpu(T4)
    before = machine.out(FOUND)
    done = machine.converge(check=True)
    assert done.rc == 0, done.output
    assert done.said("to be installed: build-essential, git, libgfortran5, nvidia-kernel-dkms, nvidia-smi")
    assert machine.out(FOUND) == before
