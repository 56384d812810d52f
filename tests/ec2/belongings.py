"""Things that a project may have beside its machines, as the roles make them."""

from __future__ import annotations

import uuid
from typing import Any

from conftest import SOON, Cloud


class Belongings:
    """Makes them in a cloud, tagged as the project's."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud, self.ec2 = cloud, cloud.client()

    def tags(self, **more: str) -> list[dict[str, str]]:
        tags = {"Project": self.cloud.project, "Owner": "tester", "ManagedBy": "gluon-ec2", **more}
        return [{"Key": key, "Value": value} for key, value in tags.items()]

    def born(self, kind: str, **more: str) -> list[dict[str, Any]]:
        return [{"ResourceType": kind, "Tags": self.tags(**more)}]

    def volume(self, name: str, gb: int = 10, **more: str) -> str:
        made = self.ec2.create_volume(
            AvailabilityZone="us-east-1a",
            Size=gb,
            VolumeType="gp3",
            TagSpecifications=self.born("volume", Name=name, **more),
        )
        # An attachment wants it to be there.
        self.ec2.get_waiter("volume_available").wait(VolumeIds=[made["VolumeId"]], WaiterConfig=SOON)
        return made["VolumeId"]

    def data_volume(self, machine: str, gb: int = 100) -> str:
        return self.volume(f"{machine}-data", gb, Kind="data")

    def address(self) -> str:
        made = self.ec2.allocate_address(Domain="vpc", TagSpecifications=self.born("elastic-ip"))
        return made["AllocationId"]

    def image(self, instance: str, name: str) -> str:
        specs = self.born("image", Kind="image", Name=name) + self.born("snapshot", Kind="image", Name=name)
        return self.ec2.create_image(InstanceId=instance, Name=name, TagSpecifications=specs)["ImageId"]

    def snapshot(self, volume: str, **more: str) -> str:
        made = self.ec2.create_snapshot(VolumeId=volume, TagSpecifications=self.born("snapshot", **more))
        return made["SnapshotId"]

    def key(self) -> str:
        made = self.ec2.create_key_pair(
            KeyName=f"{self.cloud.project}-0123abcd", TagSpecifications=self.born("key-pair")
        )
        return made["KeyPairId"]

    def group(self) -> str:
        made = self.ec2.create_security_group(
            GroupName=self.cloud.project, Description="SSH", TagSpecifications=self.born("security-group")
        )
        return made["GroupId"]

    def interface(self) -> str:
        subnet = self.ec2.describe_subnets()["Subnets"][0]["SubnetId"]
        made = self.ec2.create_network_interface(
            SubnetId=subnet, TagSpecifications=self.born("network-interface", Name="spare")
        )
        return made["NetworkInterface"]["NetworkInterfaceId"]

    def spot_request(self, **more: str) -> str:
        """A persistent request that waits: its machine was taken away, and it is to launch another."""
        made = self.ec2.request_spot_instances(
            Type="persistent",
            ClientToken=uuid.uuid4().hex,
            LaunchSpecification={"ImageId": self.cloud.image(), "InstanceType": "g4dn.xlarge"},
            TagSpecifications=self.born("spot-instances-request", **more),
        )
        return made["SpotInstanceRequests"][0]["SpotInstanceRequestId"]

    def exists(self, **ids: str) -> set[str]:
        """Which of these are still there; each given as a name and an id."""
        asked = {
            "vol": lambda id: self.ec2.describe_volumes(VolumeIds=[id])["Volumes"],
            "ami": lambda id: self.ec2.describe_images(Owners=["self"], ImageIds=[id])["Images"],
            "snap": lambda id: self.ec2.describe_snapshots(SnapshotIds=[id])["Snapshots"],
            "key": lambda id: [one for one in self.ec2.describe_key_pairs()["KeyPairs"] if one["KeyPairId"] == id],
            "sg": lambda id: self.ec2.describe_security_groups(GroupIds=[id])["SecurityGroups"],
        }

        def there(id: str) -> bool:
            try:
                return bool(asked[id.split("-")[0]](id))
            except self.ec2.exceptions.ClientError:
                return False

        return {name for name, id in ids.items() if there(id)}
