"""What verify.yml says of a machine; with commands in place of a driver, a toolkit and MXNet."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "roles/cuda/files/verify.py"
TWO = ["T4", "T4"]


class Machine:
    """Commands in a folder of the test's own."""

    def __init__(self, folder: Path, verify: ModuleType) -> None:
        self.folder, self.verify = folder, verify

    def has(self, name: str, says: str, status: int = 0) -> str:
        command = self.folder / name
        command.write_text(f"#!/bin/sh\ncat <<'END'\n{says}\nEND\nexit {status}\n")
        command.chmod(0o755)
        return str(command)

    def has_mxnet(self, version: str, gpus: int) -> str:
        return self.has("python", f"a warning\n{json.dumps([version, gpus])}")

    def has_gpus(self, count: int) -> None:
        self.has("nvidia-smi", "\n".join(f"GPU {number}: Tesla T4 (UUID: GPU-{number})" for number in range(count)))

    def says(self, gpus: list[str], python: str = "", **more: Any) -> tuple[str, list[str]]:
        asked = {"driver": "535.309.01", "running": "6.1.0-1-cloud-amd64", "built": ["6.1.0-1-cloud-amd64"], **more}
        told = self.verify.verify(gpus=gpus, python=python, **asked)
        return told["line"], told["complaints"]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    spec = importlib.util.spec_from_file_location("cuda_verify", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "NVCC", [str(tmp_path / "nvcc")])
    return Machine(tmp_path, module)


def test_all_is_well(machine: Machine) -> None:
    machine.has_gpus(2)
    machine.has("nvcc", "Cuda compilation tools, release 11.8, V11.8.89")
    python = machine.has_mxnet("1.9.1", 2)
    assert machine.says(TWO, python) == (
        "2 T4, driver 535.309.01, CUDA toolkit 11.8, MXNet 1.9.1 sees 2 GPUs",
        [],
    )


def test_without_a_gpu(machine: Machine) -> None:
    assert machine.says([], machine.has_mxnet("1.9.1", 0)) == ("no GPU, MXNet 1.9.1 on the CPU", [])


def test_without_mxnet_it_is_not_asked(machine: Machine) -> None:
    machine.has_gpus(1)
    assert machine.says(["L4"]) == ("L4, driver 535.309.01, no CUDA toolkit", [])


def test_the_cpu_in_silence_is_a_failure(machine: Machine) -> None:
    machine.has_gpus(1)
    line, (complaint,) = machine.says(["T4"], machine.has_mxnet("1.9.1", 0))
    assert line.endswith("MXNet 1.9.1 sees 0 GPUs")
    assert "sees 0 of 1 GPUs, and would run on the CPU" in complaint


def test_a_kernel_without_the_module(machine: Machine) -> None:
    line, complaints = machine.says(["T4"], driver="", running="6.1.0-2-cloud-amd64")
    assert line == "T4, no driver, no CUDA toolkit"
    assert complaints == [
        "The driver's module is not built for the running kernel 6.1.0-2-cloud-amd64: run the cuda role again."
    ]


def test_a_driver_that_is_not_loaded(machine: Machine) -> None:
    assert "is not loaded" in machine.says(["T4"], driver="")[1][0]


def test_a_gpu_that_does_not_answer(machine: Machine) -> None:
    machine.has("nvidia-smi", "Failed to initialize NVML: Driver/library version mismatch", 18)
    (complaint,) = machine.says(TWO)[1]
    assert complaint.startswith("Of 2 GPUs 0 answer the driver (Failed to initialize NVML: Driver/library version")
    assert complaint.endswith("mismatch): restart the machine.")


def test_mxnet_that_cannot_be_imported(machine: Machine) -> None:
    python = machine.has("python", "Traceback\nOSError: libcuda.so.1: cannot open shared object file", 1)
    line, (complaint,) = machine.says([], python)
    assert line == "no GPU, no MXNet"
    assert complaint == f"MXNet cannot be imported by {python}: OSError: libcuda.so.1: cannot open shared object file."


def test_a_python_that_is_not_there(machine: Machine) -> None:
    assert "No such file" in machine.says([], "/nowhere/python")[1][0]


def test_it_runs_as_the_role_runs_it(machine: Machine) -> None:
    question = {"gpus": [], "driver": "", "running": "6.1", "built": [], "python": sys.executable}
    done = machine.verify.run(sys.executable, str(SCRIPT), json.dumps(question))
    told = json.loads(done[1])
    assert told["line"].startswith("no GPU")
