"""What there is in the local EC2, whoever's it is."""

from __future__ import annotations

import functools
import time
from typing import Any

import boto3
from conftest import ENDPOINT

# Kind -> the call that lists it, the answer's key, and the key of its id.
KINDS = {
    "volume": ("describe_volumes", "Volumes", "VolumeId"),
    "key": ("describe_key_pairs", "KeyPairs", "KeyName"),
    "group": ("describe_security_groups", "SecurityGroups", "GroupId"),
    "interface": ("describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId"),
    "address": ("describe_addresses", "Addresses", "PublicIp"),
    "snapshot": ("describe_snapshots", "Snapshots", "SnapshotId"),
    "image": ("describe_images", "Images", "ImageId"),
}
ALIVE = ("pending", "running", "stopping", "stopped")
Holdings = frozenset[tuple[str, str]]


@functools.cache
def ec2() -> Any:
    return boto3.client("ec2", "us-east-1", endpoint_url=ENDPOINT, aws_access_key_id="a", aws_secret_access_key="b")


def instances(project: str = "", *states: str) -> list[str]:
    """The ids of those that are there, of a project if one is named, in these states if any are."""
    filters = [{"Name": "instance-state-name", "Values": list(states or ALIVE)}]
    filters += [{"Name": "tag:Project", "Values": [project]}] if project else []
    found = ec2().describe_instances(Filters=filters)["Reservations"]
    return [one["InstanceId"] for reservation in found for one in reservation["Instances"]]


def holdings() -> Holdings:
    """Kind and id of all that is there."""
    found = {("instance", one) for one in instances()}
    for kind, (call, answer, key) in KINDS.items():
        found |= {(kind, one[key]) for one in getattr(ec2(), call)()[answer]}
    return frozenset(found)


def wait_for(project: str, *states: str) -> None:
    """Wait until the project has an instance, in one of these states if any are named."""
    deadline = time.monotonic() + 60
    while not instances(project, *states):
        assert time.monotonic() < deadline, f"{project} has no instance: {states}"
        time.sleep(0.02)
