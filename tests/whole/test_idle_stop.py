"""A machine that nobody uses stops itself, and comes back with the same notebook at the same token."""

from __future__ import annotations

import json
import time
import urllib.request

import boto3
import pytest
from conftest import ENDPOINT, INVENTORY, Run, on_machine, playbook, run

# The processors are those of the computer that runs the tests, so they tell nothing of the machine.
SHORT = {"idle_stop_minutes": 1, "idle_stop_warn_minutes": 0.5, "idle_stop_cpu_percent": 0}
PATIENCE_SECONDS = 300

# It waits for minutes in which nothing happens.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ec2(first: Run) -> object:
    keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
    return boto3.client("ec2", "us-east-1", endpoint_url=ENDPOINT, **keys)


def reader(ec2: object) -> dict:
    filters = [{"Name": "tag:Name", "Values": ["reader"]}]
    states = [{"Name": "instance-state-name", "Values": ["running", "stopping", "stopped"]}]
    (found,) = ec2.describe_instances(Filters=filters + states)["Reservations"][0]["Instances"]
    return found


@pytest.fixture(scope="module")
def shown(first: Run) -> Run:
    """configure.yml with a short limit, and the card."""
    playbook("playbooks/configure.yml", "-e", json.dumps(SHORT))
    return playbook("playbooks/tunnel.yml", "-e", json.dumps(SHORT))


def test_the_card_says_that_it_stops_itself(first: Run, shown: Run) -> None:
    assert "stops itself after 1 idle minutes" in shown.output
    assert "never stops itself" in first.output


def test_the_machine_says_what_keeps_it_up(shown: Run) -> None:
    assert "  reader  in use: " in playbook("playbooks/idle.yml").output


def test_it_is_kept_up_for_as_long_as_somebody_says(shown: Run) -> None:
    ask = "sudo gluon-idle status --fresh --json"
    playbook("playbooks/idle.yml", "-e", "keep=8")
    assert "keeps it up for another 8.0 hours" in on_machine(ask)
    playbook("playbooks/idle.yml", "-e", "keep=0")
    assert "keeps it up" not in on_machine(ask)


def test_it_stops_itself_with_the_tunnel_open(ec2: object, shown: Run) -> None:
    """Neither the tunnel nor the connection that Ansible leaves open keeps it up."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (now := reader(ec2))["State"]["Name"] != "stopped":
        assert time.monotonic() < deadline, run(
            "ssh", "-F", str(INVENTORY / ".state/gluon-ec2/ssh_config"), "reader", "gluon-idle status"
        ).output
        time.sleep(2)
    assert now["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"


def test_it_comes_back_with_the_same_notebook_at_the_same_token(ec2: object, shown: Run, address: str) -> None:
    started = playbook("playbooks/start.yml", "-e", "show_token=always", "-e", json.dumps(SHORT))
    token = address.partition("token=")[2]
    assert f"?token={token}" in started.output
    base = address.partition("/tree")[0]
    assert urllib.request.urlopen(f"{base}/api/contents?token={token}", timeout=30).status == 200
    told = json.loads(on_machine("gluon-idle status --json"))
    assert told["last_stop"]["words"].startswith("idle for ")


def test_switched_off_it_leaves_no_timer(shown: Run) -> None:
    off = {"idle_stop_minutes": 0, "idle_stop_spot_watch": False}
    assert playbook("playbooks/configure.yml", "-e", json.dumps(off)).changed
    assert playbook("playbooks/configure.yml", "-e", json.dumps(off)).changed == 0
    assert on_machine("ls /etc/systemd/system /usr/local/bin /usr/local/lib /var/lib /run | grep gluon || true") == ""
