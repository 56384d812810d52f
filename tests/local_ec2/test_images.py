"""AMIs: the one to begin with, and those baked from machines."""

from collections.abc import Iterator

import pytest
from local_cloud import Cloud, eventually, refused

from local_ec2.podman import podman

DEBIAN = "136693071363"


@pytest.fixture(scope="module")
def baked(cloud: Cloud) -> Iterator[str]:
    """An AMI of a machine with a file in it."""
    (instance,) = cloud.launch(
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 12, "VolumeType": "gp3"}}]
    )
    cloud.ssh(instance, "echo baked > here; sync")
    ami = create(cloud, instance, "a cake")
    cloud.client("ec2").terminate_instances(InstanceIds=[instance])
    yield ami


def create(cloud: Cloud, instance: str, name: str) -> str:
    tags = [{"ResourceType": kind, "Tags": [{"Key": "Of", "Value": kind}]} for kind in ("image", "snapshot")]
    ami = cloud.client("ec2").create_image(InstanceId=instance, Name=name, TagSpecifications=tags)["ImageId"]
    eventually(lambda: described(cloud, ami)["State"] != "pending")
    return ami


def described(cloud: Cloud, ami: str) -> dict:
    return cloud.client("ec2").describe_images(ImageIds=[ami])["Images"][0]


def test_debian_is_found_by_owner_and_name(cloud: Cloud) -> None:
    filters = [{"Name": "name", "Values": ["debian-12-amd64-*"]}, {"Name": "architecture", "Values": ["x86_64"]}]
    (image,) = cloud.client("ec2").describe_images(Owners=[DEBIAN], Filters=filters)["Images"]
    assert image["ImageId"] == cloud.image()
    assert image["RootDeviceName"] == "/dev/xvda"


def test_only_what_boots_is_offered(cloud: Cloud) -> None:
    assert [image["OwnerId"] for image in cloud.client("ec2").describe_images(Owners=["amazon"])["Images"]] == [DEBIAN]


def test_a_baked_image_boots_with_its_files_and_keys_of_its_own(cloud: Cloud, baked: str) -> None:
    (instance,) = cloud.launch(ImageId=baked)
    keys = "cat here; cat /etc/ssh/ssh_host_ed25519_key.pub"
    file, host_key = cloud.ssh(instance, keys).stdout.splitlines()
    cloud.client("ec2").terminate_instances(InstanceIds=[instance])
    assert file == "baked"
    assert host_key.split()[1] in cloud.console(instance), "the key of the machine it was baked from is still in use"


def test_a_baked_image_remembers_disk_and_tags(cloud: Cloud, baked: str) -> None:
    image = described(cloud, baked)
    (device,) = image["BlockDeviceMappings"]
    assert (device["DeviceName"], device["Ebs"]["VolumeSize"]) == ("/dev/xvda", 12)
    assert image["Tags"] == [{"Key": "Of", "Value": "image"}]
    (snapshot,) = cloud.client("ec2").describe_snapshots(SnapshotIds=[device["Ebs"]["SnapshotId"]])["Snapshots"]
    assert snapshot["Tags"] == [{"Key": "Of", "Value": "snapshot"}]


def test_a_name_is_given_once(cloud: Cloud, baked: str, machine: str) -> None:
    assert refused(cloud.client("ec2").create_image, InstanceId=machine, Name="a cake") == "InvalidAMIName.Duplicate"


def test_a_deregistered_image_is_gone(cloud: Cloud, machine: str) -> None:
    ami = create(cloud, machine, "crumbs")
    cloud.client("ec2").deregister_image(ImageId=ami)
    assert ami not in podman("images", "--format", "{{.Tag}}")
    assert refused(cloud.launch, ImageId=ami) == "InvalidAMIID.NotFound"


def test_a_boot_that_fails_says_why_and_leaves_nothing(cloud: Cloud, machine: str) -> None:
    ami = create(cloud, machine, "spoilt")
    podman("rmi", f"localhost/{cloud.owner}:{ami}")
    (instance,) = cloud.launch(ImageId=ami)
    reason = cloud.in_state(instance, "terminated")["StateReason"]
    assert reason["Code"] == "Server.InternalError"
    assert ami in reason["Message"]
    assert instance not in podman("ps", "-a", "--format", "{{.Names}}")
