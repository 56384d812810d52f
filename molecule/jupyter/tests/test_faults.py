"""What the server meets: crashes, a kernel killed for memory, a taken port, half an environment, a restart."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import CONVERGE, PORT, PYTHON, ROOT, TOKEN, Machine, changed, playbook

ASK = ROOT / "roles/jupyter/files/ask.py"
SQUATTER = f"systemd-run --quiet --collect --unit squatter python3 -m http.server -b 127.0.0.1 {PORT}"


def health(machine: Machine) -> str:
    """What the role's own health check says; empty when all is well."""
    code = ASK.read_text()
    question = json.dumps({"port": PORT, "token": str(TOKEN), "unit": "jupyter.service"})
    with machine.host.sudo():
        return machine.host.run(f"python3 - '{question}' <<'CODE'\n{code}\nCODE").stderr


def listeners(machine: Machine) -> list[str]:
    """Where something listens, by address and port."""
    return [line.split()[3] for line in machine("ss -Hltn").splitlines()]


def test_a_kernel_killed_for_memory_leaves_the_server(machine: Machine) -> None:
    """FAULTS B11. This is how the system kills the biggest process; systemd is told to let the others be."""
    busy, server = machine.leave_a_cell_running(), machine.state("MainPID")
    machine(f"kill -KILL {busy['pid']}; sleep 2")
    assert (machine.state(), machine.state("MainPID")) == ("active", server)
    assert machine.state("OOMPolicy") == "continue"
    assert machine.takes(machine.token())


# On the machine: up to twenty, each as soon as the server runs.
CRASHES = """
import subprocess, time
end, kills = time.monotonic() + 280, 0
while time.monotonic() < end and kills < 20:
    shown = subprocess.check_output(["systemctl", "show", "-p", "MainPID,ActiveState", "jupyter.service"], text=True)
    state = dict(line.split("=") for line in shown.split())
    if state["ActiveState"] == "failed":
        break
    if state["MainPID"] != "0" and state["ActiveState"] == "active":
        kills += subprocess.run(["kill", "-KILL", state["MainPID"]]).returncode == 0
    time.sleep(0.1)
print(kills)
"""
SLOW = "/run/systemd/system/jupyter.service.d/slow.conf"


@pytest.fixture
def counts_longer(machine: Machine) -> Iterator[None]:
    """On a busy computer five starts may take longer than systemd counts them, and it would never give up."""
    assert machine.state("StartLimitIntervalUSec") == "2min"
    machine(
        f"mkdir -p $(dirname {SLOW}); printf '[Unit]\\nStartLimitIntervalSec=1h\\n' > {SLOW}; systemctl daemon-reload"
    )
    yield
    machine(f"rm -r $(dirname {SLOW}); systemctl daemon-reload")


@pytest.mark.usefixtures("counts_longer")
def test_it_gives_up_what_crashes_again_and_again_and_the_role_recovers_it(machine: Machine) -> None:
    """FAULTS B10."""
    machine("echo mine > ~admin/mine.ipynb; systemctl reset-failed jupyter")
    assert 2 <= int(machine.python(CRASHES)) <= 6
    crashed = health(machine)
    assert (machine.state(), machine.state("Result")) == ("failed", "signal")
    assert "jupyter.service is failed" in crashed and "end of its journal" in crashed
    again = playbook(CONVERGE)
    assert again.returncode == 0, again.stdout
    assert health(machine) == ""
    assert machine("cat ~admin/mine.ipynb; rm ~admin/mine.ipynb") == "mine"


@pytest.fixture
def taken(machine: Machine) -> Iterator[None]:
    """The port is a foreign process's."""
    machine(f"systemctl stop jupyter; systemctl reset-failed jupyter; {SQUATTER}")
    yield
    machine("systemctl stop squatter; systemctl reset-failed jupyter; systemctl start jupyter")
    machine.wait()


@pytest.mark.usefixtures("taken")
def test_a_taken_port_is_refused_with_the_culprits_name_and_the_server_does_not_move(machine: Machine) -> None:
    """FAULTS B12."""
    before = machine("sha256sum /etc/jupyter/* /etc/systemd/system/jupyter*")
    refused = playbook(CONVERGE)
    assert refused.returncode != 0 and changed(refused.stdout) == 0
    culprit = machine("systemctl show -p MainPID --value squatter")
    named = f"Port {PORT} is taken by python3 (pid {culprit})", f"Port {PORT} is taken by a process that does not show"
    assert any(name in refused.stdout for name in named), refused.stdout
    assert machine("sha256sum /etc/jupyter/* /etc/systemd/system/jupyter*") == before
    # As at a boot.
    machine("systemctl start jupyter")
    assert machine(
        "for i in $(seq 360); do systemctl show -p NRestarts --value jupyter | grep -v '^0$' && break; sleep 0.5; done"
    )
    assert {address.rpartition(":")[2] for address in listeners(machine)} == {"22", str(PORT)}


def test_half_an_environment_is_not_started(machine: Machine) -> None:
    package = Path(PYTHON).parents[1] / "lib/python3*/site-packages/notebook"
    machine(f"mv {package} /root/hidden; systemctl restart jupyter")
    try:
        machine.until(lambda: machine.state() == "inactive")
        assert machine.state("Result") == "exec-condition"
        assert "jupyter.service is inactive" in health(machine)
        assert "No module named 'notebook'" in machine("systemctl status jupyter || true")
    finally:
        machine(f"mv /root/hidden $(echo {package.parent})/notebook; systemctl start jupyter")
    machine.wait()


# When process 1 began, and of which kernel: a container has that of the computer it runs on.
BOOT = "cut -d ' ' -f 22 /proc/1/stat; cat /proc/sys/kernel/random/boot_id"


def test_it_is_up_after_a_restart_of_the_machine_with_the_token_it_had(machine: Machine) -> None:
    token, boot = machine.token(), machine.host.check_output(BOOT)
    now, deadline = boot, time.monotonic() + 180
    machine("systemd-run --quiet --on-active=1 systemctl reboot")
    while now == boot and time.monotonic() < deadline:
        time.sleep(2)
        # No way in while it is down.
        with contextlib.suppress(RuntimeError, AssertionError):
            now = machine.host.check_output(BOOT)
    assert now != boot
    machine.wait()
    assert machine.token() == token
