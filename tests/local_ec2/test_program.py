"""The program: up, down, status, and what each says when it cannot."""

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from local_cloud import REPOSITORY, Cloud, brought_up, free_port, local_ec2

from local_ec2.podman import podman

# A proxy that a client would not get past.
NOBODY = "http://127.0.0.1:9"


def in_podman(owner: str) -> str:
    """All of an owner that podman still has."""
    kinds = (["ps", "-a"], ["network", "ls"], ["images"])
    return "".join(podman(*kind, "-q", "--filter", f"label=local-ec2={owner}") for kind in kinds)


def test_help_names_the_commands() -> None:
    assert {"up", "down", "status"} <= set(local_ec2("--help").stdout.replace(",", " ").split())


def test_a_second_up_changes_nothing(cloud: Cloud, machine: str) -> None:
    before = cloud.state
    done = local_ec2("up", "--data", str(cloud.data), "--port", str(cloud.port), http_proxy=NOBODY)
    assert done.returncode == 0
    assert "already up" in done.stdout
    assert cloud.state == before


def test_up_with_another_port_is_refused_while_it_is_up(cloud: Cloud) -> None:
    done = local_ec2("up", "--data", str(cloud.data), "--port", str(free_port()))
    assert done.returncode == 1
    assert str(cloud.port) in done.stderr
    assert "`down`" in done.stderr


def test_status_lists_the_machines(cloud: Cloud, machine: str) -> None:
    done = local_ec2("status", "--data", str(cloud.data), http_proxy=NOBODY)
    assert done.returncode == 0
    line = next(line for line in done.stdout.splitlines() if line.startswith(machine))
    assert {"running", "t3.micro", cloud.instance(machine)["PublicIpAddress"]} <= set(line.split())


def test_status_of_nothing_is_down(tmp_path: Path) -> None:
    done = local_ec2("status", "--data", str(tmp_path / "none"))
    assert (done.returncode, "is down" in done.stdout) == (3, True)


def test_the_api_answers_on_this_machine_only(cloud: Cloud) -> None:
    with socket.socket() as probe:
        assert probe.connect_ex((cloud.state["subnet"].replace(".0/20", ".1"), cloud.port)) != 0


def test_a_busy_port_names_who_has_it(tmp_path: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        done = local_ec2("up", "--data", str(tmp_path / "data"), "--port", str(port))
    assert done.returncode == 1
    assert f"(process {os.getpid()})" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    done = local_ec2("up", "--data", str(tmp_path), "--port", str(free_port()))
    assert done.returncode == 1
    assert "--data" in done.stderr
    assert local_ec2("down", "--data", str(tmp_path)).returncode == 0
    assert (tmp_path / "thesis.tex").exists()


@pytest.mark.parametrize("subnet", ["8.8.8.0/24", "10.1.2.3/16", "10.9.0.0/30", "many"])
def test_a_subnet_that_cannot_be_is_refused(tmp_path: Path, subnet: str) -> None:
    done = local_ec2("up", "--data", str(tmp_path / "data"), "--port", str(free_port()), "--subnet", subnet)
    assert done.returncode == 1
    assert f"--subnet {subnet}" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_subnet_in_use_is_refused(cloud: Cloud, tmp_path: Path) -> None:
    taken = cloud.state["subnet"]
    done = local_ec2("up", "--data", str(tmp_path / "data"), "--port", str(free_port()), "--subnet", taken)
    assert done.returncode == 1
    assert "overlaps" in done.stderr


@pytest.mark.parametrize("command", ["up", "down"])
def test_those_who_are_not_root_are_told_how(command: str, tmp_path: Path) -> None:
    python = Path(sys.executable)
    # imported before it steps down: the interpreter itself may lie where only root may read
    code = "import os, sys; from local_ec2.cli import main; os.setgid(65534); os.setuid(65534); sys.exit(main())"
    done = subprocess.run(
        [python, "-c", code, command, "--data", "/nowhere"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "you are nobody" in done.stderr
    assert f"sudo {python} -m local_ec2 {command}" in done.stderr
    assert "Traceback" not in done.stderr


def test_missing_programs_are_named(tmp_path: Path) -> None:
    for program in ("apt-get", "ip", "iptables", "podman"):
        (tmp_path / program).symlink_to(f"/usr/bin/{program}")
    done = local_ec2("up", "--data", str(tmp_path / "data"), PATH=str(tmp_path))
    assert done.returncode == 1
    assert "apt-get install mmdebstrap" in done.stderr
    assert "--install" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_server_that_died_is_replaced_by_an_empty_one_and_down_leaves_nothing(cloud: Cloud, tmp_path: Path) -> None:
    """Beside the other one that is up, with a network of its own."""
    data = tmp_path / "data"
    inventory = tmp_path / "upstream.yml"
    with brought_up(data) as second:
        assert second.state["subnet"] != cloud.state["subnet"]
        (lost,) = second.launch(KeyName="")
        second.in_state(lost, "running")
        # A process that dies is there for a while and does not answer. Here it is so for two seconds.
        os.kill(second.state["pid"], signal.SIGSTOP)
        threading.Timer(2, os.kill, (second.state["pid"], signal.SIGKILL)).start()
        done = local_ec2("status", "--data", str(data))
        assert (done.returncode, "has died" in done.stdout) == (3, True)

        inventory.write_text("{}")
        again = ["up", "--data", str(data), "--port", str(second.port), "--upstream", "real"]
        done = local_ec2(*again, "--inventory-vars", str(inventory))
        assert "has died" in done.stdout
        assert "1 machine" in done.stdout
        assert second.client("ec2").describe_instances()["Reservations"] == []
        assert not inventory.exists(), "the stand-ins' addresses of an earlier run are still there"

        (instance,) = second.launch(KeyName="")
        second.in_state(instance, "running")
        owner = second.owner
        assert in_podman(owner)
        assert local_ec2("down", "--data", str(data)).returncode == 0
    assert not in_podman(owner)
    assert not data.exists()
    done = local_ec2("down", "--data", str(data))
    assert (done.returncode, done.stdout) == (0, "Nothing is up.\n")
