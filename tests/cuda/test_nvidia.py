"""The driver from NVIDIA's repository."""

from __future__ import annotations

import pytest
from bench_machine import Machine
from conftest import Nvidia


@pytest.fixture
def gpu(machine: Machine) -> Machine:
    """A machine with a T4, and with what a module for its kernel is compiled with."""
    machine.shows_gpu("1eb8")
    machine.add_headers(machine.kernel)
    return machine


def test_it_is_installed_pinned_held_and_loaded(gpu: Machine, repository: Nvidia) -> None:
    first = gpu.converge(**repository.options())
    assert first.rc == 0, first.output
    assert "580.105.08" in gpu.loaded() and "Open Kernel Module" in gpu.loaded()
    assert gpu.out("nvidia-smi -L").count("UUID") == 1
    assert {"nvidia-open", "libcuda1"} <= set(gpu.out("apt-mark showhold").split())
    assert gpu.out("systemctl is-active nvidia-persistenced") == "active"
    assert gpu.boots() == 1
    before = gpu.sessions()
    again = gpu.converge(**repository.options())
    assert (again.rc, again.changed) == (0, 0), again.output
    assert gpu.sessions() - before <= 6


@pytest.mark.slow
def test_its_branch_goes_up_and_down_with_one_restart_each(gpu: Machine, repository: Nvidia) -> None:
    way = [("580", "580.105.08"), ("595", "595.58.03"), ("580", "580.105.08")]
    for boots, (branch, version) in enumerate(way, start=1):
        done = gpu.converge(**repository.options(cuda_driver_branch=branch))
        assert done.rc == 0, done.output
        assert version in gpu.loaded() and gpu.boots() == boots
        assert gpu.out("modinfo -F version nvidia") == version
        assert gpu.out("dpkg-query -W -f '${Version}' libcuda1").startswith(version)
