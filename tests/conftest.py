"""What several parts of the tests share."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_cloud() -> None:
    """The local EC2 of tools/test, which whoever asks second finds up."""
    port = os.environ["LOCAL_EC2_ENDPOINT"].rpartition(":")[2]
    stand_ins = f"{os.environ['LOCAL_EC2_INVENTORY']}/upstream.yml"
    where = ["--data", os.environ["LOCAL_EC2_DATA"], "--port", port, "--inventory-vars", stand_ins]
    command = [sys.executable, "-m", "local_ec2", "up", "--install", *where]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
