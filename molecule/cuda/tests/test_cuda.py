"""What a machine has once the cuda role was there: a driver if it has an NVIDIA GPU, nothing of it if it has none."""

import pytest


@pytest.fixture
def gpus(host):
    """Paths of the machine's NVIDIA GPUs; a container sees those of its host, which are not its own."""
    if host.run("systemd-detect-virt --quiet --container").rc == 0:
        return []
    displays = "grep -l '^0x030[02]' /sys/bus/pci/devices/*/class | xargs -r dirname"
    return host.check_output(f"for gpu in $({displays}); do grep -l 0x10de $gpu/vendor; done; true").split()


@pytest.fixture
def driver_packages(host):
    return host.check_output("dpkg-query -W -f '${Package}\\n' '*nvidia*' '*cuda*' 2>/dev/null | sort; true").split()


def test_machine_without_a_gpu_gets_no_driver(gpus, driver_packages):
    if gpus:
        pytest.skip("this machine has an NVIDIA GPU")
    assert driver_packages == []


def test_machine_without_a_gpu_keeps_its_package_sources(host, gpus):
    if gpus:
        pytest.skip("this machine has an NVIDIA GPU")
    assert not host.file("/etc/apt/sources.list.d/cuda.sources").exists


def test_driver_answers_for_every_gpu(host, gpus):
    if not gpus:
        pytest.skip("this machine has no NVIDIA GPU")
    assert host.check_output("nvidia-smi -L").count("UUID") == len(gpus)
