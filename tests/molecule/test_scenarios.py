"""Molecule's scenario of each role. Each has a machine in a project of its own, so that several may run at once."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# The real driver packages, built for the machine, the distribution's whole toolkit, MXNet for a GPU: minutes, and 4 GB.
SLOW = ("cuda_driver", "cuda_toolkit", "gluon_env_gpu")
# First, so that the others run beside it and not before it.
LONG = "jupyter"
NAMES = (file.parent.name for file in ROOT.glob("molecule/*/molecule.yml"))
SCENARIOS = [
    pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else [])
    for name in sorted(NAMES, key=lambda name: (name != LONG, name))
]


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    # The first line is what the end of a long log has of it.
    said = [line for line in done.stdout.splitlines() if line.startswith(("fatal:", "FAILED ", "ERROR "))]
    assert done.returncode == 0, f"{' | '.join(said[-3:])}\n{' '.join(command)}\n{done.stdout}"


@pytest.mark.usefixtures("shared_cloud")
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_it_passes(scenario: str) -> None:
    molecule = str(ROOT / ".venv/bin/molecule")
    # What a run that was killed remembers of a machine, which is gone with its local EC2, is forgotten first.
    run(molecule, "reset", "-s", scenario)
    run(molecule, "test", "-s", scenario)
