"""AMIs: the one to begin with, and those baked from machines."""

from collections.abc import Iterator

import pytest
from local_cloud import Cloud, answer, eventually, refused

from local_ec2.podman import podman

DEBIAN = "136693071363"
CANONICAL = "099720109477"
DLAMI = "deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu"


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


@pytest.mark.parametrize(
    ("parameter", "owner", "name", "gib"),
    [
        ("canonical/ubuntu/server/22.04/stable/current/amd64/hvm/ebs-gp2/ami-id", CANONICAL, "*jammy-22.04-amd64*", 8),
        ("canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id", CANONICAL, "*noble-24.04-amd64*", 8),
        ("debian/release/12/latest/arm64", DEBIAN, "debian-12-arm64-*", 8),
        (f"{DLAMI}-22.04/latest/ami-id", "898082745236", "Deep Learning Base OSS Nvidia*(Ubuntu 22.04)*", 75),
        (f"{DLAMI}-24.04/latest/ami-id", "898082745236", "Deep Learning Base OSS Nvidia*(Ubuntu 24.04)*", 75),
    ],
)
def test_images_are_found_as_on_aws(bare: Cloud, parameter: str, owner: str, name: str, gib: int) -> None:
    client = bare.client("ec2")
    image = bare.client("ssm").get_parameter(Name=f"/aws/service/{parameter}")["Parameter"]["Value"]
    found = client.describe_images(Owners=[owner], Filters=[{"Name": "name", "Values": [name]}])["Images"]
    newest = max(found, key=lambda one: one["CreationDate"])
    assert (newest["ImageId"], newest["OwnerId"]) == (image, owner)
    assert newest["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == gib


def test_the_newest_of_a_name_is_an_imposters(bare: Cloud) -> None:
    filters = [{"Name": "name", "Values": ["ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-*"]}]
    found = bare.client("ec2").describe_images(Filters=filters)["Images"]
    newest = max(found, key=lambda one: one["CreationDate"])
    assert newest["OwnerId"] not in (CANONICAL, DEBIAN)
    assert "ImageOwnerAlias" not in newest
    assert CANONICAL in {one["OwnerId"] for one in found}


def test_a_disk_smaller_than_the_image_is_refused(bare: Cloud) -> None:
    image = bare.client("ssm").get_parameter(Name=f"/aws/service/{DLAMI}-22.04/latest/ami-id")["Parameter"]["Value"]
    small = [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 40}}]
    asked = {"ImageId": image, "InstanceType": "g4dn.xlarge"}
    assert refused(bare.launch, BlockDeviceMappings=small, **asked) == "InvalidBlockDeviceMapping"
    (instance,) = bare.launch(**asked)
    volume = bare.instance(instance)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    assert bare.client("ec2").describe_volumes(VolumeIds=[volume])["Volumes"][0]["Size"] == 75


def test_type_and_image_have_one_architecture(bare: Cloud) -> None:
    arm = bare.client("ssm").get_parameter(Name="/aws/service/debian/release/12/latest/arm64")["Parameter"]["Value"]
    assert refused(bare.launch, ImageId=arm) == "InvalidParameterValue"
    bare.launch(ImageId=arm, InstanceType="t4g.micro")


def test_an_image_without_a_body_is_refused_in_words(cloud: Cloud) -> None:
    parameter = "/aws/service/canonical/ubuntu/server/22.04/stable/current/amd64/hvm/ebs-gp2/ami-id"
    image = cloud.client("ssm").get_parameter(Name=parameter)["Parameter"]["Value"]
    status, code, message = answer(cloud.launch, ImageId=image)
    assert (status, code) == (400, "UnsupportedOperation")
    assert "ubuntu-jammy-22.04" in message
    assert "Debian 12" in message


def test_an_address_with_tags_is_found_by_them(bare: Cloud) -> None:
    client = bare.client("ec2")
    tags = [{"Key": "Project", "Value": "address"}]
    specification = [{"ResourceType": "elastic-ip", "Tags": tags}]
    made = client.allocate_address(TagSpecifications=specification)
    filters = [{"Name": "tag:Project", "Values": ["address"]}]
    (found,) = client.describe_addresses(Filters=filters)["Addresses"]
    assert (found["AllocationId"], found["Tags"]) == (made["AllocationId"], tags)
    assert client.describe_tags(Filters=[{"Name": "value", "Values": ["address"]}])["Tags"]
    client.release_address(AllocationId=made["AllocationId"])
    assert client.describe_addresses(Filters=filters)["Addresses"] == []


def test_an_image_is_found_by_its_tags(bare: Cloud) -> None:
    (instance,) = bare.launch()
    bare.in_state(instance, "running")
    create(bare, instance, "tagged")
    filters = [{"Name": "tag:Of", "Values": ["image"]}]
    (found,) = bare.client("ec2").describe_images(Owners=["self"], Filters=filters)["Images"]
    assert found["Name"] == "tagged"


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
