# MIT licence
"""All that a project has in EC2, what each thing costs, and how it is removed. Only reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from .ec2_choice import label
from .ec2_launch import patiently
from .ec2_prices import HOURS_PER_MONTH, Prices
from .ec2_project import ALIVE, instances, state_of, tags_of

MANAGED_BY = "gluon-ec2"
CLIENT = {"connect_timeout": 5, "read_timeout": 30, "retries": {"total_max_attempts": 1}}


@dataclass(frozen=True)
class Thing:
    """Something that the project has beside its machines.

    belongs: `data` or `images` for what may be kept on purpose. orphan: whether it is of no use to any machine.
    gb: its size; 0 where it has none. usd_month: USD per month, None if the price is unknown. transient: whether EC2 is
    about to remove it.
    """

    kind: str
    id: str
    name: str
    usd_month: float | None
    why: str
    command: str
    belongs: str = ""
    orphan: bool = False
    gb: int = 0
    transient: bool = False

    def told(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if key != "transient"}


def pages(call: str, key: str, **options: Any) -> Callable[[Any, str], list[dict[str, Any]]]:
    """What asks for all things of a kind that are tagged as the project's."""

    def ask(ec2: Any, project: str) -> list[dict[str, Any]]:
        filters = [{"Name": "tag:Project", "Values": [project]}]
        if not ec2.can_paginate(call):
            return patiently(getattr(ec2, call), Filters=filters, **options)[key]
        found = patiently(lambda: list(ec2.get_paginator(call).paginate(Filters=filters, **options)))
        return [thing for page in found for thing in page[key]]

    return ask


# What `status` tells, and what is of interest beside that once the machines are gone.
BILLED: dict[str, Callable[[Any, str], list[dict[str, Any]]]] = {
    "instances": lambda ec2, project: patiently(instances, ec2=ec2, project=project),
    "volumes": pages("describe_volumes", "Volumes"),
    "addresses": pages("describe_addresses", "Addresses"),
    "images": pages("describe_images", "Images", Owners=["self"]),
    "snapshots": pages("describe_snapshots", "Snapshots", OwnerIds=["self"]),
}
REST = {
    "keys": pages("describe_key_pairs", "KeyPairs"),
    "groups": pages("describe_security_groups", "SecurityGroups"),
    "requests": pages("describe_spot_instance_requests", "SpotInstanceRequests"),
    "interfaces": pages("describe_network_interfaces", "NetworkInterfaces"),
}


class Holdings:
    """What a project has, as found at once.

    found: the answers by the keys of BILLED and REST. prices: an ec2_prices.Prices. aws: how a command of the AWS
    command line for the region begins.
    """

    def __init__(self, ec2: Any, project: str, prices: Prices, aws: str, rest: bool = False) -> None:
        asked = BILLED | (REST if rest else {})
        with ThreadPoolExecutor(len(asked)) as pool:
            answers = {key: pool.submit(ask, ec2, project) for key, ask in asked.items()}
            self.found = {key: answer.result() for key, answer in answers.items()}
        self.project, self.prices, self.aws = project, prices, aws
        self.instances = self.found["instances"]
        self.alive = {one["InstanceId"]: one for one in self.instances if state_of(one) in ALIVE}

    def ours(self, key: str) -> list[dict[str, Any]]:
        """Those that these roles made: a thing that somebody else tagged with the project is not for them to judge."""
        # Network interfaces have the same tags under another name.
        found = [{"Tags": thing.get("TagSet", []), **thing} for thing in self.found.get(key, [])]
        return [thing for thing in found if tags_of(thing).get("ManagedBy") == MANAGED_BY]

    def disk_month(self, volume: dict[str, Any]) -> float | None:
        return self.prices.disk_month(
            volume["Size"], volume["VolumeType"], volume.get("Iops") or 0, volume.get("Throughput") or 0
        ).usd

    def disks_of(self, instance: str) -> list[dict[str, Any]]:
        """Its volumes, root and data."""
        return [
            volume
            for volume in self.found["volumes"]
            if instance in [attachment["InstanceId"] for attachment in volume.get("Attachments", [])]
        ]

    def addresses_of(self, instance: str) -> list[dict[str, Any]]:
        """Its elastic addresses, which are paid for while it sleeps too."""
        return [address for address in self.found["addresses"] if address.get("InstanceId") == instance]

    def address_month(self) -> float | None:
        hour = self.prices.address_hour.usd
        return None if hour is None else hour * HOURS_PER_MONTH

    def things(self) -> list[Thing]:
        """All but the machines, sorted by kind."""
        makers = (self._volumes, self._addresses, self._images, self._snapshots)
        makers += (self._requests, self._interfaces, self._keys, self._groups)
        return [thing for make in makers for thing in make()]

    def machines(self) -> list[Thing]:
        """The living machines, as things that could be left."""
        return [
            Thing(
                "instance",
                one["InstanceId"],
                label(one),
                None,
                f"it is {state_of(one)}",
                f"{self.aws} terminate-instances --instance-ids {one['InstanceId']}",
            )
            for one in self.alive.values()
            if tags_of(one).get("ManagedBy") == MANAGED_BY
        ]

    def _volumes(self) -> Iterable[Thing]:
        for volume in self.ours("volumes"):
            tags, id = tags_of(volume), volume["VolumeId"]
            users = [attachment["InstanceId"] for attachment in volume.get("Attachments", [])]
            data = tags.get("Kind") == "data"
            # A volume that is deleted may stay listed for a while.
            if volume["State"] == "deleted" or (data and volume["State"] == "deleting"):
                continue
            used = any(user in self.alive for user in users)
            yield Thing(
                "volume",
                id,
                tags.get("Name", ""),
                self.disk_month(volume),
                "it is a data volume" if data else "no machine has it" if not used else "a machine has it",
                f"{self.aws} delete-volume --volume-id {id}",
                "data" if data else "",
                not used and not data,
                volume["Size"],
                volume["State"] == "deleting" or (bool(users) and not used),
            )

    def _addresses(self) -> Iterable[Thing]:
        for address in self.ours("addresses"):
            used = address.get("InstanceId") in self.alive or bool(
                address.get("AssociationId") and not address.get("InstanceId")
            )
            id = address.get("AllocationId", address["PublicIp"])
            yield Thing(
                "address",
                id,
                tags_of(address).get("Name", address["PublicIp"]),
                self.address_month(),
                "a machine has it" if used else "no machine has it",
                f"{self.aws} release-address --allocation-id {id}",
                orphan=not used,
            )

    def _images(self) -> Iterable[Thing]:
        for image in self.ours("images"):
            yield Thing(
                "image",
                image["ImageId"],
                image.get("Name", ""),
                0.0,
                "it is a baked image; its snapshot is what costs",
                f"{self.aws} deregister-image --image-id {image['ImageId']}",
                "images",
            )

    def _snapshots(self) -> Iterable[Thing]:
        devices = [device for image in self.found["images"] for device in image.get("BlockDeviceMappings", [])]
        of_images = {device.get("Ebs", {}).get("SnapshotId") for device in devices}
        for snapshot in self.ours("snapshots"):
            tags, id = tags_of(snapshot), snapshot["SnapshotId"]
            imaged, data = id in of_images, tags.get("Kind") == "data"
            yield Thing(
                "snapshot",
                id,
                tags.get("Name", ""),
                self.prices.snapshot_month(snapshot["VolumeSize"]).usd,
                "an image is made of it" if imaged else "it is of a data volume" if data else "no image is made of it",
                f"{self.aws} delete-snapshot --snapshot-id {id}",
                "images" if imaged else "data" if data else "",
                not imaged and not data,
                snapshot["VolumeSize"],
            )

    def _requests(self) -> Iterable[Thing]:
        for request in self.ours("requests"):
            if request["State"] not in ("open", "active", "disabled"):
                continue
            used, id = request.get("InstanceId") in self.alive, request["SpotInstanceRequestId"]
            yield Thing(
                "spot request",
                id,
                tags_of(request).get("Name", ""),
                None if not used else 0.0,
                "a machine runs by it" if used else f"it is {request['State']}, and EC2 may launch a machine for it",
                f"{self.aws} cancel-spot-instance-requests --spot-instance-request-ids {id}",
                orphan=not used,
            )

    def _interfaces(self) -> Iterable[Thing]:
        for interface in self.ours("interfaces"):
            user = interface.get("Attachment", {}).get("InstanceId")
            id = interface["NetworkInterfaceId"]
            yield Thing(
                "network interface",
                id,
                tags_of(interface).get("Name", ""),
                0.0,
                "a machine has it" if user in self.alive else "no machine has it; it costs nothing",
                f"{self.aws} delete-network-interface --network-interface-id {id}",
                orphan=user not in self.alive,
                transient=bool(user) and user not in self.alive,
            )

    def _keys(self) -> Iterable[Thing]:
        for key in self.ours("keys"):
            yield Thing(
                "key pair",
                key["KeyPairId"],
                key["KeyName"],
                0.0,
                "it opened the project's machines; it costs nothing",
                f"{self.aws} delete-key-pair --key-pair-id {key['KeyPairId']}",
            )

    def _groups(self) -> Iterable[Thing]:
        for group in self.ours("groups"):
            yield Thing(
                "security group",
                group["GroupId"],
                group["GroupName"],
                0.0,
                "it let SSH in to the project's machines; it costs nothing",
                f"{self.aws} delete-security-group --group-id {group['GroupId']}",
            )
