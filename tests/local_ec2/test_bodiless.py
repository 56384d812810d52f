"""Instances without machines: `up --machines none`."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_cloud import REPOSITORY, Cloud, brought_up, eventually, free_port, local_ec2


def test_an_instance_goes_through_its_states(bare: Cloud) -> None:
    client = bare.client("ec2")
    (instance,) = bare.launch()
    assert bare.instance(instance)["State"]["Name"] in ("pending", "running")
    running = bare.in_state(instance, "running")
    assert running["PublicIpAddress"]
    eventually(lambda: bare.status(instance) == "ok")
    assert client.stop_instances(InstanceIds=[instance])["StoppingInstances"][0]["CurrentState"]["Name"] == "stopping"
    assert "PublicIpAddress" not in bare.in_state(instance, "stopped")
    client.start_instances(InstanceIds=[instance])
    bare.in_state(instance, "running")
    client.reboot_instances(InstanceIds=[instance])
    eventually(lambda: bare.status(instance) == "ok")
    client.terminate_instances(InstanceIds=[instance])
    bare.in_state(instance, "terminated")


def test_the_console_shows_host_keys_that_stay(bare: Cloud) -> None:
    (instance,) = bare.launch()
    bare.in_state(instance, "running")
    first = bare.console(instance)
    block = re.search(r"-----BEGIN SSH HOST KEY KEYS-----\n(.*)\n-----END SSH HOST KEY KEYS-----", first, re.S)
    assert [line.split()[0] for line in block[1].splitlines()] == ["ecdsa-sha2-nistp256", "ssh-ed25519", "ssh-rsa"]
    assert bare.console(instance) == first
    (other,) = bare.launch()
    bare.in_state(other, "running")
    assert bare.console(other) != first


def test_an_image_is_made_and_launched(bare: Cloud) -> None:
    client = bare.client("ec2")
    (instance,) = bare.launch()
    bare.in_state(instance, "running")
    image = client.create_image(InstanceId=instance, Name="paper")["ImageId"]
    eventually(lambda: client.describe_images(ImageIds=[image])["Images"][0]["State"] == "available")
    (copy,) = bare.launch(ImageId=image)
    bare.in_state(copy, "running")


def test_a_thousand_are_launched_at_once(bare: Cloud) -> None:
    begun = time.monotonic()
    assert len(set(bare.launch(MinCount=1000, MaxCount=1000))) == 1000
    assert time.monotonic() - begun < 45
    eventually(lambda: len(bare.instances("running")) == 1000)


def test_every_page_has_as_many_instances_as_asked(bare: Cloud) -> None:
    launched = bare.launch(MinCount=7, MaxCount=7) + bare.launch(MinCount=5, MaxCount=5)
    alive = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    pages = (
        bare.client("ec2").get_paginator("describe_instances").paginate(Filters=alive, PaginationConfig={"PageSize": 5})
    )
    found = [
        [one["InstanceId"] for reservation in page["Reservations"] for one in reservation["Instances"]]
        for page in pages
    ]
    assert [len(page) for page in found] == [5, 5, 2]
    assert sorted(instance for page in found for instance in page) == sorted(launched)


def test_instances_are_in_every_region(bare: Cloud) -> None:
    client = bare.client("ec2", "eu-west-1")
    answer = client.run_instances(ImageId=bare.image(), InstanceType="t3.micro", MinCount=1, MaxCount=1)
    (instance,) = answer["Instances"]
    assert instance["Placement"]["AvailabilityZone"].startswith("eu-west-1")
    client.terminate_instances(InstanceIds=[instance["InstanceId"]])


def test_status_and_down_work_with_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with brought_up(data, "--machines", "none", "--subnet", "192.168.0.0/16") as cloud:
        (instance,) = cloud.launch(KeyName="")
        assert cloud.instance(instance)["PrivateIpAddress"].startswith("192.168.")
        status = local_ec2("status", "--data", str(data))
        assert (status.returncode, instance in status.stdout) == (0, True)
        assert local_ec2("down", "--data", str(data)).returncode == 0
        assert not data.exists()


def test_what_machines_are_is_not_changed_while_it_is_up(bare: Cloud) -> None:
    done = local_ec2("up", "--data", str(bare.data), "--port", str(bare.port))
    assert done.returncode == 1
    assert "--machines none" in done.stderr
    assert "`down`" in done.stderr


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may write to: pytest's own lie in one of the user's alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


def test_neither_root_nor_podman_is_needed(open_folder: Path) -> None:
    python = [sys.executable, "-m", "local_ec2"]
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    again = f"import subprocess; subprocess.run([{sys.executable!r}, '-c', ''], check=True)"
    if subprocess.run([*nobody, sys.executable, "-c", again], capture_output=True, check=False).returncode:
        pytest.skip("the interpreter lies where only root may read")
    data = ["--data", str(open_folder / "data")]
    for command in (["up", "--machines", "none", "--port", str(free_port())], ["status"], ["down"]):
        done = subprocess.run(
            [*nobody, *python, command[0], *data, *command[1:]],
            cwd=REPOSITORY,
            env={"PATH": "/nowhere"} if not nobody else {"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_it_runs_without_any_program_of_the_host(tmp_path: Path) -> None:
    data = ["--data", str(tmp_path / "data")]
    done = local_ec2("up", "--machines", "none", *data, "--port", str(free_port()), PATH="/nowhere")
    try:
        assert done.returncode == 0, done.stderr
    finally:
        local_ec2("down", *data)
