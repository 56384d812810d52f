"""RunInstances: what a launch is completed with, why it may be refused, and the machines it makes."""

import contextvars
import dataclasses
import functools
import threading
from collections.abc import Callable
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES
from moto.ec2.responses.instances import InstanceResponse

from local_ec2.ec2 import spot
from local_ec2.ec2.capacity import Capacity
from local_ec2.ec2.lifecycle import Lifecycle
from local_ec2.ec2.quotas import Quotas
from local_ec2.ec2.wrap import wrap
from local_ec2.front.call import Call

REGION = "us-east-1"
# moto's word for a request without one
NO_TOKEN = "ABCDE"
ON_DEMAND = "on-demand"
SPOT = "spot"


@dataclasses.dataclass(frozen=True)
class Asked:
    """What a RunInstances call says that moto does not hand on."""

    least: int = 1
    spot: dict[str, Any] = dataclasses.field(default_factory=dict)


NOTHING = Asked()
ASKED: contextvars.ContextVar[Asked] = contextvars.ContextVar("asked", default=NOTHING)


@dataclasses.dataclass(frozen=True)
class Launch:
    """One RunInstances call, as far as a refusal looks at it. zone: the one asked for, or None."""

    backend: Any
    image: str
    least: int
    most: int
    instance_type: str
    market: str
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


def other_architecture(launch: Launch) -> None:
    image = launch.backend.amis[launch.image].architecture
    types = INSTANCE_TYPES[launch.instance_type]["ProcessorInfo"]["SupportedArchitectures"]
    if image not in types:
        raise EC2ClientError(
            "InvalidParameterValue",
            f"The architecture '{','.join(types)}' of the specified instance type does not match the architecture"
            f" '{image}' of the specified AMI. Specify an instance type and an AMI that have matching architectures,"
            " and try again.",
        )


def no_body(launch: Launch) -> None:
    ami = launch.backend.amis.get(launch.image)
    if ami and ami.id not in launch.backend.boots:
        raise EC2ClientError(
            "UnsupportedOperation",
            f"{ami.id} ({ami.name}) is there to be looked up: in this local EC2, Debian 12 for amd64 boots, and images"
            " made of its machines. With `up --machines none`, any image can be launched.",
        )


# Asked in this order; then quotas, and capacity last.
REFUSALS: list[Callable[[Launch], None]] = [unknown_image, unknown_type, type_not_in_zone, other_architecture]
# Where machines have bodies, these too.
BODILY: list[Callable[[Launch], None]] = [wrong_region, no_body, foreign_subnet]


def install(lifecycle: Lifecycle, capacity: Capacity, quotas: Quotas) -> None:
    """Make RunInstances boot machines by `lifecycle`, as many as quotas allow and there is capacity for."""
    lock = threading.Lock()
    refusals = [*(BODILY if lifecycle.machines.bodies else []), *REFUSALS]
    tokens: dict[str, tuple[str, Any]] = {}

    @wrap(InstanceResponse, "run_instances")
    def as_many_as_can(moto_run: Callable[..., Any], response: Any) -> Any:
        # moto launches MinCount and never hears of MaxCount, nor of what is asked about spot
        least = int(response.params.get("MinCount", 1))
        most = response.params["MinCount"] = int(response.params.get("MaxCount", least))
        if not 1 <= least <= most:
            raise EC2ClientError(
                "InvalidParameterValue",
                f"Value ({most}) for parameter maxCount is invalid. Must be greater than or equal to {least}.",
            )
        options = response.params.get("InstanceMarketOptions", {})
        asked = ASKED.set(Asked(least, options.get("SpotOptions", {})))
        try:
            return moto_run(response)
        finally:
            ASKED.reset(asked)

    @wrap(EC2Backend, "start_instances")
    def start_instances(moto_start: Callable[..., Any], backend: Any, instance_ids: list[str]) -> Any:
        with lock:
            for one in backend.get_multi_instances_by_id(instance_ids):
                if one.state == "stopped":
                    spot.startable(one)
                    market = one.lifecycle or ON_DEMAND
                    quotas.check(backend, one.instance_type, market, 1)
                    capacity.take(one.instance_type, one.availability_zone, market, 1, 1, [])
            return moto_start(backend, instance_ids)

    @wrap(EC2Backend, "stop_instances")
    def stop_instances(moto_stop: Callable[..., Any], backend: Any, instance_ids: list[str]) -> Any:
        for one in backend.get_multi_instances_by_id(instance_ids):
            spot.stoppable(one)
        return moto_stop(backend, instance_ids)

    @wrap(EC2Backend, "run_instances")
    def run_instances(
        moto_run: Callable[..., Any], backend: Any, image_id: str, count: int, *args: Any, **kwargs: Any
    ) -> Any:
        # what RequestSpotInstances launches has none at all
        token = kwargs.get("client_token") or NO_TOKEN
        request = repr((image_id, count, ASKED.get(), args, sorted(kwargs.items(), key=lambda item: item[0])))
        with lock:
            if token in tokens:
                return repeated(*tokens[token], request)
            launch = describe(backend, image_id, count, kwargs)
            for refuse in refusals:
                refuse(launch)
            again = spot.copied(kwargs)
            zone = place(launch, kwargs, capacity)
            if launch.market == SPOT:
                spot.check(ASKED.get().spot, launch.instance_type, zone)
            quotas.check(backend, launch.instance_type, launch.market, launch.most)
            count = capacity.take(
                *(launch.instance_type, zone, launch.market, launch.least, launch.most), launch.zones_with_type()
            )
            before = set(backend.reservations)
            try:
                reservation = moto_run(backend, image_id, count, *args, **kwargs)
            except BaseException as error:
                # moto keeps what it began
                for begun in set(backend.reservations) - before:
                    del backend.reservations[begun]
                if isinstance(error, StopIteration):
                    raise EC2ClientError(
                        "InsufficientFreeAddressesInSubnet", "There are not enough free addresses in the subnet."
                    ) from None
                raise
            if token != NO_TOKEN:
                tokens[token] = (request, reservation)
            if kwargs.get("instance_market_options") == SPOT:
                tags = (again.get("tags") or {}).get("spot-instances-request", {})
                spot.request(
                    reservation, ASKED.get().spot, tags, functools.partial(launch_again, backend, image_id, args, again)
                )
        image = backend.boots.get(launch.image, lifecycle.machines.base_image)
        for instance in reservation.instances:
            key = backend.key_pairs.get(instance.key_name)
            lifecycle.launch(instance, image, key.public_key.strip() if key else "")
        return reservation


def launch_again(backend: Any, image_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """One more instance like those of an earlier launch on the spot market, for a request that exists already."""
    asked = {**spot.copied(kwargs), "client_token": NO_TOKEN, "instance_market_options": {}, "lifecycle": SPOT}
    return backend.run_instances(image_id, 1, *args, **asked).instances[0]


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
        least=min(ASKED.get().least, count),
        most=count,
        instance_type=kwargs["instance_type"],
        market=kwargs.get("instance_market_options") or kwargs.get("lifecycle") or ON_DEMAND,
        zone=subnet.availability_zone if subnet else kwargs.get("placement"),
        subnet=subnet,
    )


def resolve(backends: Any, call: Call) -> dict[str, str]:
    """InstanceType, AvailabilityZone and Market of a call that launches or names an instance, as far as they are known.

    backends: moto's EC2 by region.
    """
    if call.service != "ec2" or call.region not in backends:
        return {}
    backend = backends[call.region]
    if call.action == "RunInstances":
        asked = call.first("SubnetId", "NetworkInterface.SubnetId")
        subnet = next((found[asked] for found in backend.subnets.values() if asked in found), None)
        return {
            "InstanceType": call.first("InstanceType"),
            "AvailabilityZone": subnet.availability_zone if subnet else call.first("Placement.AvailabilityZone"),
            "Market": call.first("InstanceMarketOptions.MarketType") or ON_DEMAND,
        }
    instance = backend.get_instance_by_id(call.first("InstanceId"))
    if instance is None:
        return {}
    return {
        "InstanceType": instance.instance_type,
        "AvailabilityZone": instance.availability_zone,
        "Market": instance.lifecycle or ON_DEMAND,
    }


def place(launch: Launch, kwargs: dict[str, Any], capacity: Capacity) -> str:
    """Name the subnet where the caller left it to EC2, in a zone with capacity, and say which zone it is.

    moto would make up an address outside of every subnet.
    """
    if launch.subnet:
        return launch.subnet.availability_zone
    defaults = launch.backend.get_default_subnets()
    zones = [launch.zone] if launch.zone else [*launch.zones_with_type(), *sorted(defaults)]
    possible = [zone for zone in zones if zone in defaults]
    rooms = {zone: capacity.room(launch.instance_type, zone, launch.market) for zone in possible}
    roomy = [zone for zone, room in rooms.items() if room is None or room >= launch.least]
    subnet = next((defaults[zone] for zone in [*roomy, *possible]), None)
    if subnet is None:
        raise EC2ClientError("InvalidInput", f"No default subnet for availability zone: '{launch.zone}'.")
    if kwargs.get("nics"):
        primary = next(nic for nic in kwargs["nics"] if int(nic.get("DeviceIndex", 0)) == 0)
        primary["SubnetId"] = subnet.id
    else:
        kwargs["subnet_id"] = subnet.id
    return subnet.availability_zone
