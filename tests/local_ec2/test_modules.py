"""What amazon.aws asks of the API: its modules change something once, and nothing the second time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from local_cloud import Cloud

TAGS = {"Name": "a disk", "Project": "modules"}


def run(bare: Cloud, folder: Path, module: str, **arguments: object) -> dict:
    """The result of an amazon.aws module, run by ansible."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{bare.port}",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
    }
    program = Path(sys.executable).parent / "ansible"
    done = subprocess.run(
        [program, "localhost", "-m", f"amazon.aws.{module}", "-a", json.dumps(arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.partition("=> ")[2])


def twice(bare: Cloud, folder: Path, module: str, **arguments: object) -> dict:
    first, second = (run(bare, folder, module, **arguments) for _ in range(2))
    assert (first["changed"], second["changed"]) == (True, False)
    return second


@pytest.fixture
def instance(bare: Cloud) -> str:
    (instance,) = bare.launch(Placement={"AvailabilityZone": "us-east-1a"})
    bare.in_state(instance, "running")
    return instance


def test_a_volume_by_ec2_vol_and_its_snapshot(bare: Cloud, instance: str, tmp_path: Path) -> None:
    made = twice(
        bare,
        tmp_path,
        "ec2_vol",
        **{"name": "a disk", "volume_size": 2, "volume_type": "gp3", "zone": "us-east-1a", "encrypted": True},
        **{"instance": instance, "device_name": "/dev/sdf", "tags": TAGS},
    )
    volume = made["volume"]["id"]
    attached = bare.client("ec2").describe_volumes(VolumeIds=[volume])["Volumes"][0]["Attachments"][0]
    assert (attached["InstanceId"], attached["Device"]) == (instance, "/dev/sdf")
    made = run(bare, tmp_path, "ec2_snapshot", volume_id=volume, snapshot_tags=TAGS, wait=True)
    (found,) = bare.client("ec2").describe_snapshots(SnapshotIds=[made["snapshot_id"]])["Snapshots"]
    assert found["State"] == "completed"
    twice(bare, tmp_path, "ec2_snapshot", snapshot_id=made["snapshot_id"], state="absent")
    run(bare, tmp_path, "ec2_vol", id=volume, instance="None")
    assert twice(bare, tmp_path, "ec2_vol", id=volume, state="absent")
