"""A local EC2 of the tests' own, and what tests ask of it."""

import contextlib
import dataclasses
import functools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.config
import botocore.exceptions
import pytest

from local_ec2.control import Control
from local_ec2.folder import Folder

REPOSITORY = Path(__file__).parents[2]
IMAGE = "/aws/service/debian/release/12/latest/amd64"
SECONDS = 180
SSH = [
    *("-o", "StrictHostKeyChecking=no"),  # new machines all the time, on this computer; a test of its own compares keys
    *("-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"),
    *("-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def local_ec2(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program from the checkout, under settings for AWS that would lead a client astray."""
    astray = {"AWS_PROFILE": "absent", "AWS_CA_BUNDLE": "/absent.pem", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    return subprocess.run(
        [sys.executable, "-m", "local_ec2", *arguments],
        cwd=REPOSITORY,
        env=os.environ | astray | environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def eventually(what: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """Ask until the answer is true, and return it."""
    end = time.monotonic() + seconds
    while True:
        if answer := what():
            return answer
        assert time.monotonic() < end, f"still {answer!r} after {seconds} s"
        time.sleep(0.1)


@functools.cache
def client_of(port: int, service: str, region: str) -> Any:
    # tests count calls, so that none is made again in silence
    return boto3.client(
        service,
        region,
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )


@dataclasses.dataclass
class Cloud:
    """A local EC2 that is up. `owner` is the label of all that it makes in podman."""

    data: Path
    port: int

    @property
    def key(self) -> Path:
        """The private half of the key pair `imported`, beside the data folder."""
        return self.data.with_name("key")

    def client(self, service: str, region: str = "us-east-1") -> Any:
        return client_of(self.port, service, region)

    @property
    def state(self) -> dict[str, Any]:
        return json.loads((self.data / "state.json").read_text())

    @property
    def control(self) -> Control:
        return Control(f"http://127.0.0.1:{self.port}")

    @property
    def owner(self) -> str:
        return Folder(self.data).owner

    def image(self) -> str:
        return self.client("ssm").get_parameter(Name=IMAGE)["Parameter"]["Value"]

    def launch(self, **options: Any) -> list[str]:
        """Launch instances, and return their ids without waiting."""
        asked = {
            "ImageId": self.image(),
            "InstanceType": "t3.micro",
            "MinCount": 1,
            "MaxCount": 1,
            "KeyName": "imported",
        }
        answer = self.client("ec2").run_instances(**asked | options)
        return [instance["InstanceId"] for instance in answer["Instances"]]

    def instance(self, instance: str) -> dict[str, Any]:
        answer = self.client("ec2").describe_instances(InstanceIds=[instance])
        return answer["Reservations"][0]["Instances"][0]

    def instances(self, *states: str) -> list[dict[str, Any]]:
        """All instances that are in one of these states."""
        filters = [{"Name": "instance-state-name", "Values": states}] if states else []
        pages = self.client("ec2").get_paginator("describe_instances").paginate(Filters=filters)
        return [one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"]]

    def terminate_all(self) -> None:
        """Terminate every instance, none of which comes again, and wait until all are."""
        client = self.client("ec2")
        requests = client.describe_spot_instance_requests()["SpotInstanceRequests"]
        if ids := [one["SpotInstanceRequestId"] for one in requests if one["State"] != "cancelled"]:
            client.cancel_spot_instance_requests(SpotInstanceRequestIds=ids)
        alive = ("pending", "running", "stopping", "stopped")
        if found := [one["InstanceId"] for one in self.instances(*alive)]:
            client.terminate_instances(InstanceIds=found)
        eventually(lambda: not self.instances(*alive, "shutting-down"))

    def in_state(self, instance: str, state: str) -> dict[str, Any]:
        """The instance, once it is in the state."""
        eventually(lambda: self.instance(instance)["State"]["Name"] == state)
        return self.instance(instance)

    def status(self, instance: str) -> str:
        answer = self.client("ec2").describe_instance_status(InstanceIds=[instance], IncludeAllInstances=True)
        return answer["InstanceStatuses"][0]["InstanceStatus"]["Status"]

    def up(self, instance: str) -> str:
        """The instance's public address, once its status check has passed."""
        eventually(lambda: self.status(instance) == "ok")
        return self.instance(instance)["PublicIpAddress"]

    def ssh(self, instance: str, command: str, key: Path | None = None) -> subprocess.CompletedProcess[str]:
        where = ["-i", str(key or self.key), f"admin@{self.up(instance)}"]
        return subprocess.run(
            ["ssh", *SSH, *where, command],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def console(self, instance: str) -> str:
        return self.client("ec2").get_console_output(InstanceId=instance).get("Output", "")


def import_key(cloud: Cloud) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(cloud.key)], check=True)
    public = cloud.key.with_suffix(".pub").read_bytes()
    cloud.client("ec2").import_key_pair(KeyName="imported", PublicKeyMaterial=public)


@contextlib.contextmanager
def brought_up(data: Path, *options: str) -> Iterator[Cloud]:
    """A local EC2 with a key pair. Its data folder goes with it."""
    cloud = Cloud(data, free_port())
    try:
        done = local_ec2("up", "--data", str(data), "--port", str(cloud.port), "--upstream", "real", *options)
        assert done.returncode == 0, done.stdout + done.stderr
        import_key(cloud)
        yield cloud
    finally:
        local_ec2("down", "--data", str(data))


def answer(call: Callable[..., Any], **arguments: Any) -> tuple[int, str, str]:
    """HTTP status, code and message with which a call is refused."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], response["Error"]["Message"]


def refused(call: Callable[..., Any], **arguments: Any) -> str:
    """The code of the error with which the API refuses a call."""
    return answer(call, **arguments)[1]
