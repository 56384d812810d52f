"""What the distribution's CUDA toolkit can do once the cuda role installed it: compile for a GPU that is to come."""

import pytest

PROGRAM = r"""
#include <cstdio>
__global__ void add(int *numbers) { numbers[threadIdx.x] += 1; }
int main() {
    int devices = -1, version = 0;
    cudaError_t error = cudaGetDeviceCount(&devices);
    cudaRuntimeGetVersion(&version);
    printf("runtime %d: %s\n", version, cudaGetErrorString(error));
}
"""


@pytest.fixture(scope="module")
def program(host):
    """A program with a kernel for a T4, compiled as a reader would, from a login shell."""
    host.check_output("printf %%s %s > /tmp/add.cu", PROGRAM)
    host.check_output("bash -lc 'nvcc -arch=sm_75 -o /tmp/add /tmp/add.cu'")
    return "/tmp/add"


def test_link_leads_to_the_distribution_s_toolkit(host):
    assert host.check_output("readlink -f /usr/local/cuda") == "/usr/lib/cuda"


def test_kernel_is_compiled_for_the_gpu(host, program):
    assert "sm_75" in host.check_output(f"cuobjdump --list-elf {program}")


def test_program_finds_its_runtime_and_says_that_there_is_no_gpu(host, program):
    said = host.run(program).stdout
    assert "no CUDA-capable device" in said or "driver version is insufficient" in said


def test_compilers_of_the_chapter_are_there(host):
    for package in ("build-essential", "git", "libgfortran5"):
        assert host.package(package).is_installed


def test_no_driver_was_installed(host):
    assert not host.package("nvidia-kernel-dkms").is_installed
