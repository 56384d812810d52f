"""What the tests of this scenario share: playbooks run from this computer, and short ways to ask the machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
MACHINE = f"molecule-{os.environ['MOLECULE_SCENARIO_NAME']}"
INVENTORY = Path(os.environ["GLUON_INVENTORY"])
STATE = INVENTORY / ".state" / MACHINE
CONVERGE = Path(__file__).parents[1] / "converge.yml"
PYTHON = "/opt/miniconda3/envs/gluon/bin/python"
TOKEN = "/etc/jupyter/token"
PORT = 8888

# Prints the status of /api/contents; 0 where nobody answers.
STATUS = f"""
import http.client
connection = http.client.HTTPConnection("127.0.0.1", {PORT}, timeout=10)
try:
    connection.request("GET", "/api/contents", headers=HEADERS)
    print(connection.getresponse().status)
except OSError:
    print(0)
"""


def playbook(file: str | Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A run of one of this checkout's playbooks, for this scenario's machine alone; stderr is in stdout."""
    command = [ROOT / ".venv/bin/ansible-playbook", "-i", INVENTORY, "-l", f"localhost,{MACHINE}"]
    return subprocess.run(
        [*command, "-e", f"project={MACHINE}", *arguments, file],
        cwd=ROOT,
        # Molecule forces colours, and they would be part of what is read.
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_FORCE_COLOR": "0", **environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
        check=False,
    )


def changed(output: str) -> int:
    return sum(int(count) for count in re.findall(r"changed=(\d+)", output))


class Machine:
    """The machine as root sees it."""

    def __init__(self, host: Any) -> None:
        self.host = host

    def __call__(self, command: str) -> str:
        """What a root command prints. Fails where it does."""
        with self.host.sudo():
            return self.host.check_output(command).strip()

    def python(self, code: str, *arguments: str) -> str:
        """What a program prints, run by the environment's Python. It may know secrets: no command line shows it."""
        command = ["ssh", "-F", STATE / "ssh_config", MACHINE, f"sudo {PYTHON} - {' '.join(arguments)}"]
        done = subprocess.run(command, input=code, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def token(self) -> str:
        return self(f"cat {TOKEN}")

    def status(self, headers: dict[str, str]) -> int:
        """How the server answers."""
        return int(self.python(f"HEADERS = {headers}{STATUS}"))

    def takes(self, token: str) -> bool:
        return self.status({"Authorization": f"token {token}"}) == 200

    def state(self, wanted: str = "ActiveState") -> str:
        return self(f"systemctl show -p {wanted} --value jupyter.service")

    def told_by(self, program: str) -> dict[str, Any]:
        """What a program beside this file, which asks the server, prints as JSON."""
        return json.loads(self.python(Path(__file__).with_name(program).read_text(), TOKEN, str(PORT)))

    def leave_a_cell_running(self) -> dict[str, Any]:
        """A notebook whose cell takes minutes: {notebook, id, pid} of its kernel."""
        return self.told_by("busy.py")

    def wait(self, seconds: float = 180) -> None:
        """Until the server answers."""
        self.until(lambda: self.takes(self.token()), seconds)

    def until(self, seen: Callable[[], bool], seconds: float = 180) -> None:
        """Until something is seen of the server."""
        deadline = time.monotonic() + seconds
        while not seen():
            assert time.monotonic() < deadline, self("journalctl -u jupyter -n 20 --no-pager -o cat")
            time.sleep(0.3)


@pytest.fixture(scope="module")
def machine(host: Any) -> Machine:
    return Machine(host)
