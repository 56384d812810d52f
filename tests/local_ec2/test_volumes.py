"""Volumes: their states without machines, their disks with them."""

from collections.abc import Iterator

import pytest
from local_cloud import Cloud, eventually, local_ec2, refused

from local_ec2.disks import loops

ZONE = "us-east-1a"


def create(cloud: Cloud, zone: str = ZONE, **options: object) -> str:
    asked = {"Size": 1, "VolumeType": "gp3", **options}
    volume = cloud.client("ec2").create_volume(AvailabilityZone=zone, **asked)
    assert volume["State"] == "creating"
    in_state(cloud, volume["VolumeId"], "available")
    return volume["VolumeId"]


def described(cloud: Cloud, volume: str) -> dict:
    return cloud.client("ec2").describe_volumes(VolumeIds=[volume])["Volumes"][0]


def in_state(cloud: Cloud, volume: str, state: str) -> None:
    eventually(lambda: described(cloud, volume)["State"] == state)


def attach(cloud: Cloud, volume: str, instance: str, device: str = "/dev/sdf") -> None:
    cloud.client("ec2").attach_volume(VolumeId=volume, InstanceId=instance, Device=device)
    eventually(lambda: described(cloud, volume)["Attachments"][0]["State"] == "attached")


def detach(cloud: Cloud, volume: str) -> None:
    assert cloud.client("ec2").detach_volume(VolumeId=volume)["State"] == "detaching"
    in_state(cloud, volume, "available")


def snapshot(cloud: Cloud, volume: str) -> str:
    client = cloud.client("ec2")
    made = client.create_snapshot(VolumeId=volume)
    assert made["State"] == "pending"
    client.get_waiter("snapshot_completed").wait(SnapshotIds=[made["SnapshotId"]], WaiterConfig={"Delay": 1})
    return made["SnapshotId"]


@pytest.fixture
def instance(bare: Cloud) -> str:
    (instance,) = bare.launch(Placement={"AvailabilityZone": ZONE})
    bare.in_state(instance, "running")
    return instance


def test_a_volume_is_attached_once(bare: Cloud, instance: str) -> None:
    client = bare.client("ec2")
    volume = create(bare)
    attach(bare, volume, instance)
    assert described(bare, volume)["State"] == "in-use"
    assert not described(bare, volume)["Attachments"][0]["DeleteOnTermination"]
    again = {"VolumeId": volume, "InstanceId": instance, "Device": "/dev/sdg"}
    assert refused(client.attach_volume, **again) == "VolumeInUse"
    assert refused(client.delete_volume, VolumeId=volume) == "VolumeInUse"
    detach(bare, volume)
    client.delete_volume(VolumeId=volume)
    assert refused(described, cloud=bare, volume=volume) == "InvalidVolume.NotFound"


def test_a_volume_stays_in_its_zone(bare: Cloud, instance: str) -> None:
    volume = create(bare, zone="us-east-1b")
    asked = {"VolumeId": volume, "InstanceId": instance, "Device": "/dev/sdf"}
    assert refused(bare.client("ec2").attach_volume, **asked) == "InvalidVolume.ZoneMismatch"


def test_a_name_is_used_once(bare: Cloud, instance: str) -> None:
    attach(bare, create(bare), instance)
    asked = {"VolumeId": create(bare), "InstanceId": instance, "Device": "/dev/sdf"}
    assert refused(bare.client("ec2").attach_volume, **asked) == "InvalidParameterValue"


def test_the_root_volume_stays_while_the_instance_runs(bare: Cloud, instance: str) -> None:
    root = bare.instance(instance)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    assert refused(bare.client("ec2").detach_volume, VolumeId=root) == "OperationNotPermitted"


def test_what_a_launch_made_ends_with_it_and_what_was_attached_stays(bare: Cloud) -> None:
    mappings = [
        {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1}},
        {"DeviceName": "/dev/sdg", "Ebs": {"VolumeSize": 1, "DeleteOnTermination": False}},
    ]
    (instance,) = bare.launch(BlockDeviceMappings=mappings, Placement={"AvailabilityZone": ZONE})
    bare.in_state(instance, "running")
    attached = create(bare)
    attach(bare, attached, instance, "/dev/sdh")
    volumes = {one["DeviceName"]: one["Ebs"]["VolumeId"] for one in bare.instance(instance)["BlockDeviceMappings"]}
    bare.client("ec2").terminate_instances(InstanceIds=[instance])
    bare.in_state(instance, "terminated")
    for gone in ("/dev/xvda", "/dev/sdf"):
        assert refused(described, cloud=bare, volume=volumes[gone]) == "InvalidVolume.NotFound"
    for kept in (volumes["/dev/sdg"], attached):
        assert described(bare, kept)["State"] == "available"


def test_volumes_and_snapshots_are_found_by_tag(bare: Cloud) -> None:
    tags = [{"Key": "Project", "Value": "by tag"}]
    volume = create(bare, TagSpecifications=[{"ResourceType": "volume", "Tags": tags}])
    client = bare.client("ec2")
    filters = [{"Name": "tag:Project", "Values": ["by tag"]}]
    assert [one["VolumeId"] for one in client.describe_volumes(Filters=filters)["Volumes"]] == [volume]
    specification = [{"ResourceType": "snapshot", "Tags": tags}]
    made = client.create_snapshot(VolumeId=volume, TagSpecifications=specification)["SnapshotId"]
    found = client.describe_snapshots(Filters=filters, OwnerIds=["self"])["Snapshots"]
    assert [one["SnapshotId"] for one in found] == [made]


# With machines


@pytest.fixture(scope="module")
def disk_machine(cloud: Cloud) -> Iterator[str]:
    (instance,) = cloud.launch(Placement={"AvailabilityZone": ZONE})
    cloud.up(instance)
    yield instance
    cloud.client("ec2").terminate_instances(InstanceIds=[instance])


def root(cloud: Cloud, instance: str, command: str) -> str:
    done = cloud.ssh(instance, f"sudo sh -euc '{command}'")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_disk_keeps_what_is_on_it(cloud: Cloud, disk_machine: str) -> None:
    client = cloud.client("ec2")
    volume = create(cloud)
    attach(cloud, volume, disk_machine)
    root(cloud, disk_machine, "mkfs.ext4 -q -L data /dev/sdf; mount /dev/xvdf /mnt; echo kept > /mnt/file; sync")
    assert 'LABEL="data"' in root(cloud, disk_machine, "blkid /dev/xvdf")
    assert int(root(cloud, disk_machine, "blockdev --getsize64 /dev/sdf")) == 1 << 30

    root(cloud, disk_machine, "echo LABEL=data /srv ext4 defaults 0 2 >> /etc/fstab; umount /mnt")
    client.stop_instances(InstanceIds=[disk_machine])
    cloud.in_state(disk_machine, "stopped")
    client.start_instances(InstanceIds=[disk_machine])
    assert root(cloud, disk_machine, "cat /srv/file") == "kept\n", "a disk of /etc/fstab is not mounted at boot"

    client.detach_volume(VolumeId=volume)
    with pytest.raises(AssertionError):
        eventually(lambda: described(cloud, volume)["State"] == "available", seconds=1)
    root(cloud, disk_machine, "umount /srv; sed -i /srv/d /etc/fstab")
    in_state(cloud, volume, "available")
    root(cloud, disk_machine, "test ! -e /dev/sdf -a ! -e /dev/xvdf")
    client.delete_volume(VolumeId=volume)


def test_a_snapshot_has_the_bytes(cloud: Cloud, disk_machine: str) -> None:
    client = cloud.client("ec2")
    first = create(cloud)
    attach(cloud, first, disk_machine)
    root(cloud, disk_machine, "mkfs.ext4 -q /dev/xvdf; mount /dev/xvdf /mnt; echo copied > /mnt/file; umount /mnt")
    made = snapshot(cloud, first)
    root(cloud, disk_machine, "dd if=/dev/zero of=/dev/xvdf bs=1M count=8 status=none; sync")
    detach(cloud, first)
    second = create(cloud, SnapshotId=made, Size=2)
    attach(cloud, second, disk_machine, "/dev/sdg")
    read = "mount /dev/xvdg /mnt; cat /mnt/file; umount /mnt; blockdev --getsize64 /dev/sdg"
    assert root(cloud, disk_machine, read).split() == ["copied", str(2 << 30)]
    detach(cloud, second)
    for volume in (first, second):
        client.delete_volume(VolumeId=volume)
    client.delete_snapshot(SnapshotId=made)
    assert list((cloud.data / "disks").iterdir()) == []


def test_a_launch_brings_its_disks_and_takes_them_away(cloud: Cloud) -> None:
    (instance,) = cloud.launch(BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 3}}])
    assert int(root(cloud, instance, "blockdev --getsize64 /dev/xvdf")) == 3 << 30
    assert loops(cloud.data / "disks")
    root(cloud, instance, "mkfs.ext4 -q /dev/xvdf; mount /dev/xvdf /mnt")
    cloud.client("ec2").terminate_instances(InstanceIds=[instance])
    cloud.in_state(instance, "terminated")
    eventually(lambda: not loops(cloud.data / "disks") and not list((cloud.data / "disks").iterdir()))


def test_emptying_var_lib_cloud_makes_the_next_boot_a_first_one(cloud: Cloud, own_machine: str) -> None:
    look = "cat /etc/ssh/ssh_host_ed25519_key.pub /etc/machine-id"
    before = cloud.ssh(own_machine, look).stdout.splitlines()
    root(cloud, own_machine, "rm -rf /var/lib/cloud/*; : > /etc/machine-id; rm /home/admin/.ssh/authorized_keys")
    cloud.client("ec2").stop_instances(InstanceIds=[own_machine])
    cloud.in_state(own_machine, "stopped")
    cloud.client("ec2").start_instances(InstanceIds=[own_machine])
    after = cloud.ssh(own_machine, look).stdout.splitlines()
    assert after[0] != before[0], "the host key is still the same"
    assert after[0].split()[1] in cloud.console(own_machine)
    assert len(after[1]) == 32


def test_a_stopped_instance_is_made_into_an_image(cloud: Cloud, own_machine: str) -> None:
    client = cloud.client("ec2")
    root(cloud, own_machine, "echo still > /here; rm -rf /var/lib/cloud/*; : > /etc/machine-id")
    client.stop_instances(InstanceIds=[own_machine])
    cloud.in_state(own_machine, "stopped")
    ami = client.create_image(InstanceId=own_machine, Name="from a stopped one")["ImageId"]
    eventually(lambda: client.describe_images(ImageIds=[ami])["Images"][0]["State"] == "available")
    ids = [cloud.launch(ImageId=ami)[0] for _ in range(2)]
    found = [cloud.ssh(one, "cat /here /etc/machine-id").stdout.split() for one in ids]
    client.terminate_instances(InstanceIds=ids)
    client.deregister_image(ImageId=ami)
    assert [one[0] for one in found] == ["still", "still"]
    assert len({one[1] for one in found}) == 2, "both have the same machine id"


def test_down_leaves_no_loop_device(cloud: Cloud, tmp_path) -> None:
    from local_cloud import brought_up

    with brought_up(tmp_path / "data") as second:
        (instance,) = second.launch(KeyName="", Placement={"AvailabilityZone": ZONE})
        second.in_state(instance, "running")
        attach(second, create(second), instance)
        assert len(loops(second.data / "disks")) == 1
        assert local_ec2("down", "--data", str(second.data)).returncode == 0
    assert loops(second.data / "disks") == {}
    assert not second.data.exists()
