"""The stand-ins for NVIDIA's runfiles: that they behave like the real ones where the module depends on it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from local_ec2.upstream import runfile

PERL, PATCH, BINARY = (runfile.RUNFILES[index] for index in (0, 1, 4))


class Machine:
    def __init__(self, folder: Path) -> None:
        self.folder, self.target, self.work = folder, folder / "toolkit", folder / "work"
        self.work.mkdir()
        self.record = folder / "record.jsonl"

    def __call__(self, wanted: runfile.Runfile, *flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
        script = runfile.write(self.folder, wanted)
        own = {"CUDA_STANDIN_ROOT": str(self.folder), "CUDA_STANDIN_LOG": str(self.record), "TMPDIR": str(self.work)}
        return subprocess.run(
            ["sh", script, *flags],
            env={"PATH": os.environ["PATH"], **own, **environment},
            cwd=self.work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def installs(self, wanted: runfile.Runfile, *flags: str) -> subprocess.CompletedProcess[str]:
        flags = ("--silent", "--toolkit", f"--toolkitpath={self.target}", *flags)
        return self(wanted, *flags, PERL5LIB=str(self.work))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_names_are_those_of_the_real_ones() -> None:
    assert [one.file for one in runfile.RUNFILES] == [
        "cuda_8.0.61_375.26_linux-run",
        "cuda_8.0.61.2_linux-run",
        "cuda_10.2.89_440.33.01_linux.run",
        "cuda_11.7.1_515.65.01_linux.run",
        "cuda_11.8.0_520.61.05_linux.run",
        "cuda_12.4.1_550.54.15_linux.run",
        "cuda_12.9.1_575.57.08_linux.run",
        "cuda_13.0.2_580.95.05_linux.run",
    ]


def test_the_bytes_are_the_same_each_time(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
        runfile.build(folder, print)
    first, second = (runfile.described(folder, "http://x") for folder in folders)
    assert first == second
    assert [patch["url"] for patch in first["8.0"]["patches"]] == ["http://x/cuda_8.0.61.2_linux-run"]


@pytest.mark.parametrize("wanted", [PERL, PATCH, BINARY], ids=lambda wanted: wanted.kind)
def test_an_unknown_option_is_refused(machine: Machine, wanted: runfile.Runfile) -> None:
    done = machine(wanted, "--silent", "--fast")
    assert done.returncode == 1 and "unknown option: --fast" in done.stderr


@pytest.mark.parametrize("wanted", [PERL, PATCH, BINARY], ids=lambda wanted: wanted.kind)
def test_without_silent_the_licence_is_asked_for(machine: Machine, wanted: runfile.Runfile) -> None:
    done = machine(wanted)
    assert done.returncode == 1 and "Do you accept" in done.stdout


def test_the_perl_installer_needs_its_module_in_the_path(machine: Machine) -> None:
    done = machine.installs(PERL)
    assert done.returncode == 2 and "Can't locate InstallUtils.pm in @INC" in done.stderr
    machine(PERL, "--tar", "mxvf", "./InstallUtils.pm")
    assert machine.installs(PERL).returncode == 0


@pytest.mark.parametrize("folder", ["work", "tmp"])
def test_an_old_log_makes_the_binary_installer_crash(machine: Machine, folder: str) -> None:
    (machine.folder / folder).mkdir(exist_ok=True)
    (machine.folder / folder / "cuda-installer.log").touch()
    assert machine.installs(BINARY).returncode == -11


@pytest.mark.parametrize("flags", [["--driver", "--toolkit"], []], ids=["asked for", "nothing asked for"])
def test_a_driver_leaves_its_mark(machine: Machine, flags: list[str]) -> None:
    machine(BINARY, "--silent", f"--toolkitpath={machine.target}", *flags)
    assert Path(f"{machine.record}.driver").read_text() == "520.61.05\n"


def test_no_link_named_cuda_is_made(machine: Machine) -> None:
    assert machine.installs(BINARY).returncode == 0
    assert not (machine.target.parent / "cuda").exists()


def test_faults_can_be_set_in_a_file(machine: Machine) -> None:
    (machine.folder / "etc").mkdir()
    (machine.folder / "etc/cuda-runfile-standin.conf").write_text("CUDA_STANDIN_FAULT=half\n")
    done = machine.installs(BINARY)
    assert done.returncode == 1 and "[ERROR]: Install of 11.8.0 failed" in done.stdout
    assert (machine.target / "bin/nvcc").exists() and not (machine.target / "version.json").exists()
