"""What moto leaves out or answers otherwise than EC2 does. Every such thing that is no verb of a machine is here."""

import base64
import ipaddress
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.exceptions import DependencyViolationError, EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.amis import Ami
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.models.elastic_block_store import Volume, VolumeAttachment
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.instances import Instance
from moto.ec2.models.subnets import Subnet
from moto.ec2.responses.general import General
from moto.ec2.responses.instances import InstanceResponse
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix
from moto.ssm.models import Parameter, ParameterDict

from local_ec2.amis import ROOT_GIB, Offer, parameters
from local_ec2.ec2.launch import REGION
from local_ec2.ec2.lifecycle import Lifecycle
from local_ec2.ec2.wrap import wrap, wrap_property

GP3_IOPS = 3000
GP3_THROUGHPUT = 125


def default_vpc(subnet: ipaddress.IPv4Network) -> None:
    """The default VPC is the machines' network, with a subnet for each zone and a way to the internet.

    moto's is 172.31.0.0/16 without a gateway.
    """

    @wrap(EC2Backend, "create_default_vpc")
    def create_default_vpc(moto_create: Callable[..., Any], backend: Any) -> Any:
        if backend.region_name != REGION:
            return moto_create(backend)
        vpc = backend.create_vpc(cidr_block=str(subnet), is_default=True)
        gateway = backend.create_internet_gateway()
        backend.attach_internet_gateway(gateway.id, vpc.id)
        main = backend.describe_route_tables(filters={"vpc-id": vpc.id, "association.main": "true"})[0]
        backend.create_route(main.id, "0.0.0.0/0", gateway_id=gateway.id)
        # six zones fit into eight blocks
        blocks = subnet.subnets(prefixlen_diff=3)
        for zone, block in zip(backend.describe_availability_zones(), blocks, strict=False):
            backend.create_subnet(vpc.id, str(block), availability_zone=zone.name)
        return vpc


def addresses() -> None:
    """A public address is one that reaches the machine; a terminated instance has none, and none is used again."""

    @wrap(NetworkInterface, "check_auto_public_ip")
    def check_auto_public_ip(_: Callable[..., Any], nic: Any) -> None:
        if str(nic.public_ip_auto_assign).lower() == "true":
            nic.public_ip = nic.private_ip_address

    @wrap(Instance, "prep_nics")
    def prep_nics(moto_prep: Callable[..., Any], instance: Any, specs: Any, **kwargs: Any) -> None:
        moto_prep(instance, specs, **kwargs)
        # an interface that is made with the instance ends with it
        if not any("NetworkInterfaceId" in spec for spec in specs):
            instance.nics[0].delete_on_termination = True

    @wrap(Subnet, "del_subnet_ip")
    def del_subnet_ip(_: Callable[..., Any], subnet: Any, address: str) -> None:
        # a new machine at an old address meets the old one's host key and half-open connections
        subnet._subnet_ips.pop(address, None)

    for name, nothing in (("private_ip_address", None), ("private_dns_name", ""), ("network_interfaces", [])):

        @wrap_property(Instance, name)
        def gone(moto_value: Callable[..., Any], instance: Any, nothing: Any = nothing) -> Any:
            return nothing if instance.state == "terminated" else moto_value(instance)


def security_groups() -> None:
    """An instance shows the groups of its interface, and a group that one still uses cannot be deleted."""

    @wrap(EC2Backend, "run_instances")
    def run_instances(moto_run: Callable[..., Any], backend: Any, *args: Any, **kwargs: Any) -> Any:
        reservation = moto_run(backend, *args, **kwargs)
        for instance in reservation.instances:
            instance.security_groups = instance.security_groups or list(instance.nics[0].group_set)
        return reservation

    @wrap(EC2Backend, "_delete_security_group")
    def delete(moto_delete: Callable[..., Any], backend: Any, vpc_id: str | None, group_id: str) -> Any:
        users = [i for i in backend.all_instances() if i.state != "terminated"]
        if any(group.id == group_id for instance in users for group in instance.security_groups):
            raise DependencyViolationError(f"resource {group_id} has a dependent object")
        return moto_delete(backend, vpc_id, group_id)


def volumes() -> None:
    """Volumes keep what the mapping says, and the root volume is the image's where the mapping is silent."""

    @wrap(InstanceResponse, "_parse_block_device_mapping")
    def parse(moto_parse: Callable[..., Any], response: Any) -> Any:
        ami = response.ec2_backend.amis.get(response._get_param("ImageId"))
        asked = response._get_param("BlockDeviceMappings", [])
        if ami:
            asked = with_root(asked, ami.block_device_mappings[0])
            large_enough(asked, ami.block_device_mappings[0])
        # what a launch makes ends with the instance, unless it is told otherwise; moto has it the other way round
        asked = [{**one, "Ebs": {"DeleteOnTermination": True, **one["Ebs"]}} if "Ebs" in one else one for one in asked]
        response.params["BlockDeviceMappings"] = asked
        parsed = moto_parse(response)
        for mapping, original in zip(parsed, asked, strict=True):
            mapping["Ebs"]["Throughput"] = original.get("Ebs", {}).get("Throughput")
        return parsed

    @wrap(EC2Backend, "run_instances")
    def run_instances(moto_run: Callable[..., Any], backend: Any, *args: Any, **kwargs: Any) -> Any:
        reservation = moto_run(backend, *args, **kwargs)
        for instance in reservation.instances:
            for mapping in kwargs.get("block_device_mappings", []):
                device = instance.block_device_mapping.get(mapping["DeviceName"])
                if device:
                    complete(backend.get_volume(device.volume_id), mapping["Ebs"])
        return reservation

    @wrap(Volume, "__init__")
    def volume(moto_init: Callable[..., Any], self: Any, *args: Any, **kwargs: Any) -> None:
        # amazon.aws looks this up without asking whether it is there
        kwargs["multi_attach_enabled"] = kwargs.get("multi_attach_enabled") or False
        moto_init(self, *args, **kwargs)

    # DescribeVolumes shows this only if the attachment has it
    VolumeAttachment.delete_on_termination = property(
        lambda self: self.instance.block_device_mapping[self.device].delete_on_termination
    )

    @wrap_property(Ami, "block_device_mappings")
    def block_device_mappings(_: Callable[..., Any], ami: Any) -> list[dict[str, Any]]:
        root = {"VolumeSize": ROOT_GIB, "VolumeType": "gp3", "Encrypted": False, **getattr(ami, "root_volume", {})}
        ebs = {"SnapshotId": ami.ebs_snapshot.id, "DeleteOnTermination": True, **root}
        return [{"DeviceName": ami.root_device_name, "Ebs": ebs}]

    @wrap(EC2Backend, "create_image")
    def create_image(moto_create: Callable[..., Any], backend: Any, instance_id: str, *args: Any, **kwargs: Any) -> Any:
        ami = moto_create(backend, instance_id, *args, **kwargs)
        instance = backend.get_instance(instance_id)
        root = backend.get_volume(instance.block_device_mapping[instance.root_device_name].volume_id)
        ami.root_volume = {"VolumeSize": root.size, "VolumeType": root.volume_type, "Encrypted": root.encrypted}
        return ami


def with_root(asked: list[dict[str, Any]], root: dict[str, Any]) -> list[dict[str, Any]]:
    """The mappings asked for, with the root volume of the image where they leave it open."""
    device = root["DeviceName"]
    if device not in [mapping.get("DeviceName") for mapping in asked]:
        return [root, *asked]
    return [
        {**mapping, "Ebs": {**root["Ebs"], **mapping.get("Ebs", {})}} if mapping["DeviceName"] == device else mapping
        for mapping in asked
    ]


def large_enough(asked: list[dict[str, Any]], root: dict[str, Any]) -> None:
    """Raise EC2's error if the root volume that is asked for is smaller than the image."""
    least = root["Ebs"]["VolumeSize"]
    for mapping in asked:
        size = mapping.get("Ebs", {}).get("VolumeSize")
        if mapping["DeviceName"] == root["DeviceName"] and size and int(size) < least:
            raise EC2ClientError(
                "InvalidBlockDeviceMapping",
                f"Volume of size {size}GB is smaller than snapshot '{root['Ebs']['SnapshotId']}', expect size >="
                f" {least}GB",
            )


def complete(volume: Any, ebs: dict[str, Any]) -> None:
    if volume.volume_type == "gp3":
        volume.iops = ebs.get("Iops") or GP3_IOPS
        volume.throughput = ebs.get("Throughput") or GP3_THROUGHPUT
    elif ebs.get("Iops"):
        volume.iops = ebs["Iops"]


def console(lifecycle: Lifecycle) -> None:
    """The console is the machine's own; moto shows a sample."""

    @wrap(General, "get_console_output")
    def get_console_output(_: Callable[..., Any], response: Any) -> ActionResult:
        instance = response.ec2_backend.get_instance(response._get_param("InstanceId"))
        output = base64.b64encode(lifecycle.console(instance)).decode()
        return ActionResult({"InstanceId": instance.id, "Timestamp": utcnow(), "Output": output})


def images(offers: list[Offer]) -> None:
    """An image has its own owner's alias and its own size; moto has one for all."""
    by_id = {one.id: one for one in offers}

    @wrap(EC2Backend, "_load_amis")
    def load(moto_load: Callable[..., None], backend: Any) -> None:
        moto_load(backend)
        for ami in backend.amis.values():
            if own := by_id.get(ami.id):
                ami.owner_alias = own.alias
                ami.root_volume = {"VolumeSize": own.root_gib}


def elastic_addresses() -> None:
    """There are addresses in a VPC only; moto's others have no id, and break every later look at tags."""

    @wrap(EC2Backend, "allocate_address")
    def allocate(moto_allocate: Callable[..., Any], backend: Any, domain: Any, *args: Any, **kwargs: Any) -> Any:
        return moto_allocate(backend, "vpc", *args, **kwargs)


def tags() -> None:
    """The tags of one resource are looked up; moto walks through those of all, for each."""

    @wrap(TaggedEC2Resource, "get_tags")
    def get_tags(_: Callable[..., Any], resource: Any) -> list[dict[str, str]]:
        found = resource.ec2_backend.tags.get(resource.id) or {} if resource.id else {}
        kind = EC2_PREFIX_TO_RESOURCE.get(get_prefix(resource.id), "") if found else ""
        return [
            {"resource_id": resource.id, "key": key, "value": value, "resource_type": kind}
            for key, value in found.copy().items()
        ]


def public_parameters(values: dict[str, str]) -> None:
    """Public parameters that lead to an AMI."""

    @wrap(ParameterDict, "_check_loading_status")
    def load(moto_load: Callable[..., Any], parameters: Any, key: str) -> None:
        moto_load(parameters, key)
        for name, ami in values.items():
            if str(key or "").startswith(name) and not dict.__contains__(parameters, name):
                parameter = Parameter(
                    account_id=parameters.account_id,
                    name=name,
                    value=ami,
                    parameter_type="String",
                    description=None,
                    allowed_pattern=None,
                    keyid=None,
                    last_modified_date=utcnow(),
                    version=1,
                    data_type="aws:ec2:image",
                )
                defaultdict.__getitem__(parameters, name).append(parameter)


def install(lifecycle: Lifecycle, subnet: ipaddress.IPv4Network, offers: list[Offer]) -> None:
    default_vpc(subnet)
    addresses()
    security_groups()
    volumes()
    console(lifecycle)
    images(offers)
    elastic_addresses()
    tags()
    public_parameters(parameters(offers))
