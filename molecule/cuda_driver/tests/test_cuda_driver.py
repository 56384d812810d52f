"""What a machine without a GPU has once the cuda role prepared it for one."""

import pytest

HELD = ["nvidia-kernel-dkms", "nvidia-smi", "libcuda1", "libnvidia-ml1", "nvidia-modprobe", "nvidia-persistenced"]
FOLLOWING = ["linux-image-cloud-amd64", "linux-headers-cloud-amd64"]


@pytest.fixture
def holds(host):
    return host.check_output("apt-mark showhold").split()


@pytest.fixture
def kernel(host):
    """The kernel the machine starts with next: the newest installed."""
    return host.check_output("ls -v /lib/modules | tail -1")


@pytest.mark.parametrize("name", HELD + FOLLOWING)
def test_package_is_installed(host, name):
    assert host.package(name).is_installed


@pytest.mark.parametrize("name", HELD)
def test_driver_is_held(holds, name):
    assert name in holds


def test_every_package_of_the_driver_s_version_is_held(host, holds):
    version = host.package("nvidia-kernel-dkms").version
    listed = host.check_output("dpkg-query -W -f '${Package} ${Version}\n' '*nvidia*' 'libcuda*'").splitlines()
    # One that is only known, or was removed, has no version.
    of_driver = {name for name, _, other in (line.partition(" ") for line in listed) if other == version}
    assert of_driver <= set(holds)


@pytest.mark.parametrize("name", FOLLOWING)
def test_kernel_is_not_held(holds, name):
    assert name not in holds


@pytest.mark.parametrize("module", ["nvidia-current", "nvidia-current-uvm"])
def test_module_is_built_for_the_kernel(host, kernel, module):
    with host.sudo():
        version = host.check_output(f"modinfo -k {kernel} -F version {module}")
        assert host.package("nvidia-kernel-dkms").version.startswith(version)


def test_unattended_upgrades_leave_the_driver_alone(host):
    told = host.check_output("apt-config dump Unattended-Upgrade::Package-Blacklist")
    for pattern in ("^nvidia-", "^libnvidia-", "^libcuda1$"):
        assert f'"{pattern}"' in told


def test_nouveau_is_kept_away(host):
    assert host.file("/etc/modprobe.d/cuda.conf").contains("^blacklist nouveau$")


def test_persistence_daemon_starts_with_the_machine(host):
    assert host.service("nvidia-persistenced").is_enabled


def test_compilers_of_the_chapter_are_there(host):
    for package in ("build-essential", "git", "libgfortran5"):
        assert host.package(package).is_installed


def test_library_is_there_for_mxnet(host):
    assert "libcuda.so.1" in host.check_output("/sbin/ldconfig -p")


def test_desktop_is_not_installed(host):
    assert not host.package("xserver-xorg-core").is_installed


def test_sources_name_the_machines_own_archive(host):
    ours = host.file("/etc/apt/sources.list.d/cuda.sources").content_string
    theirs = host.check_output("cat $(ls /etc/apt/sources.list /etc/apt/sources.list.d/* | grep -v cuda.sources)")
    addresses = [line.split()[1] for line in ours.splitlines() if line.startswith("URIs:")]
    assert addresses and all(address in theirs for address in addresses)
