"""CUDA toolkits side by side: three from runfiles and one from NVIDIA's repository, on a machine with an M60."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from bench_fleet import fleet_of
from bench_image import Bench
from bench_machine import Machine
from bench_upstream import Upstream
from conftest import Nvidia

from local_ec2.upstream import runfile

M60 = "13f2"
RUNFILES, PACKAGED = ("8.0", "10.2", "12.4"), "12.9"
RECORD = "/var/log/cuda-runfile-standin.jsonl"
LINK, LINKER, PROFILE = "/usr/local/cuda", "/etc/ld.so.conf.d/cuda.conf", "/etc/profile.d/cuda.sh"
DRIVERS = ("nvidia-kernel-dkms", "nvidia-kernel-open-dkms", "nvidia-open", "cuda-drivers", "libcuda1")
Options = dict[str, Any]


@pytest.fixture(scope="module")
def options(upstream: Upstream, repository: Nvidia) -> Options:
    """Four toolkits, and no driver."""
    folder = upstream.directory / "runfiles"
    folder.mkdir()
    runfile.build(folder, print)
    described = runfile.described(folder, f"{upstream.url}/runfiles")
    toolkits = [{"version": number, "source": "runfile", **described[number]} for number in RUNFILES]
    toolkits.append({"version": PACKAGED, "source": "nvidia"})
    return repository.options(cuda_driver="none", cuda_toolkits=toolkits)


def without(options: Options, *numbers: str) -> Options:
    """The same, and these toolkits are to go."""
    toolkits = [one | {"state": "absent"} if one["version"] in numbers else one for one in options["cuda_toolkits"]]
    return options | {"cuda_toolkits": toolkits}


@pytest.fixture(scope="module")
def gpu(bench: Bench, options: Options) -> Iterator[Machine]:
    """A machine on which the four are installed. The tests at the end of this file change that."""
    with fleet_of(bench, "gpu") as fleet:
        machine = fleet["gpu"]
        machine.shows_gpu(M60)
        # Else every update would ask the distribution's archives, too.
        machine.run("rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*", check=True)
        # Of an earlier installation; with it the installers of 10.1 and later crash.
        machine.put("/tmp/cuda-installer.log", "")
        done = machine.converge(**options)
        assert done.rc == 0, done.output
        yield machine


def recorded(machine: Machine) -> list[dict[str, Any]]:
    """The calls of runfiles so far."""
    return [json.loads(line) for line in machine.out(f"cat {RECORD}").splitlines()]


def compiler(machine: Machine, nvcc: str = "nvcc", shell: str = "bash -lc") -> str:
    """The release that a compiler tells."""
    return machine.out(f"{shell} '{nvcc} --version'").partition("release ")[2].partition(",")[0]


def installed(machine: Machine) -> set[str]:
    """Names of installed packages."""
    return set(machine.out("dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | sed -n 's/^.i  *//p'").split())


@pytest.mark.parametrize("number", [*RUNFILES, PACKAGED])
def test_each_has_its_folder(gpu: Machine, number: str) -> None:
    assert compiler(gpu, f"/usr/local/cuda-{number}/bin/nvcc") == number


def test_a_runfile_installs_its_toolkit_and_no_driver(gpu: Machine) -> None:
    for call in recorded(gpu):
        assert "--driver" not in call["argv"]
        assert "--silent" in call["argv"] or call["argv"] == ["--tar", "mxvf", "./InstallUtils.pm"]
    assert gpu.run(f"test -e {RECORD}.driver").returncode == 1


def test_an_old_installer_finds_the_module_that_it_brings(gpu: Machine) -> None:
    unpacks, installs, _ = [call for call in recorded(gpu) if call["file"].startswith("cuda_8.0")]
    assert unpacks["argv"] == ["--tar", "mxvf", "./InstallUtils.pm"]
    assert installs["PERL5LIB"] == unpacks["TMPDIR"]
    assert {"--toolkit", "--toolkitpath=/usr/local/cuda-8.0"} <= set(installs["argv"])


def test_a_patch_is_put_on_top(gpu: Machine) -> None:
    (patch,) = [call for call in recorded(gpu) if call["file"] == "cuda_8.0.61.2_linux-run"]
    assert patch["argv"] == ["--silent", "--accept-eula", "--installdir=/usr/local/cuda-8.0"]
    assert "CUDA Patch Version 8.0.61.2" in gpu.out("cat /usr/local/cuda-8.0/version.txt")


def test_nothing_is_left_of_the_installation(gpu: Machine) -> None:
    assert gpu.out("find /tmp/cuda-installer.log /var/cache/cuda-runfile /usr/local/.cuda* 2>/dev/null || true") == ""


def test_nobody_else_can_write_to_them(gpu: Machine) -> None:
    walk = "cd / && find /usr/local/cuda-*/ /usr/local/cuda/ -writable"
    assert gpu.out(f"runuser -u nobody -- sh -c '{walk}'") == ""


def test_the_first_is_the_default(gpu: Machine) -> None:
    assert gpu.out(f"readlink -f {LINK}") == "/usr/local/cuda-8.0"


@pytest.mark.parametrize("shell", ["bash -lc", "sh -lc", "runuser -u admin -- bash -lc"])
def test_a_login_shell_finds_its_compiler(gpu: Machine, shell: str) -> None:
    assert compiler(gpu, shell=shell) == "8.0"


@pytest.mark.parametrize(
    "nested",
    ["""bash -lc 'bash -lc "sh -lc env"'""", f"sh -c '. {PROFILE} && . {PROFILE} && env'"],
    ids=["login shells", "the snippet"],
)
def test_the_path_has_it_once(gpu: Machine, nested: str) -> None:
    (path,) = [line for line in gpu.out(nested).splitlines() if line.startswith("PATH=")]
    assert path.count("/usr/local/cuda/bin") == 1 and path.startswith("PATH=/usr/local/cuda/bin:")


def test_the_linker_finds_its_library(gpu: Machine) -> None:
    assert "libcudart.so.8.0 (libc6,x86-64) => /usr/local/cuda/lib64/libcudart.so.8.0" in gpu.out("ldconfig -p")


@pytest.mark.parametrize("package", DRIVERS)
def test_nvidia_s_repository_gives_no_driver(gpu: Machine, package: str) -> None:
    policy = gpu.out(f"apt-cache policy {package}")
    assert "Candidate: (none)" in policy and "repos/debian12" in policy


def test_only_the_toolkit_s_package_is_asked_for(gpu: Machine) -> None:
    # cuda and cuda-12-9 would bring a driver along, and go on to the next release.
    assert installed(gpu) & {"cuda", "cuda-12-9", "cuda-toolkit-12-9", *DRIVERS} == {"cuda-toolkit-12-9"}


def test_a_second_run_changes_nothing(gpu: Machine, options: Options) -> None:
    before = gpu.sessions(), len(recorded(gpu))
    again = gpu.converge(**options)
    assert (again.rc, again.changed) == (0, 0), again.output
    assert gpu.sessions() - before[0] <= 6
    assert len(recorded(gpu)) == before[1]


# From here on the machine is another one after each test.


def test_the_default_can_be_chosen_whoever_made_the_link(gpu: Machine, options: Options) -> None:
    gpu.run(f"ln -sfn /usr/local/cuda-12.4 {LINK}", check=True)
    done = gpu.converge(**options, cuda_default_toolkit="10.2")
    assert done.rc == 0, done.output
    assert gpu.out(f"readlink -f {LINK}") == "/usr/local/cuda-10.2"
    assert compiler(gpu) == "10.2"
    assert "libcudart.so.10.2 (libc6,x86-64) => /usr/local/cuda/lib64/libcudart.so.10.2" in gpu.out("ldconfig -p")
    assert gpu.look()["link"]["managed"]


def test_one_can_go_and_the_others_stay(gpu: Machine, options: Options) -> None:
    done = gpu.converge(**without(options, "10.2", PACKAGED))
    assert done.rc == 0, done.output
    assert gpu.out("cd /usr/local && ls -d cuda-*.*").split() == ["cuda-12.4", "cuda-8.0"]
    assert not {name for name in installed(gpu) if name.endswith("-12-9")}
    assert gpu.out(f"readlink -f {LINK}") == "/usr/local/cuda-8.0"
    assert (compiler(gpu), compiler(gpu, "/usr/local/cuda-12.4/bin/nvcc")) == ("8.0", "12.4")


def test_the_last_takes_all_along(gpu: Machine, options: Options) -> None:
    none = without(options, *RUNFILES, PACKAGED)
    done = gpu.converge(**none)
    assert done.rc == 0, done.output
    assert gpu.out(f"ls -d {LINK} {LINK}-*.* {LINKER} {PROFILE} 2>/dev/null || true") == ""
    assert "libcudart" not in gpu.out("ldconfig -p")
    assert gpu.run("bash -lc 'nvcc --version'").returncode == 127
    again = gpu.converge(**none)
    assert (again.rc, again.changed) == (0, 0), again.output
