"""Spot instances through RunInstances: their requests, prices, and how they end."""

import copy
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS
from moto.ec2.models.spot_requests import LaunchSpecification
from moto.ec2.responses.spot_instances import SpotInstances
from moto.ec2.utils import random_spot_request_id

from local_ec2 import prices
from local_ec2.ec2.lifecycle import CHANGING, Lifecycle, explain
from local_ec2.ec2.quotas import vcpus
from local_ec2.ec2.wrap import wrap

log = logging.getLogger(__name__)

ONE_TIME, PERSISTENT = "one-time", "persistent"
TERMINATE = "terminate"
PRODUCTS = ("Linux/UNIX", "Linux/UNIX (Amazon VPC)")
# Until EC2 launches again for a persistent request whose instance has ended, in seconds.
RELAUNCH_SECONDS = 1.0
# Until EC2 tries to start an instance again that it has taken back and stopped, in seconds, and how often it tries.
RESTART_SECONDS, RESTARTS = 20.0, 1000
TERMINATED_BY_EC2 = ("Server.SpotInstanceTermination", "Spot instance termination")
STOPPED_BY_EC2 = ("Server.SpotInstanceShutdown", "Spot instance shutdown")
ENDED = ("closed", "cancelled", "failed")


class SpotRequest(TaggedEC2Resource):
    """A Spot request that a RunInstances call made, as DescribeSpotInstanceRequests shows it."""

    product_description = PRODUCTS[0]
    interrupted = False

    def __init__(self, instance: Any, options: dict[str, Any], tags: dict[str, str]) -> None:
        self.ec2_backend = instance.ec2_backend
        self.id = self.spot_instance_request_id = random_spot_request_id()
        self.type = options.get("SpotInstanceType") or ONE_TIME
        self.instance_interruption_behavior = options.get("InstanceInterruptionBehavior") or TERMINATE
        highest = options.get("MaxPrice") or prices.on_demand(instance.instance_type, instance.region_name)
        self.spot_price = f"{float(highest or 0):.6f}"
        self.valid_until = options.get("ValidUntil")
        self.create_time = utcnow()
        self.launch_specification = LaunchSpecification(
            None, None, instance.image_id, instance.key_name, instance.instance_type, None, False, instance.subnet_id
        )
        self.launch_specification.groups = instance.security_groups
        self.launched_availability_zone = instance.availability_zone
        self.add_tags(tags)
        self.fulfil(instance)

    def fulfil(self, instance: Any) -> None:
        self.instance, self.instance_id = instance, instance.id
        instance.lifecycle = "spot"
        instance.spot_instance_request_id = self.id
        self.enter("active", "fulfilled", "Your Spot request is fulfilled.")

    def enter(self, state: str, code: str, message: str) -> None:
        self.state = state
        self.status = {"Code": code, "Message": message, "UpdateTime": utcnow()}

    def get_filter_value(self, filter_name: str, method_name: str | None = None) -> Any:
        names = {
            "status-code": lambda: self.status["Code"],
            "launch.instance-type": lambda: self.instance.instance_type,
            "launch.key-name": lambda: self.instance.key_name,
        }
        if filter_name in names:
            return names[filter_name]()
        return super().get_filter_value(filter_name, "DescribeSpotInstanceRequests")


def current_price(instance_type: str, zone: str) -> float:
    return prices.spot(instance_type, zone, vcpus(instance_type))


def check(options: dict[str, Any], instance_type: str, zone: str) -> None:
    """Raise EC2's error for options that do not go together, or a price that is too low."""
    persistent = options.get("SpotInstanceType") == PERSISTENT
    behavior = options.get("InstanceInterruptionBehavior") or TERMINATE
    if persistent == (behavior == TERMINATE):
        words = (
            "persistent Spot Instance requests are supported only with the interruption behavior stop or hibernate"
            if persistent
            else f"the interruption behavior {behavior} is supported only with persistent Spot Instance requests"
        )
        raise EC2ClientError("InvalidParameterCombination", f"In RunInstances, {words}.")
    price = current_price(instance_type, zone)
    if options.get("MaxPrice") and float(options["MaxPrice"]) < price:
        raise EC2ClientError(
            "SpotMaxPriceTooLow",
            f"Your Spot request price of {options['MaxPrice']} is lower than the minimum required Spot request"
            f" fulfillment price of {price:.4f}.",
        )


def request(reservation: Any, options: dict[str, Any], tags: dict[str, str], again: Callable[[], Any]) -> None:
    """Make the requests of the instances of a launch. again: launches one more, and returns its instance."""
    for instance in reservation.instances:
        made = SpotRequest(instance, options, tags)
        made.again = again
        instance.ec2_backend.spot_instance_requests[made.id] = made


def request_of(instance: Any) -> SpotRequest | None:
    found = instance.ec2_backend.spot_instance_requests.get(getattr(instance, "spot_instance_request_id", None))
    return found if isinstance(found, SpotRequest) else None


def stoppable(instance: Any) -> None:
    """Raise EC2's error for a Spot instance that cannot be stopped."""
    found = request_of(instance)
    if found and found.type == ONE_TIME:
        raise EC2ClientError(
            "UnsupportedOperation",
            f"You can't stop the Spot Instance '{instance.id}' because it is associated with a one-time Spot Instance"
            " request. You can only stop Spot Instances associated with persistent Spot Instance requests.",
        )


def startable(instance: Any) -> None:
    """Raise EC2's error for a Spot instance that EC2 itself has stopped: nobody else may start it."""
    found = request_of(instance)
    if found and found.interrupted:
        raise EC2ClientError(
            "IncorrectSpotRequestState",
            f"The Spot Instance '{instance.id}' was interrupted. EC2 starts it when there is capacity for it.",
        )


def follow(instance: Any) -> None:
    """Bring the request after its instance, which has entered another state."""
    found = request_of(instance)
    if found is None or found.instance is not instance:
        return
    if instance.state in ("pending", "running"):
        found.interrupted = False
    if found.interrupted:
        explain(instance, *(TERMINATED_BY_EC2 if found.instance_interruption_behavior == TERMINATE else STOPPED_BY_EC2))
    if found.interrupted or found.state in ENDED:
        return
    if instance.state in ("stopping", "stopped"):
        found.enter("disabled", "instance-stopped-by-user", "Your instance was stopped by you.")
    elif instance.state in ("pending", "running"):
        found.enter("active", "fulfilled", "Your Spot request is fulfilled.")
    elif instance.state == "terminated":
        ended(found)


def ended(found: SpotRequest) -> None:
    """Close the request of a terminated instance. A persistent one that nobody cancelled is open again."""
    if found.type == ONE_TIME:
        found.enter("closed", "instance-terminated-by-user", "Your instance was terminated by you.")
        return
    found.enter("open", "pending-evaluation", "Your Spot request has been submitted for review.")

    def launch() -> None:
        time.sleep(RELAUNCH_SECONDS)
        if found.state != "open":
            return
        try:
            # Nobody is told of the instance before it is one of the spot market.
            with CHANGING:
                found.fulfil(found.again())
        except EC2ClientError as error:
            found.enter("open", "capacity-not-available", str(error))
        log.info("%s has %s: it is persistent and was not cancelled", found.id, found.instance_id)

    threading.Thread(target=launch, daemon=True).start()


def interrupt(lifecycle: Lifecycle, instance_id: str) -> None:
    """Take a Spot instance back, as EC2 does when it needs the capacity.

    Raises KeyError if there is no such instance, ValueError if it is none of the spot market.
    """
    instance = lifecycle.known(instance_id)
    if instance is None:
        raise KeyError(instance_id)
    found = request_of(instance)
    if found is None:
        raise ValueError(f"{instance_id} is no Spot instance")
    found.interrupted = True
    if found.instance_interruption_behavior == TERMINATE:
        found.enter("closed", "instance-terminated-no-capacity", "There is no Spot capacity available.")
        instance.terminate()
    else:
        instance.stop()
        found.enter("disabled", "instance-stopped-no-capacity", "There is no Spot capacity available.")
        threading.Thread(target=bring_back, args=[found], daemon=True).start()


def bring_back(found: SpotRequest) -> None:
    """Start an interrupted instance as soon as there is capacity for it again."""
    for _ in range(RESTARTS):
        time.sleep(RESTART_SECONDS)
        if found.state != "disabled" or found.instance.state not in ("stopping", "stopped"):
            return
        if found.instance.state == "stopping":
            continue
        found.interrupted = False
        try:
            found.ec2_backend.start_instances([found.instance_id])
            return
        except EC2ClientError as error:
            found.interrupted = True
            log.info("%s stays stopped: %s", found.instance_id, error)


def history(backend: Any, types: list[str], zones: list[str], products: list[str]) -> list[dict[str, Any]]:
    """The price of each type in each zone, since an hour ago."""
    if products and not set(products) & set(PRODUCTS):
        return []
    offered = INSTANCE_TYPE_OFFERINGS["availability-zone"].get(backend.region_name, [])
    moment = utcnow().replace(minute=0, second=0, microsecond=0)
    return [
        {
            "InstanceType": one["InstanceType"],
            "ProductDescription": PRODUCTS[0],
            "SpotPrice": f"{current_price(one['InstanceType'], one['Location']):.6f}",
            "AvailabilityZone": one["Location"],
            "Timestamp": moment,
        }
        for one in offered
        if (not types or one["InstanceType"] in types) and (not zones or one["Location"] in zones)
    ]


def install(lifecycle: Lifecycle) -> None:
    lifecycle.followers.append(follow)

    @wrap(SpotInstances, "describe_spot_price_history")
    def describe_spot_price_history(_: Callable[..., Any], response: Any) -> ActionResult:
        filters = response._filters_from_querystring()
        types = response._get_param("InstanceTypes", []) or filters.get("instance-type", [])
        zone = response._get_param("AvailabilityZone")
        zones = [zone] if zone else filters.get("availability-zone", [])
        products = response._get_param("ProductDescriptions", []) or filters.get("product-description", [])
        found = history(response.ec2_backend, types, zones, products)
        begin, size = int(response._get_param("NextToken") or 0), response._get_int_param("MaxResults", 1000)
        more = str(begin + size) if begin + size < len(found) else ""
        return ActionResult({"SpotPriceHistory": found[begin : begin + size], "NextToken": more})

    @wrap(EC2Backend, "describe_spot_instance_requests")
    def describe_requests(moto_describe: Callable[..., Any], backend: Any, **kwargs: Any) -> Any:
        unknown = set(kwargs.get("spot_instance_ids") or []) - set(backend.spot_instance_requests)
        if unknown:
            raise not_found(unknown)
        return moto_describe(backend, **kwargs)

    @wrap(EC2Backend, "cancel_spot_instance_requests")
    def cancel_requests(_: Callable[..., Any], backend: Any, request_ids: list[str]) -> list[Any]:
        if unknown := set(request_ids) - set(backend.spot_instance_requests):
            raise not_found(unknown)
        found = [backend.spot_instance_requests[one] for one in request_ids]
        for one in found:
            # moto forgets it; on EC2 it is shown for a while, and its instance goes on
            one.state = "cancelled"
            if isinstance(one, SpotRequest):
                one.enter("cancelled", "request-canceled-and-instance-running", "Your Spot request is canceled.")
        return found


def not_found(ids: set[str]) -> EC2ClientError:
    return EC2ClientError(
        "InvalidSpotInstanceRequestID.NotFound",
        f"The spot instance request ID '{', '.join(sorted(ids))}' does not exist",
    )


def copied(kwargs: dict[str, Any]) -> dict[str, Any]:
    """What a launch was asked for, to be asked for again: moto changes it while it launches."""
    return {name: copy.copy(value) for name, value in kwargs.items()}
