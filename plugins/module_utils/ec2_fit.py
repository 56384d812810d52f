# MIT licence
"""What AWS's answers say against a plan, a sentence each: the value, why it will not do, and what to change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .ec2_catalog import FAMILIES, SYSTEMS, family
from .ec2_inputs import nearest, shown

if TYPE_CHECKING:
    from .ec2_plan import Plan

WORDS = {"on-demand": "on demand", "spot": "spot"}


def against_types(plan: Plan) -> Iterable[str]:
    """Refuses a machine whose types are all impossible; when others remain, the impossible ones are notes."""
    for name, ladder in plan.ladders.items():
        against = {one: why for one in ladder if (why := against_type(plan, one))}
        rest = [one for one in ladder if one not in against]
        if rest:
            plan.notes += [note for one, note in against.items()]
            plan.ladders[name] = rest
        else:
            yield from dict.fromkeys(against.values())


def against_type(plan: Plan, one: str) -> str:
    """Why a type will not do; nothing when it will."""
    region, kin = plan.asked["region"], FAMILIES.get(family(one))
    change = "Change instance_types (ec2_instance_types)."
    if kin and kin.refused:
        return (
            f"{one} will not do, because {kin.refused}: use g4dn.xlarge (T4), g5.xlarge (A10G) or g6.xlarge "
            f"(L4). {change}"
        )
    if not plan.offers.get(one):
        known = all_types(plan)
        if one not in known:
            return f"EC2 offers no type {shown(one)} in {region}.{nearest(one, known)} {change}"
    zones = plan.asked["zones"]
    if zones and not set(zones) & set(plan.offers[one]):
        return (
            f"{one} is not offered in {', '.join(zones)}, but in {', '.join(plan.offers[one])}: change "
            "ec2_zones, or leave it "
            "empty."
        )
    has_gpu = bool(plan.facts.get(one, {}).get("GpuInfo"))
    if plan.asked["gpu_required"] and not has_gpu:
        return f"{one} has no GPU, and gpu_required (ec2_gpu_required) wants one: use g4dn.xlarge, say. {change}"
    capable = plan.asked["gpu_architectures"]
    if kin and capable and kin.compute not in capable:
        return (
            f"{one} has an {kin.gpu} of compute capability {kin.compute}, for which the edition's MXNet has no "
            "code (it has for "
            f"{', '.join(capable)}): use g4dn (T4), g5 (A10G) or g6 (L4), or a type without GPU. {change}"
        )
    return ""


def all_types(plan: Plan) -> list[str]:
    pages = plan.ec2.get_paginator("describe_instance_type_offerings").paginate(LocationType="region")
    return [offer["InstanceType"] for page in pages for offer in page["InstanceTypeOfferings"]]


def against_image(plan: Plan) -> Iterable[str]:
    ami, image = plan.asked["ami"], plan.image
    if not image:
        own = (
            [] if ami.startswith("ami-") or ami in SYSTEMS else sorted(i["Name"] for i in plan.images(Owners=["self"]))
        )
        yield (
            f"There is no image {shown(ami)} in {plan.asked['region']} that this account may use."
            f"{nearest(ami, [*SYSTEMS, *own])} Set ami (ec2_ami) to one of {', '.join([*SYSTEMS, *own[:10]])}, "
            "or to an image's id."
        )
        return
    if image["state"] != "available":
        yield (
            f"The image {image['name']} ({image['id']}) is {image['state']}, not available: wait for it, or "
            "change ami (ec2_ami)."
        )
    if plan.asked["volume_size"] < image["size"]:
        yield (
            f"A disk of {plan.asked['volume_size']} GB is smaller than that of the image {image['name']}, "
            f"{image['size']} GB: "
            f"set disk_gb (ec2_volume_size) to {image['size']} or more."
        )
    for one in {one for ladder in plan.ladders.values() for one in ladder}:
        runs = plan.facts.get(one, {}).get("ProcessorInfo", {}).get("SupportedArchitectures", [image["architecture"]])
        if image["architecture"] not in runs:
            yield (
                f"{one} runs {' and '.join(runs)}, and the image {image['name']} is {image['architecture']}: "
                "change "
                "instance_types (ec2_instance_types) or ami (ec2_ami)."
            )


def against_network(plan: Plan) -> Iterable[str]:
    region, wanted = plan.asked["region"], plan.asked["subnet_ids"]
    absent = sorted(set(wanted) - {subnet["SubnetId"] for subnet in plan.subnets})
    if absent:
        yield f"{', '.join(absent)} is no subnet of {region} that this account has: change ec2_subnet_ids."
    elif not plan.subnets and plan.asked["vpc_id"]:
        yield f"{plan.asked['vpc_id']} has no subnet in {region}: make one, or change ec2_vpc_id."
    elif not plan.subnets:
        yield (
            f"{region} has no default VPC with subnets: make one (aws ec2 create-default-vpc --region "
            f"{region}), or name a "
            "subnet in ec2_subnet_ids."
        )
    if len({subnet["VpcId"] for subnet in plan.subnets}) > 1:
        yield (
            f"The subnets {', '.join(wanted)} are of several VPCs, and a security group is of one: change "
            "ec2_subnet_ids."
        )


def against_empty(plan: Plan, candidates: dict[str, list[dict[str, Any]]]) -> Iterable[str]:
    """Refuses machines that no place is left for: by price, or because no subnet lies where the type is offered."""
    region, limit = plan.asked["region"], plan.asked["max_price"]
    for ladder in dict.fromkeys(tuple(plan.ladders[name]) for name, places in candidates.items() if not places):
        zones = sorted({subnet["AvailabilityZone"] for subnet in plan.subnets})
        market = "spot" if plan.asked["spot"] else "on-demand"
        if not any(set(plan.offers[one]) & set(zones) for one in ladder):
            offered = sorted({zone for one in ladder for zone in plan.offers[one]})
            yield (
                f"{', '.join(ladder)} is offered in {', '.join(offered)}, and there are subnets in "
                f"{', '.join(zones)} only: "
                "change ec2_subnet_ids, ec2_vpc_id or instance_types (ec2_instance_types)."
            )
            continue
        prices = [(usd, one) for one in ladder for zone in zones if (usd := plan.usd(one, zone, market)) is not None]
        if prices:
            usd, one = min(prices)
            cost = f"{one} costs {usd:g} USD per hour ({WORDS[market]}, {region}), the least of what was asked for"
        else:
            cost = f"The price of {', '.join(ladder)} ({WORDS[market]}, {region}) is not known"
        yield (
            f"{cost}, and max_price_per_hour (ec2_max_price_per_hour) is {limit:g}: raise it, name a cheaper "
            "type in "
            f"instance_types (ec2_instance_types){'' if plan.asked['spot'] else ', or try spot (ec2_spot)'}."
        )
