"""Machines that somebody else stops, and other ways to them than the open one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from conftest import ENDPOINT, INVENTORY, STATE, Run, on_machine, playbook, run


@pytest.fixture(scope="module")
def ec2(first: Run) -> object:
    keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
    return boto3.client("ec2", "us-east-1", endpoint_url=ENDPOINT, **keys)


def reader(ec2: object) -> dict:
    filters = [
        {"Name": "tag:Name", "Values": ["reader"]},
        {"Name": "instance-state-name", "Values": ["running", "stopping", "stopped"]},
    ]
    (found,) = ec2.describe_instances(Filters=filters)["Reservations"][0]["Instances"]
    return found


def test_a_machine_that_somebody_else_stopped_is_started(ec2: object) -> None:
    """FAULTS D10."""
    ids = [reader(ec2)["InstanceId"]]
    ec2.stop_instances(InstanceIds=ids)
    ec2.get_waiter("instance_stopped").wait(InstanceIds=ids, WaiterConfig={"Delay": 1})
    playbook("site.yml")
    now = reader(ec2)
    assert (now["InstanceId"], now["State"]["Name"]) == (ids[0], "running")
    shown = run(".venv/bin/ansible-inventory", "-i", str(INVENTORY), "--host", "reader").output
    assert json.loads(shown)["ansible_host"] == now["PublicIpAddress"]
    assert f"HostName {now['PublicIpAddress']}\n" in (STATE / "ssh_config").read_text()
    assert on_machine("systemctl is-active jupyter").strip() == "active"
    assert playbook("site.yml", "-e", "roster=").changed == 0


@pytest.fixture
def afterwards(first: Run) -> Iterator[None]:
    """The open way is taken again after the test."""
    yield
    playbook("playbooks/provision.yml")


@pytest.mark.usefixtures("afterwards")
def test_a_proxy_command_is_the_way_for_ssh_and_for_playbooks(ec2: object, tmp_path: Path) -> None:
    """As with Session Manager: the command knows the instance by its id, and nothing else connects to it."""
    plain, script, log = tmp_path / "plain", tmp_path / "way", tmp_path / "log"
    plain.write_text((STATE / "ssh_config").read_text())
    script.write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec ssh -F {plain} -W 127.0.0.1:22 reader\n')
    script.chmod(0o755)
    way = ("-e", json.dumps({"ec2_ssh_proxy_command": f"{script} %h %p"}))
    playbook("playbooks/provision.yml", *way)
    assert on_machine("id -un").strip() == "admin"
    # With a socket of its own there is no open connection to fall back on.
    socket = ("-e", f"ansible_control_path={tmp_path}/socket")
    pong = run(".venv/bin/ansible", "-i", str(INVENTORY), "reader", "-m", "ansible.builtin.ping", *way, *socket)
    # It may have ended by itself.
    subprocess.run(["ssh", "-o", f"ControlPath={tmp_path}/socket", "-O", "exit", "reader"], check=False)
    assert "pong" in pong.output
    # Of the playbook, too, where the machine was started a moment ago.
    first, second, *more = log.read_text().splitlines()
    assert {first, second, *more} == {f"{reader(ec2)['InstanceId']} 22"}


@pytest.mark.usefixtures("afterwards")
def test_the_host_that_is_jumped_over_is_not_jumped_to() -> None:
    # There is no such host, so nobody is to wait for an answer that comes by it.
    jump = ("-e", "ec2_ssh_proxy_jump=me@bastion.example", "-e", "ec2_timeout=10")
    playbook("playbooks/provision.yml", *jump)

    def settings(host: str) -> list[str]:
        return run("ssh", "-F", str(STATE / "ssh_config"), "-G", host).output.splitlines()

    assert "proxyjump me@bastion.example" in settings("reader")
    assert not [line for line in settings("bastion.example") if line.startswith("proxyjump")]
    assert f"userknownhostsfile {STATE}/known_hosts" not in settings("bastion.example")
