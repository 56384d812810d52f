# MIT licence
"""What is about to be launched or started: asked of AWS without changing anything, then judged."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .ec2_catalog import SYSTEMS, USERS, quota_of
from .ec2_errors import code_of, kind_of
from .ec2_fit import against_empty, against_image, against_network, against_types
from .ec2_project import name_of, tags_of
from .ec2_quotas import Usage, quota_refusals

ON_DEMAND, SPOT = "on-demand", "spot"


class Refused(Exception):
    """What was asked for cannot be; args are the sentences."""


class Plan:
    """Asks of AWS what `asked` (the options of ec2_preflight) needs for the machines of it that are missing or asleep.

    client: gives the boto3 client of a service. prices: an ec2_prices.Prices.
    """

    def __init__(self, client: Callable[[str], Any], asked: dict[str, Any], prices: Any) -> None:
        self.ec2, self.client, self.asked, self.prices = client("ec2"), client, asked, prices
        self.notes: list[str] = []

    def make(self, missing: list[dict[str, Any]], asleep: list[dict[str, Any]]) -> dict[str, Any]:
        """The plan for the machines to launch (as asked for) and those to start (as EC2 describes them).

        Raises Refused with all that stands against it.
        """
        self.ladders = {machine["name"]: self._types_of(machine) for machine in missing}
        wanted = {name for ladder in self.ladders.values() for name in ladder}
        types = sorted(wanted | {machine["InstanceType"] for machine in asleep})
        markets = [SPOT, *([ON_DEMAND] if self.asked["spot_fallback"] else [])] if self.asked["spot"] else [ON_DEMAND]
        counted = {(name, market) for name in wanted for market in markets}
        counted |= {(one["InstanceType"], SPOT if is_spot(one) else ON_DEMAND) for one in asleep}
        quotas = {quota for pair in counted if (quota := quota_of(*pair))}
        with ThreadPoolExecutor(16) as pool:
            self.usage = Usage(self.client, quotas, pool)
            offers = pool.submit(self._offers, types)
            facts = pool.submit(self._facts, types)
            subnets = pool.submit(self._subnets) if missing else None
            image = pool.submit(self._image) if missing else None
            homes = pool.submit(self._homes) if missing and self.asked["data_volume_size"] else None
            on_demand = pool.submit(self.prices.on_demand, types)
            spot = pool.submit(self.prices.spot, types) if SPOT in markets or any(map(is_spot, asleep)) else None
            self.offers, self.facts = offers.result(), facts.result()
            self.subnets = subnets.result() if subnets else []
            self.image = image.result() if image else {}
            self.homes = homes.result() if homes else {}
            self.price_of = on_demand.result() | (spot.result() if spot else {})
        against = [*against_types(self), *against_image(self), *against_network(self)] if missing else []
        if against:
            raise Refused(*against)
        candidates = {name: self._candidates(name, markets) for name in self.ladders}
        against = [*against_empty(self, candidates)]
        if not against:
            against = quota_refusals(self, candidates, asleep)
        if against:
            raise Refused(*against)
        return {"image": self.image, "candidates": candidates, "notes": self.notes}

    def _types_of(self, machine: dict[str, Any]) -> list[str]:
        own = machine.get("instance_type")
        return [own] if own else list(dict.fromkeys(self.asked["instance_types"]))

    def _offers(self, types: list[str]) -> dict[str, list[str]]:
        """Type -> zones that offer it."""
        pages = self.ec2.get_paginator("describe_instance_type_offerings").paginate(
            LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": types}]
        )
        offers: dict[str, list[str]] = {name: [] for name in types}
        for offer in (offer for page in pages for offer in page["InstanceTypeOfferings"]):
            offers[offer["InstanceType"]].append(offer["Location"])
        return {name: sorted(zones) for name, zones in offers.items()}

    def _facts(self, types: list[str]) -> dict[str, dict[str, Any]]:
        """Type -> its description. A filter, since EC2 refuses the whole call for one type it does not know."""
        pages = self.ec2.get_paginator("describe_instance_types").paginate(
            Filters=[{"Name": "instance-type", "Values": types}]
        )
        return {one["InstanceType"]: one for page in pages for one in page["InstanceTypes"]}

    def _subnets(self) -> list[dict[str, Any]]:
        if self.asked["subnet_ids"]:
            filters = [{"Name": "subnet-id", "Values": self.asked["subnet_ids"]}]
        elif self.asked["vpc_id"]:
            filters = [{"Name": "vpc-id", "Values": [self.asked["vpc_id"]]}]
        else:
            filters = [{"Name": "default-for-az", "Values": ["true"]}]
        found = self.ec2.describe_subnets(Filters=filters)["Subnets"]
        return sorted(found, key=lambda subnet: (subnet["AvailabilityZone"], subnet["SubnetId"]))

    def _image(self) -> dict[str, Any]:
        """The image, by system, id or name; {} when there is none."""
        ami, system = self.asked["ami"], SYSTEMS.get(self.asked["ami"])
        if system:
            return self._newest(system)
        if ami.startswith("ami-"):
            found = self.images(Filters=[{"Name": "image-id", "Values": [ami]}])
        else:
            found = self.images(Owners=["self"], Filters=[{"Name": "name", "Values": [ami]}])
        return described(found[0], "") if found else {}

    def _newest(self, system: Any) -> dict[str, Any]:
        try:
            ami = self.client("ssm").get_parameter(Name=system.parameter)["Parameter"]["Value"]
            found = self.images(Filters=[{"Name": "image-id", "Values": [ami]}])
        except Exception as error:
            if kind_of(error) in ("no-credentials", "expired", "credentials"):
                raise
            self.notes.append(
                f"The parameter {system.parameter} could not be read ({code_of(error)}); looked by name instead."
            )
            found = []
        found = [image for image in found if image["OwnerId"] in system.owners]
        if not found:
            found = self.images(
                Owners=list(system.owners),
                Filters=[{"Name": "name", "Values": [system.pattern]}, {"Name": "state", "Values": ["available"]}],
            )
        found = [image for image in found if image["OwnerId"] in system.owners]
        return described(max(found, key=lambda image: image["CreationDate"]), system.user) if found else {}

    def images(self, **which: Any) -> list[dict[str, Any]]:
        return self.ec2.describe_images(**which)["Images"]

    def _homes(self) -> dict[str, str]:
        """Machine -> the zone where its data volume is."""
        filters = [{"Name": "tag:Project", "Values": [self.asked["project"]]}, {"Name": "tag:Kind", "Values": ["data"]}]
        pages = self.ec2.get_paginator("describe_volumes").paginate(Filters=filters)
        volumes = [volume for page in pages for volume in page["Volumes"]]
        return {tags_of(volume).get("Machine", ""): volume["AvailabilityZone"] for volume in volumes}

    def _candidates(self, name: str, markets: list[str]) -> list[dict[str, Any]]:
        """Where a machine may be launched, in the order of the wish: market, then type, then zone."""
        zones: dict[str, str] = {}
        for subnet in self.subnets:
            zones.setdefault(subnet["AvailabilityZone"], subnet["SubnetId"])
        home, limit, ladder = self.homes.get(name), self.asked["max_price"], []
        for market in markets:
            for one in self.ladders[name]:
                fits = [zone for zone in self.offers[one] if zone in zones and zone in (self.asked["zones"] or zones)]
                for zone in sorted(fits, key=lambda zone: (zone != home, self.usd(one, zone, market) or 0, zone)):
                    usd = self.usd(one, zone, market)
                    place = {"instance_type": one, "zone": zone, "subnet_id": zones[zone], "market": market, "usd": usd}
                    if not limit or (usd is not None and usd <= limit):
                        ladder.append(place)
        return ladder

    def price(self, one: str, zone: str, market: str) -> Any:
        """The price of a type, None when nobody knows it."""
        return self.price_of.get((one, zone) if market == SPOT else one)

    def usd(self, one: str, zone: str, market: str) -> float | None:
        price = self.price(one, zone, market)
        return price.usd if price else None


def is_spot(machine: dict[str, Any]) -> bool:
    return machine.get("InstanceLifecycle") == SPOT


def described(image: dict[str, Any], user: str) -> dict[str, Any]:
    """An image in few words. user: who may log in, when the system says it."""
    root = next(
        (
            one["Ebs"]
            for one in image.get("BlockDeviceMappings", [])
            if one.get("DeviceName") == image.get("RootDeviceName")
        ),
        {},
    )
    return {
        "id": image["ImageId"],
        "name": name_of(image) or image.get("Name", image["ImageId"]),
        "owner": image["OwnerId"],
        "state": image["State"],
        "architecture": image["Architecture"],
        "root_device": image.get("RootDeviceName", "/dev/sda1"),
        "size": root.get("VolumeSize", 0),
        "user": user or tags_of(image).get("LoginUser") or USERS.get(image["OwnerId"], "ubuntu"),
    }
