"""The stand-ins for NVIDIA's and Ubuntu's archives, as the real apt, dpkg and kmod of this machine see them."""

import ctypes
import os
import re
import shutil
import subprocess
import threading
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from local_ec2 import upstream
from local_ec2.upstream import debs, driver, nvidia, ubuntu

KERNELS = ["6.8.0-1021-aws", "6.8.0-1024-aws"]
BASE = ("kmod", "init-system-helpers")  # what Debian and Ubuntu have installed


class Apt:
    """apt with a root of its own: it knows one archive, and believes that little more than nothing is installed."""

    def __init__(self, root: Path, source: str, keyring: bytes) -> None:
        self.root = root
        for folder in ("var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "etc/apt/preferences.d"):
            (root / folder).mkdir(parents=True)
        told = "Status: install ok installed\nVersion: 99\nArchitecture: amd64\nMaintainer: x\nDescription: x\n"
        (root / "status").write_text("\n".join(f"Package: {name}\n{told}" for name in BASE))
        (root / "keyring.gpg").write_bytes(keyring)
        (root / "etc/apt/sources.list").write_text(f"deb [signed-by={root}/keyring.gpg] {source}\n")
        settings = {
            "Dir": root,
            "Dir::State::status": root / "status",
            "APT::Architecture": "amd64",
            "APT::Sandbox::User": "root",
            "Acquire::http::Proxy": "DIRECT",
        }
        (root / "apt.conf").write_text("".join(f'{name} "{value}";\n' for name, value in settings.items()))

    def __call__(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"APT_CONFIG": str(self.root / "apt.conf"), "LC_ALL": "C"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    def update(self) -> subprocess.CompletedProcess[str]:
        return self("apt-get", "update", "--error-on=any")

    def would_install(self, *names: str, preferences: Path = Path("/dev/null")) -> dict[str, str]:
        """Package: version."""
        done = self("apt-get", "--simulate", "install", *names, f"-oDir::Etc::preferences={preferences}")
        assert done.returncode == 0, done.stdout + done.stderr
        return dict(re.findall(r"^Inst (\S+) \((\S+)", done.stdout, re.M))


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    return debs.Key.make(tmp_path_factory.mktemp("key"), "mine")


@pytest.fixture(scope="module")
def other_key(tmp_path_factory):
    return debs.Key.make(tmp_path_factory.mktemp("other"), "another")


@pytest.fixture(scope="module")
def archive(tmp_path_factory, key):
    """Both archives in one folder."""
    folder = tmp_path_factory.mktemp("archive") / "www"
    folder.mkdir()
    nvidia.build(folder, print, key)
    ubuntu.build(folder, print, KERNELS, key)
    return folder


@pytest.fixture(scope="module")
def apt(tmp_path_factory, archive, key):
    """apt of a machine whose sources are the given ones, NVIDIA's for Debian 12 if none are."""

    @cache
    def make(source: str = f"file:{archive}/repos/debian12/x86_64/ /") -> Apt:
        made = Apt(tmp_path_factory.mktemp("apt"), source, key.public(armored=False))
        done = made.update()
        assert done.returncode == 0, done.stderr
        return made

    return make


def extract(archive: Path, package: str, to: Path) -> Path:
    (file,) = archive.rglob(f"debian12/**/{package}_*.deb")
    subprocess.run(["dpkg-deb", "--extract", file, to], check=True)
    return to


def preferences(archive: Path, pinning: str, to: Path) -> Path:
    return extract(archive, f"nvidia-driver-pinning-{pinning}", to) / "etc/apt/preferences.d/nvidia-driver-pinning"


def test_apt_reads_an_archive_over_http(archive, apt):
    server = upstream.make_server(("127.0.0.1", 0), archive)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made = apt(f"http://127.0.0.1:{server.server_port}/repos/ubuntu2404/x86_64/ /")
    done = made("apt-get", "--download-only", "--yes", "install", "cuda-nvcc-12-9")
    server.shutdown()
    server.server_close()
    assert done.returncode == 0, done.stderr


def test_another_key_s_archive_is_refused(tmp_path, archive, other_key):
    source = f"file:{archive}/repos/debian12/x86_64/ /"
    done = Apt(tmp_path, source, other_key.public(armored=False)).update()
    assert done.returncode != 0
    assert "NO_PUBKEY" in done.stderr


def test_an_expired_key_s_archive_is_refused(tmp_path):
    old = debs.Key.make(tmp_path / "key", "old", at=datetime(2026, 1, 1, tzinfo=UTC), expires="2d")
    debs.publish_flat(tmp_path / "www", [debs.Package("one", "1")], old, "x", "x")
    done = Apt(tmp_path / "root", f"file:{tmp_path}/www/ /", old.public(armored=False)).update()
    assert done.returncode != 0
    assert "EXPKEYSIG" in done.stderr


def test_machines_can_be_given_another_key_than_the_one_that_signs(tmp_path, key, other_key):
    nvidia.build(tmp_path, print, key, trusted=other_key, systems=["debian12"])
    assert nvidia.fingerprint(tmp_path) == other_key.fingerprint


def test_the_keyring_holds_the_one_key(tmp_path, archive, key):
    keyring = extract(archive, "cuda-keyring", tmp_path) / "usr/share/keyrings/cuda-archive-keyring.gpg"
    assert debs.fingerprints(keyring) == [nvidia.fingerprint(archive)] == [key.fingerprint]


@pytest.mark.parametrize("name", nvidia.SYSTEMS)
def test_all_of_nvidia_s_packages_can_be_had(apt, archive, name):
    assert apt(f"file:{archive}/repos/{name}/x86_64/ /")("apt-cache", "unmet", "--important").stdout == ""


@pytest.mark.parametrize("suite", ubuntu.RELEASES)
def test_all_of_ubuntu_s_packages_can_be_had(apt, archive, suite):
    made = apt(f"file:{archive} {suite} main restricted multiverse")
    assert made("apt-cache", "unmet", "--important").stdout == ""


def test_without_a_pinning_nvidia_open_is_the_newest_driver(apt):
    assert apt().would_install("nvidia-open")["nvidia-driver-open"] == "615.36.01-1"


def test_a_version_of_nvidia_open_alone_does_not_keep_to_its_driver(apt):
    would = apt().would_install("nvidia-open=580.95.05-1")
    assert (would["nvidia-open"], would["nvidia-driver-open"]) == ("580.95.05-1", "615.36.01-1")


@pytest.mark.parametrize(("pinning", "version"), [("580", "580.105.08-1"), ("580.95.05", "580.95.05-1")])
@pytest.mark.parametrize("front", ["nvidia-open", "cuda-drivers"])
def test_a_pinning_keeps_the_whole_driver_at_its_branch(apt, archive, tmp_path, front, pinning, version):
    would = apt().would_install(front, preferences=preferences(archive, pinning, tmp_path))
    assert would.pop("dkms") == "99"
    assert set(would.values()) == {version}


def test_the_newest_cuda_drivers_installs_no_driver(apt):
    assert apt().would_install("cuda-drivers") == {"cuda-drivers": "615.36.01-1"}


def test_a_pinning_takes_another_s_place(apt):
    done = apt()("apt-get", "--simulate", "install", "nvidia-driver-pinning-580", "nvidia-driver-pinning-595")
    assert "nvidia-driver-pinning-595 : Conflicts" in done.stdout


def test_a_toolkit_brings_no_driver_and_cuda_does(apt, archive, tmp_path):
    pinned = preferences(archive, "580", tmp_path)
    assert not [name for name in apt().would_install("cuda-toolkit-12-9") if "driver" in name]
    assert "nvidia-driver" in apt().would_install("cuda-12-9", preferences=pinned)


def test_modinfo_and_depmod_read_a_module(tmp_path):
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    modinfo, depmod = (shutil.which(name, path=path) for name in ("modinfo", "depmod"))
    assert modinfo and depmod, "kmod is not installed"
    modules = tmp_path / "lib/modules/6.1"
    modules.mkdir(parents=True)
    (modules / "nvidia.ko").write_bytes(driver.module("580.95.05", opened=False))
    done = subprocess.run([depmod, "-b", tmp_path, "-a", "6.1"], capture_output=True)
    assert done.returncode == 0
    command = [modinfo, "-b", tmp_path, "-k", "6.1", "-F", "version", "nvidia"]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "580.95.05\n"


def test_a_library_can_be_loaded(tmp_path):
    (tmp_path / "libcuda.so.1").write_bytes(debs.shared_object("libcuda.so.1"))
    assert ctypes.CDLL(str(tmp_path / "libcuda.so.1"))


def inside(root: Path, script: str, *arguments: str, path: Path = Path("/nowhere")) -> tuple[int, str]:
    """Exit status and output of a script that finds /proc, /sys, /lib, /usr/src and /var in `root`."""
    moved = re.sub(r"(?<![\w}])/(proc|sys|lib|usr/src|var)/", rf"{root}/\1/", script)
    environment = os.environ | {"PATH": f"{path}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-s", "--", *arguments], input=moved, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("loaded", "status", "said"),
    [
        ("", 9, "couldn't communicate with the NVIDIA driver"),
        ("580.95.05", 18, "Driver/library version mismatch"),
        ("580.105.08", 0, "GPU 0: Tesla T4 (UUID: GPU-"),
    ],
)
def test_nvidia_smi_answers_as_the_loaded_driver_lets_it(tmp_path, loaded, status, said):
    device = tmp_path / "sys/bus/pci/devices/0000:00:1e.0"
    device.mkdir(parents=True)
    for name, value in {"vendor": "0x10de", "class": "0x030200", "device": "0x1eb8"}.items():
        (device / name).write_text(f"{value}\n")
    (tmp_path / "proc/driver/nvidia").mkdir(parents=True)
    if loaded:
        told = f"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {loaded}  Release Build  (x@y)\n"
        (tmp_path / "proc/driver/nvidia/version").write_text(f"{told}GCC version:  gcc version 12.2.0\n")
    done = inside(tmp_path, driver.smi("580.105.08"), "-L")
    assert (done[0], said in done[1]) == (status, True)


def test_dkms_builds_for_the_kernels_that_have_headers(tmp_path):
    for folder in ("lib/modules/6.1", "lib/modules/6.2", "usr/src/linux-headers-6.2", "usr/src/nvidia-580.1", "bin"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "usr/src/nvidia-580.1/nvidia.ko").write_text("module")
    (tmp_path / "bin/depmod").write_text("#!/bin/sh\n")
    (tmp_path / "bin/depmod").chmod(0o755)
    assert inside(tmp_path, driver.DKMS, "autoinstall", "-k", "6.1", path=tmp_path / "bin")[0] == 21
    assert inside(tmp_path, driver.DKMS, "autoinstall", path=tmp_path / "bin")[0] == 0
    assert inside(tmp_path, driver.DKMS, "status")[1] == "nvidia/580.1, 6.2, x86_64: installed\n"
    assert inside(tmp_path, driver.DKMS, "remove", "-v", "580.1", "--all", path=tmp_path / "bin")[0] == 0
    assert not list(tmp_path.glob("lib/modules/*/updates/dkms/*"))


def test_ubuntu_s_metapackages_follow_the_newest_kernel(apt, archive):
    made = apt(f"file:{archive} noble main restricted multiverse")
    would = made.would_install("linux-modules-nvidia-580-server-open-aws", "linux-aws")
    assert {name for name in would if name.startswith("linux-image")} == {
        "linux-image-aws",
        f"linux-image-{KERNELS[-1]}",
    }


def test_ubuntu_s_kernels_out_of_order_are_refused():
    with pytest.raises(ValueError, match="newest"):
        ubuntu.components("noble", KERNELS[::-1])


def test_two_of_ubuntu_s_branches_cannot_be_there_together(apt, archive):
    made = apt(f"file:{archive} jammy main restricted multiverse")
    done = made("apt-get", "--simulate", "install", "nvidia-utils-535-server", "nvidia-utils-580-server")
    assert "Conflicts" in done.stdout


def test_ubuntu_s_ended_branches_lead_to_580(apt, archive):
    would = apt(f"file:{archive} jammy main restricted multiverse").would_install("nvidia-headless-no-dkms-550-server")
    assert "nvidia-headless-no-dkms-580-server" in would


def test_the_same_package_has_the_same_bytes():
    package = debs.Package("one", "1", files={"/usr/bin/one": "#!/bin/sh\n"}, links={"/usr/bin/two": "one"})
    first = debs.deb(package)
    debs.deb.cache_clear()
    assert debs.deb(package) == first
