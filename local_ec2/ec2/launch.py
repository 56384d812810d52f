"""RunInstances: what a launch is completed with, why it may be refused, and the machines it makes."""

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS

from local_ec2.ec2.lifecycle import Lifecycle
from local_ec2.ec2.wrap import wrap

REGION = "us-east-1"
# moto's word for a request without one
NO_TOKEN = "ABCDE"


@dataclasses.dataclass(frozen=True)
class Launch:
    """One RunInstances call, as far as a refusal looks at it. zone: the one asked for, or None."""

    backend: Any
    image: str
    count: int
    instance_type: str
    zone: str | None
    subnet: Any | None

    def zones_with_type(self) -> list[str]:
        offered = INSTANCE_TYPE_OFFERINGS["availability-zone"].get(self.backend.region_name, [])
        return sorted(one["Location"] for one in offered if one["InstanceType"] == self.instance_type)


def wrong_region(launch: Launch) -> None:
    if launch.backend.region_name != REGION:
        raise EC2ClientError(
            "UnsupportedOperation",
            f"This local EC2 has its machines in {REGION} only, not in {launch.backend.region_name}.",
        )


def unknown_image(launch: Launch) -> None:
    ami = launch.backend.amis.get(launch.image)
    if ami is None:
        raise EC2ClientError("InvalidAMIID.NotFound", f"The image id '[{launch.image}]' does not exist")
    if ami.state != "available":
        raise EC2ClientError("InvalidAMIID.Unavailable", f"The image ID '{ami.id}' is not available: {ami.state}")


def unknown_type(launch: Launch) -> None:
    if not launch.zones_with_type():
        raise EC2ClientError("InvalidParameterValue", f"Invalid value '{launch.instance_type}' for InstanceType.")


def foreign_subnet(launch: Launch) -> None:
    default = launch.backend.get_default_vpc()
    if launch.subnet and (default is None or launch.subnet.vpc_id != default.id):
        raise EC2ClientError(
            "UnsupportedOperation",
            f"The machines of this local EC2 have addresses in its default VPC only: {launch.subnet.id} is not in it.",
        )


def type_not_in_zone(launch: Launch) -> None:
    zones = launch.zones_with_type()
    if launch.zone and launch.zone not in zones:
        raise EC2ClientError(
            "Unsupported",
            f"Your requested instance type ({launch.instance_type}) is not supported in your requested Availability"
            f" Zone ({launch.zone}). Please retry your request by not specifying an Availability Zone or choosing"
            f" {', '.join(zones)}.",
        )


# Asked in this order. Faults on request (no capacity, a quota reached) are further entries.
REFUSALS: list[Callable[[Launch], None]] = [
    wrong_region,
    unknown_image,
    unknown_type,
    foreign_subnet,
    type_not_in_zone,
]


def install(lifecycle: Lifecycle) -> None:
    """Make RunInstances boot machines by `lifecycle`."""
    lock = threading.Lock()
    tokens: dict[str, tuple[str, Any]] = {}

    @wrap(EC2Backend, "run_instances")
    def run_instances(
        moto_run: Callable[..., Any], backend: Any, image_id: str, count: int, *args: Any, **kwargs: Any
    ) -> Any:
        token = kwargs.get("client_token")
        request = repr((image_id, count, args, sorted(kwargs.items(), key=lambda item: item[0])))
        with lock:
            if token in tokens:
                return repeated(*tokens[token], request)
            launch = describe(backend, image_id, count, kwargs)
            for refuse in REFUSALS:
                refuse(launch)
            place(launch, kwargs)
            try:
                reservation = moto_run(backend, image_id, count, *args, **kwargs)
            except StopIteration:
                raise EC2ClientError(
                    "InsufficientFreeAddressesInSubnet", "There are not enough free addresses in the subnet."
                ) from None
            if token != NO_TOKEN:
                tokens[token] = (request, reservation)
        image = backend.boots[launch.image]
        for instance in reservation.instances:
            key = backend.key_pairs.get(instance.key_name)
            lifecycle.launch(instance, image, key.public_key.strip() if key else "")
        return reservation


def repeated(before: str, reservation: Any, request: str) -> Any:
    """What EC2 answers to a client token it has seen: the same instances, if the rest is the same too."""
    if request != before:
        raise EC2ClientError(
            "IdempotentParameterMismatch",
            "The client token you have provided is associated with a resource whose parameters are different.",
        )
    return reservation


def describe(backend: Any, image_id: str, count: int, kwargs: dict[str, Any]) -> Launch:
    nics = kwargs.get("nics") or []
    subnet_id = kwargs.get("subnet_id") or next((nic["SubnetId"] for nic in nics if "SubnetId" in nic), None)
    subnet = backend.get_subnet(subnet_id) if subnet_id else None
    template = kwargs.get("launch_template")
    return Launch(
        backend=backend,
        image=image_id or (backend._get_template_from_args(template).image_id if template else ""),
        count=count,
        instance_type=kwargs["instance_type"],
        zone=subnet.availability_zone if subnet else kwargs.get("placement"),
        subnet=subnet,
    )


def place(launch: Launch, kwargs: dict[str, Any]) -> None:
    """Name the subnet where the caller left it to EC2: moto would make up an address outside of every subnet."""
    if launch.subnet:
        return
    defaults = launch.backend.get_default_subnets()
    zones = [launch.zone] if launch.zone else [*launch.zones_with_type(), *sorted(defaults)]
    subnet = next((defaults[zone] for zone in zones if zone in defaults), None)
    if subnet is None:
        raise EC2ClientError("InvalidInput", f"No default subnet for availability zone: '{launch.zone}'.")
    if kwargs.get("nics"):
        primary = next(nic for nic in kwargs["nics"] if int(nic.get("DeviceIndex", 0)) == 0)
        primary["SubnetId"] = subnet.id
    else:
        kwargs["subnet_id"] = subnet.id
