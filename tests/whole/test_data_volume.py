"""What lies on a data volume outlives the machine, also when the next one is in another zone."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from conftest import ENDPOINT, INVENTORY, ROOT, STATE, Run, playbook, run

from local_ec2.control import Control

NAME = "keeper"
MOUNT = f"""
- hosts: {NAME}
  become: true
  gather_subset: [min]
  tasks:
    - ansible.builtin.include_role:
        name: {ROOT}/roles/ec2
        tasks_from: mount
"""


def asked(**more: object) -> list[str]:
    return ["-e", json.dumps({"machines": [{"name": NAME}], "data_disk_gb": 1, **more})]


def on_keeper(command: str) -> str:
    config = str(STATE / "ssh_config")
    return subprocess.run(
        ["ssh", "-F", config, NAME, command], capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture(scope="module")
def mount(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("mount") / "mount.yml"
    file.write_text(MOUNT)
    return file


@pytest.fixture(scope="module")
def noted(mount: Path) -> None:
    """A note on the volume, whichever tests ran before."""
    playbook("playbooks/provision.yml", *asked())
    playbook(str(mount))
    on_keeper("echo mine > /data/note; sync")


@pytest.fixture(autouse=True, scope="module")
def gone(first: Run) -> Iterator[None]:
    yield
    playbook("playbooks/terminate.yml", *asked(confirm="yes", purge="data", only=NAME))


def test_a_note_outlives_its_machine_and_moves_to_another_zone(mount: Path) -> None:
    playbook("playbooks/provision.yml", *asked(ec2_zones=["us-east-1a"]))
    assert playbook(str(mount)).changed
    assert playbook(str(mount)).changed == 0
    on_keeper("echo mine > /data/note; sync")
    kept = playbook("playbooks/terminate.yml", *asked(confirm="yes", only=NAME))
    assert f"{NAME}-data" in kept.output
    playbook("playbooks/provision.yml", *asked(ec2_zones=["us-east-1b"]))
    playbook(str(mount))
    assert on_keeper("cat /data/note") == "mine"
    assert playbook("playbooks/provision.yml", *asked(ec2_zones=["us-east-1b"])).changed == 0


@pytest.mark.slow
@pytest.mark.usefixtures("noted")
def test_it_grows(mount: Path) -> None:
    playbook("playbooks/stop.yml", *asked(only=NAME))
    playbook("playbooks/provision.yml", *asked(data_disk_gb=2))
    # Root of a container may not resize what is mounted; on a machine of AWS it may.
    on_keeper("sudo umount /data")
    playbook(str(mount))
    assert int(on_keeper("df --output=size -BM /data | tail -1").rstrip("M")) > 1800
    assert on_keeper("cat /data/note") == "mine"


@pytest.mark.slow
@pytest.mark.usefixtures("noted")
def test_nothing_is_lost_when_a_spot_machine_is_taken_back(mount: Path) -> None:
    """FAULTS D6."""
    spot = asked(data_disk_gb=2, spot=True)
    playbook("playbooks/terminate.yml", *asked(confirm="yes", only=NAME))
    playbook("playbooks/provision.yml", *spot)
    playbook(str(mount))
    assert on_keeper("cat /data/note") == "mine"
    # No sync: the machine is told to shut down, and writes what it holds.
    on_keeper("echo more >> /data/note")
    shown = run(".venv/bin/ansible-inventory", "-i", str(INVENTORY), "--host", NAME).output
    ids = [json.loads(shown)["aws_instance_id"]]
    # EC2 starts it again when there is capacity, and that is when this test says so.
    Control(ENDPOINT).no_capacity(market="spot")
    Control(ENDPOINT).interrupt(ids[0])
    ec2 = boto3.client("ec2", "us-east-1", endpoint_url=ENDPOINT, aws_access_key_id="a", aws_secret_access_key="b")
    # The role launches spot machines that EC2 then stops and does not delete, and which it starts again itself.
    ec2.get_waiter("instance_stopped").wait(InstanceIds=ids, WaiterConfig={"Delay": 1})
    with pytest.raises(AssertionError, match="taken back"):
        playbook("playbooks/provision.yml", *spot)
    Control(ENDPOINT).clear()
    ec2.get_waiter("instance_running").wait(InstanceIds=ids, WaiterConfig={"Delay": 1})
    playbook("playbooks/provision.yml", *spot)
    playbook(str(mount))
    assert on_keeper("cat /data/note") == "mine\nmore"


@pytest.mark.slow
def test_it_never_shrinks() -> None:
    with pytest.raises(AssertionError, match="shrink"):
        playbook("playbooks/provision.yml", *asked())
