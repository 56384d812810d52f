"""The machine that the ec2 role made, as EC2 describes it and as SSH reaches it."""

from __future__ import annotations

import os
from typing import Any

import boto3
import pytest

NAME = "molecule-ec2"


@pytest.fixture(scope="module")
def ec2() -> Any:
    """EC2 as boto3 finds it; without settings for AWS, the local one."""
    if os.environ.get("AWS_PROFILE") or os.environ.get("AWS_ACCESS_KEY_ID"):
        return boto3.client("ec2")
    endpoint = os.environ.get("LOCAL_EC2_ENDPOINT", "http://127.0.0.1:5950")
    return boto3.client(
        "ec2", region_name="us-east-1", endpoint_url=endpoint, aws_access_key_id="local", aws_secret_access_key="local"
    )


@pytest.fixture(scope="module")
def instance(ec2: Any) -> dict[str, Any]:
    """The one instance of that name."""
    found = ec2.describe_instances(
        Filters=[{"Name": "tag:Name", "Values": [NAME]}, {"Name": "instance-state-name", "Values": ["running"]}]
    )
    instances = [instance for reservation in found["Reservations"] for instance in reservation["Instances"]]
    assert len(instances) == 1
    return instances[0]


def test_the_login_user_gets_in_and_may_become_root(host: Any) -> None:
    assert host.run("sudo -n id -u").stdout.strip() == "0"


def test_the_machine_is_up(host: Any) -> None:
    assert host.run("systemctl is-system-running --wait").stdout.strip() == "running"


def test_tags_tell_whose_it_is(instance: dict[str, Any]) -> None:
    tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
    assert tags["Name"] == NAME
    assert tags["Project"] == NAME
    assert tags["ManagedBy"] == "gluon-ec2"
    assert tags["Owner"]


def test_the_root_disk_is_encrypted_gp3_of_40_gb(ec2: Any, instance: dict[str, Any]) -> None:
    (disk,) = instance["BlockDeviceMappings"]
    assert disk["DeviceName"] == instance["RootDeviceName"]
    (volume,) = ec2.describe_volumes(VolumeIds=[disk["Ebs"]["VolumeId"]])["Volumes"]
    assert (volume["VolumeType"], volume["Size"], volume["Encrypted"]) == ("gp3", 40, True)


def test_its_metadata_wants_a_token(instance: dict[str, Any]) -> None:
    options = instance["MetadataOptions"]
    assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 1)


def test_it_has_no_rights_in_aws(instance: dict[str, Any]) -> None:
    assert "IamInstanceProfile" not in instance


def test_ssh_from_one_address_is_all_that_may_come_in(ec2: Any, instance: dict[str, Any]) -> None:
    groups = ec2.describe_security_groups(GroupIds=[group["GroupId"] for group in instance["SecurityGroups"]])
    (rule,) = [rule for group in groups["SecurityGroups"] for rule in group["IpPermissions"]]
    assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 22, 22)
    assert [source["CidrIp"] for source in rule["IpRanges"]] == ["127.0.0.1/32"]
    assert rule["Ipv6Ranges"] == []
