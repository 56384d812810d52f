"""The GPU's stand-in: what a machine of these tests shows, and what it says to modprobe."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench_machine import Machine
from bench_upstream import Upstream

from local_ec2.upstream.debs import Key, Package, publish_flat

T4, V100 = "1eb8", "1db1"
OPEN = "Dual MIT/GPL"
KEEP_OUT = "echo blacklist nouveau >/etc/modprobe.d/x.conf"
# Of what the others are tested with.
pytestmark = pytest.mark.slow


def test_a_fresh_machine_has_booted_once_with_no_driver(machine: Machine) -> None:
    assert (machine.boots(), machine.loads(), machine.loaded(), machine.sessions()) == (1, 0, "", 0)


def test_the_role_sees_what_there_is(machine: Machine) -> None:
    machine.shows_gpu(T4, V100, "1002:7362")
    machine.says_it_is("g4dn.12xlarge")
    seen = machine.look()
    assert (seen["gpus"], seen["others"], seen["family"]) == ([T4, V100], ["1002:7362"], "g4dn")


def test_a_bus_without_gpu_shows_none(machine: Machine) -> None:
    machine.shows_gpu()
    assert machine.look()["gpus"] == []
    machine.add_module("nvidia", "535.309.01")
    assert "No such device" in machine.run("modprobe nvidia").stderr


def test_modprobe_without_a_module_fails_in_the_words_of_the_real_one(machine: Machine) -> None:
    machine.shows_gpu(T4)
    done = machine.run("modprobe nvidia")
    assert done.returncode == 1
    assert f"FATAL: Module nvidia not found in directory /lib/modules/{machine.kernel}" in done.stderr


@pytest.mark.parametrize(
    ("name", "license", "told"),
    [
        ("nvidia-current", "NVIDIA", "NVIDIA UNIX x86_64 Kernel Module  535.309.01  "),
        ("nvidia", OPEN, "NVIDIA UNIX Open Kernel Module for x86_64  535.309.01  "),
    ],
)
def test_modprobe_loads_the_module(machine: Machine, name: str, license: str, told: str) -> None:
    machine.shows_gpu(T4)
    machine.add_module(name, "535.309.01", license=license)
    assert machine.loaded() == ""
    machine.run(f"modprobe {name}; modprobe {name}", check=True)
    assert told in machine.loaded()
    assert machine.look()["loaded"] == "535.309.01"
    assert machine.loads() == 1
    machine.run("rmmod nvidia", check=True)
    assert machine.loaded() == ""


def test_modprobe_follows_its_configuration(machine: Machine) -> None:
    machine.shows_gpu(T4)
    machine.put("/etc/modprobe.d/nvidia.conf", "install nvidia modprobe -i nvidia-current $CMDLINE_OPTS\n")
    machine.add_module("nvidia-current", "535.309.01")
    machine.run("modprobe nvidia", check=True)
    assert "535.309.01" in machine.loaded()


def test_open_modules_do_not_know_a_gpu_older_than_turing(machine: Machine) -> None:
    machine.shows_gpu(V100)
    machine.add_module("nvidia", "580.105.08", license=OPEN)
    assert "could not insert 'nvidia': No such device" in machine.run("modprobe nvidia").stderr


def test_a_reboot_loads_what_the_running_kernel_has(machine: Machine) -> None:
    machine.shows_gpu(T4)
    machine.add_kernel("6.99.0-1-cloud-amd64")
    machine.add_module("nvidia", "580.105.08", kernel="6.99.0-1-cloud-amd64")
    machine.add_module("nvidia", "535.309.01")
    machine.run("modprobe nvidia && rm -r /lib/modules/$(uname -r)/updates && depmod", check=True)
    machine.reboot()
    assert (machine.boots(), machine.loaded()) == (2, "")
    assert machine.look()["gpus"] == [T4]
    machine.add_module("nvidia", "535.309.02")
    machine.reboot()
    assert "535.309.02" in machine.loaded()


def test_a_reboot_ends_the_older_kernel(machine: Machine) -> None:
    machine.shows_gpu(T4)
    newer = machine.kernel
    machine.add_module("nvidia", "535.309.01")
    older = machine.runs_older_kernel()
    seen = machine.look()
    assert (seen["running"], seen["kernels"], list(seen["built"])) == (older, [older, newer], [newer])
    assert f"not found in directory /lib/modules/{older}" in machine.run("modprobe nvidia").stderr
    machine.reboot()
    assert machine.look()["running"] == newer
    assert "535.309.01" in machine.loaded()


def test_an_image_may_bring_a_driver(machine: Machine) -> None:
    machine.shows_gpu(T4)
    machine.brings_driver("580.105.08", open_module=True)
    assert machine.look()["loaded"] == "580.105.08"


def test_nouveau_has_the_gpu_until_it_is_kept_out_of_the_initramfs_and_the_rest(machine: Machine) -> None:
    machine.shows_gpu(T4)
    machine.has_nouveau()
    machine.add_module("nvidia", "535.309.01")
    assert "No such device" in machine.run("modprobe nvidia").stderr
    assert "is in use" in machine.run("rmmod nouveau").stderr
    machine.run(KEEP_OUT, check=True)
    machine.reboot()
    assert machine.run("test -e /sys/module/nouveau").returncode == 0
    machine.run("update-initramfs -u", check=True)
    machine.reboot()
    assert machine.run("test -e /sys/module/nouveau").returncode == 1
    assert "535.309.01" in machine.loaded()


def test_secure_boot_is_seen_and_refuses_what_was_compiled_here(machine: Machine) -> None:
    machine.shows_gpu(T4)
    assert not machine.look()["secure_boot"]
    machine.has_secure_boot()
    assert machine.look()["secure_boot"]
    machine.add_module("nvidia", "535.309.01")
    assert "Key was rejected by service" in machine.run("modprobe nvidia").stderr
    machine.run("rm -r /lib/modules/*/updates", check=True)
    machine.add_module("nvidia", "535.309.01", folder="kernel/nvidia-535srv")
    machine.run("modprobe nvidia", check=True)


@pytest.mark.parametrize(("version", "codename"), [("22.04", "jammy"), ("24.04", "noble")])
def test_it_poses_as_ubuntu(machine: Machine, version: str, codename: str) -> None:
    machine.poses_as_ubuntu(version)
    facts = machine.facts()
    seen = [facts[f"ansible_distribution{part}"] for part in ("", "_version", "_major_version", "_release")]
    assert seen == ["Ubuntu", version, version[:2], codename]


def test_systemd_is_well(machine: Machine) -> None:
    machine.shows_gpu(T4)
    machine.has_secure_boot()
    machine.says_it_is("g4dn.xlarge")
    machine.reboot()
    assert machine.out("systemctl is-system-running --wait; true") == "running"
    assert machine.out("journalctl --boot --quiet --unit ssh") != ""
    assert machine.out("cat /var/log/gpu-standin.err") == ""


def test_a_play_restarts_the_machine_and_its_sessions_are_counted(machine: Machine) -> None:
    machine.shows_gpu(T4)
    done = machine.play([{"ansible.builtin.reboot": {}}])
    assert (done.rc, done.changed, done.unreachable, machine.boots()) == (0, 1, 0, 2), done.output
    before = machine.sessions()
    assert machine.play([{"ansible.builtin.command": "true"}]).rc == 0
    # The interpreter is looked for, facts are gathered, and the command.
    assert machine.sessions() == before + 3


def test_a_signed_source_is_served_and_read(machine: Machine, upstream: Upstream, tmp_path: Path) -> None:
    key = Key.make(tmp_path / "key", "bench")
    publish_flat(upstream.directory / "flat", [Package("tiny", "1.0")], key, "bench", "bench")
    machine.apt_sources("bench", f"{upstream.url}/flat", "/", "", key.public(), only=True)
    machine.run("apt-get install -qy tiny", check=True)
    assert "/flat/tiny_1.0_amd64.deb" in [one["path"].replace("/./", "/") for one in upstream.requests()]
