"""What the cuda role decides on a machine: a driver, its holds and files. The refusals are in test_cuda_refusals.py."""

from __future__ import annotations

import pytest
from cuda_machine import DEFAULTS, KERNELS, TABLES, Machine

from plugins.module_utils.cuda_plan import MODULES, NVIDIA_SOURCES, PREFERENCES, SOURCES, UPGRADES, files_of

PLATFORM = TABLES["platforms"]["Debian 12"]
DEBIAN_535 = ["nvidia-kernel-dkms", "nvidia-smi", "libcuda1", "libnvidia-ml1", "nvidia-modprobe", "nvidia-persistenced"]
UBUNTU_580 = [
    "linux-image-aws",
    "linux-modules-nvidia-580-server-open-aws",
    "nvidia-headless-no-dkms-580-server-open",
    "nvidia-utils-580-server",
]


def test_without_a_gpu_nothing_is_done() -> None:
    plan = Machine(gpus=[]).plan()
    assert (plan["gpus"], plan["work"], plan["settle"]) == ([], False, False)
    assert plan["notes"] == ["No NVIDIA GPU on the PCI bus: no driver is installed."]


def test_a_gpu_is_known_by_its_pci_id() -> None:
    assert [gpu["name"] for gpu in Machine(gpus=["2237", "2237"]).plan()["gpus"]] == ["A10G", "A10G"]


def test_a_gpu_that_is_not_there_yet_can_be_named() -> None:
    plan = Machine(gpus=[]).plan(gpu="L4")
    assert [gpu["name"] for gpu in plan["gpus"]] == ["L4"]
    assert plan["load"] == "" and plan["restart"] == []


class TestDriver:
    def test_of_debian_is_compiled_and_follows_the_kernel(self) -> None:
        packages = Machine().plan()["packages"]
        assert packages == ["linux-image-cloud-amd64", "linux-headers-cloud-amd64", *DEBIAN_535]

    def test_of_an_old_gpu_is_its_last_branch(self) -> None:
        assert "nvidia-tesla-470-kernel-dkms" in Machine(gpus=["102d"]).plan()["packages"]

    def test_of_ubuntu_is_prebuilt_for_the_kernel_s_flavour(self) -> None:
        assert Machine(system="Ubuntu 22").plan()["packages"] == UBUNTU_580
        other = Machine(system="Ubuntu 24", kernel_flavour="generic-hwe-24.04").plan()["packages"]
        assert "linux-modules-nvidia-580-server-open-generic-hwe-24.04" in other

    def test_of_ubuntu_for_an_old_gpu_has_proprietary_modules(self) -> None:
        packages = Machine(system="Ubuntu 22", gpus=["1db1"]).plan()["packages"]
        assert "linux-modules-nvidia-580-server-aws" in packages

    def test_of_nvidia_is_pinned_to_its_branch_first(self) -> None:
        plan = Machine().plan(driver="nvidia")
        assert plan["pinning"] == ["nvidia-driver-pinning-580"]
        assert plan["packages"] == ["linux-image-cloud-amd64", "linux-headers-cloud-amd64", "nvidia-open"]

    def test_of_nvidia_for_an_old_gpu_is_proprietary(self) -> None:
        assert "cuda-drivers" in Machine(gpus=["1db1"]).plan(driver="nvidia")["packages"]

    def test_the_newest_fitting_branch_is_the_oldest_gpu_s(self) -> None:
        assert "nvidia-tesla-470-kernel-dkms" not in Machine(gpus=["1eb8", "13f2"]).plan()["packages"]
        assert "nvidia-tesla-470-kernel-dkms" in Machine(gpus=["13f2", "102d"]).plan()["packages"]

    def test_can_be_left_to_others(self) -> None:
        built = {KERNELS["Debian 12"]: {"module": "nvidia", "version": "535.309.01"}}
        for machine in (Machine(), Machine(nouveau=True), Machine(built=built)):
            plan = machine.plan(driver="none", build_tools=False)
            assert (plan["work"], plan["settle"]) == (False, False)

    def test_brings_the_files_it_needs(self) -> None:
        assert {file["path"] for file in Machine().plan()["files"]} == {SOURCES, UPGRADES, MODULES}
        of_nvidia = {file["path"] for file in Machine().plan(driver="nvidia")["files"]}
        assert of_nvidia == {NVIDIA_SOURCES, UPGRADES, MODULES}

    def test_of_nvidia_has_its_key_once_for_each_package_it_comes_in(self) -> None:
        machine = Machine()
        first = machine.plan(driver="nvidia")["keyring"]["path"]
        machine.look["files"][first] = "a key"
        assert machine.plan(driver="nvidia")["keyring"] == {}
        other = "0" * 64
        machine.look["files"] |= dict.fromkeys(files_of(DEFAULTS | {"keyring_sha256": other}, PLATFORM), "")
        assert machine.plan(driver="nvidia", keyring_sha256=other)["keyring"]["path"] != first

    def test_of_nvidia_s_repository_is_out_of_reach_where_only_a_toolkit_comes_from_there(self) -> None:
        files = Machine().plan(toolkits=[{"version": "12.4"}])["files"]
        (text,) = [file["text"] for file in files if file["path"] == PREFERENCES]
        assert "Pin: release l=NVIDIA CUDA\nPin-Priority: -1" in text


class TestInstalledDriver:
    def test_wants_nothing(self) -> None:
        plan = Machine.with_driver().plan()
        assert (plan["work"], plan["settle"]) == (False, False)

    def test_of_ubuntu_wants_nothing(self) -> None:
        plan = Machine.with_driver("Ubuntu 22", UBUNTU_580, "580.95.05").plan()
        assert (plan["work"], plan["settle"]) == (False, False)

    def test_is_held_with_all_that_has_its_version(self) -> None:
        machine = Machine.with_driver(state="i")
        machine.installed("nvidia-alternative", "535.309.01-0+deb12u1")
        machine.installed("nvidia-cuda-toolkit", "11.8.89~11.8.0-5")
        assert machine.plan()["hold"] == sorted([*DEBIAN_535, "nvidia-alternative"])

    def test_of_ubuntu_is_held_with_its_kernel(self) -> None:
        machine = Machine.with_driver("Ubuntu 22", UBUNTU_580, "580.95.05", state="i")
        machine.installed("linux-aws", "6.8.0.1021.23")
        assert {"linux-aws", "linux-image-aws"} <= set(machine.plan()["hold"])

    def test_stays_at_its_branch_when_a_newer_one_comes(self) -> None:
        names = [name.replace("580", "535") for name in UBUNTU_580]
        plan = Machine.with_driver("Ubuntu 22", names, "535.309.01").plan()
        assert (plan["packages"], plan["remove"]) == ([], [])

    def test_of_another_branch_is_exchanged_when_asked(self) -> None:
        plan = Machine.with_driver().plan(driver_branch="470")
        assert "nvidia-tesla-470-kernel-dkms" in plan["packages"]
        assert plan["remove_after"] == sorted(set(DEBIAN_535) - {"nvidia-modprobe", "nvidia-persistenced"})
        assert plan["remove"] == plan["download"] == []

    def test_of_another_source_is_exchanged_when_asked(self) -> None:
        plan = Machine.with_driver().plan(driver="nvidia")
        assert "nvidia-open" in plan["packages"] and "nvidia-kernel-dkms" in plan["remove"]

    def test_of_nvidia_s_other_branch_is_exchanged_whole(self) -> None:
        machine = Machine.with_driver(names=["nvidia-open", "libcuda1"], version="580.95.05")
        plan = machine.plan(driver="nvidia", driver_branch="595")
        assert plan["pinning"] == ["nvidia-driver-pinning-595"]
        assert plan["remove"] == ["libcuda1", "nvidia-open"] and "nvidia-open" in plan["packages"]

    def test_of_ubuntu_s_other_branch_leaves_the_held_kernel_packages_as_they_are(self) -> None:
        plan = Machine.with_driver("Ubuntu 22", UBUNTU_580, "580.95.05").plan(driver_branch="535")
        assert not {"linux-image-aws", "linux-headers-aws"} & set(plan["packages"])

    def test_of_ubuntu_is_upgraded_with_all_that_follows_its_kernel(self) -> None:
        machine = Machine.with_driver("Ubuntu 22", UBUNTU_580, "580.95.05")
        machine.installed("linux-aws", "6.8.0.1021.23", "h")
        upgraded = machine.plan(driver_upgrade=True)["upgrade"]
        assert {"linux-aws", "linux-image-aws", "linux-headers-aws"} <= set(upgraded)

    def test_takes_no_toolkit_along_that_hangs_on_it(self) -> None:
        machine = Machine.with_driver(toolkits={"/usr/lib/cuda": "11.8"})
        for name in ("nvidia-cuda-toolkit", "nvidia-cuda-toolkit-gcc"):
            machine.installed(name, "11.8.89~11.8.0-5")
        plan = machine.plan(driver="nvidia", toolkits=[{"source": "distribution"}])
        assert plan["remove"] and "nvidia-cuda-toolkit" in plan["packages"]

    def test_is_not_exchanged_for_what_debian_gives_to_those_that_link_to_one(self) -> None:
        machine = Machine.with_driver()
        for name in ("libnvidia-tesla-ml1", "nvidia-tesla-alternative", "nvidia-tesla-legacy-check"):
            machine.installed(name, "525.147.05-15~deb12u1")
        plan = machine.plan()
        assert (plan["work"], plan["settle"]) == (False, False)

    def test_with_other_modules_is_exchanged_when_asked(self) -> None:
        plan = Machine.with_driver().plan(driver_modules="open")
        assert plan["remove_after"] == ["nvidia-kernel-dkms"] and "nvidia-open-kernel-dkms" in plan["packages"]

    def test_is_upgraded_within_its_branch_when_asked(self) -> None:
        assert set(DEBIAN_535) <= set(Machine.with_driver().plan(driver_upgrade=True)["upgrade"])


class TestKernel:
    def test_newer_than_the_compiled_module_gets_one(self) -> None:
        machine = Machine.with_driver(kernels=["6.1.0-50-cloud-amd64", "6.1.0-56-cloud-amd64"])
        assert machine.plan()["rebuild"] == {
            "kernel": "6.1.0-56-cloud-amd64",
            "packages": ["linux-headers-6.1.0-56-cloud-amd64"],
        }

    def test_newer_than_the_prebuilt_modules_gets_theirs(self) -> None:
        machine = Machine.with_driver("Ubuntu 22", UBUNTU_580, "580.95.05", kernels=["6.8.0-1099-aws"])
        assert set(UBUNTU_580) <= set(machine.plan()["upgrade"])

    @pytest.mark.parametrize(
        ("shown", "why"),
        [
            ({"running": "6.1.0-49-cloud-amd64", "loaded": ""}, "is made for the kernel 6.1.0-50-cloud-amd64"),
            ({"nouveau": True, "loaded": ""}, "given the GPU to nouveau"),
            ({"loaded": "535.261.03"}, "driver 535.309.01 is installed, and 535.261.03 is loaded"),
            ({"loaded": "535.261.03", "running": "6.1.0-49-cloud-amd64"}, "535.309.01 is installed, and 535.261.03"),
        ],
        ids=["older kernel", "nouveau", "other version", "other version for a newer kernel"],
    )
    def test_is_restarted_where(self, shown: dict, why: str) -> None:
        (reason,) = Machine.with_driver(**shown).plan()["restart"]
        assert why in reason

    def test_is_not_restarted_for_a_gpu_that_is_not_there(self) -> None:
        assert Machine.with_driver(gpus=[], running="6.1.0-49-cloud-amd64", loaded="").plan(gpu="T4")["restart"] == []

    def test_loads_the_module_without_a_restart_where_it_can(self) -> None:
        plan = Machine.with_driver(loaded="").plan()
        assert (plan["load"], plan["restart"]) == ("nvidia-current", [])


class TestForeignDriver:
    """One that this role did not install: an image's, say."""

    def test_is_left_alone(self) -> None:
        plan = Machine(system="Ubuntu 22", loaded="570.133.20", installer=True).plan(build_tools=False)
        assert (plan["work"], plan["settle"]) == (False, False)
        assert plan["notes"] == ["Driver 570.133.20 was not installed by this role: it is left alone."]

    def test_in_packages_is_left_alone_too(self) -> None:
        machine = Machine(system="Ubuntu 22", loaded="570.133.20")
        machine.installed("nvidia-driver-570-open", "570.133.20-0ubuntu1")
        plan = machine.plan(build_tools=False)
        assert (plan["work"], plan["settle"]) == (False, False)

    def test_in_packages_is_exchanged_when_asked(self) -> None:
        machine = Machine(system="Ubuntu 22", loaded="570.133.20")
        machine.installed("nvidia-driver-570-open", "570.133.20-0ubuntu1")
        plan = machine.plan(driver_branch="580")
        assert plan["remove"] == ["nvidia-driver-570-open"] and plan["packages"] == UBUNTU_580

    def test_that_is_built_and_not_loaded_is_loaded(self) -> None:
        machine = Machine(built={"6.1.0-50-cloud-amd64": {"module": "nvidia", "version": "570.133.20"}})
        assert machine.plan()["load"] == "nvidia"


def test_the_disk_is_asked_before() -> None:
    (complaint,) = Machine(free=500).plan()["complaints"]
    assert complaint.startswith("1500 MB of disk are needed (driver 1500) and 500 MB are free under /usr")


def test_an_interrupted_installation_is_ended_first() -> None:
    assert Machine(interrupted="nvidia-kernel-dkms").plan()["interrupted"]


def test_a_complaint_stands_alone() -> None:
    assert "packages" not in Machine(free=500).plan()
