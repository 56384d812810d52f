# Copyright: the gluon-ec2 authors
# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""What EC2 machines and their disks cost, in US dollars: from AWS where it answers, else from a dated table.

A price is information. No failure to learn one is ever raised: it is then the table's, or unknown, and says which.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# Where the Pricing API has an endpoint, by the first part of the region that asks; all know the prices of all regions.
PRICING_ENDPOINTS = {"eu": "eu-central-1", "af": "eu-central-1", "ap": "ap-south-1", "me": "ap-south-1"}
# Seconds until an answer of AWS about prices is no longer waited for.
PATIENCE = 6
DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
HOURS_PER_MONTH = 730
# gp3 volumes have so many operations and MiB per second without extra charge.
GP3_IOPS, GP3_THROUGHPUT = 3000, 125


@dataclass(frozen=True)
class Price:
    """An amount of US dollars, per hour or per month as its maker says, and where it comes from. None: unknown."""

    usd: float | None
    source: str

    def __str__(self) -> str:
        return "price unknown" if self.usd is None else f"{self.usd:.4g} USD ({self.source})"


UNKNOWN = Price(None, "unknown")


def client_of(module: Any) -> Callable[[str, str], Any]:
    """Clients of an AnsibleAWSModule that give up early: connect 2 s, read 5 s, no second try."""

    def client(service: str, region: str) -> Any:
        config = {"connect_timeout": 2, "read_timeout": 5, "retries": {"total_max_attempts": 1}}
        return module.client(service, region=region, aws_config=config)

    return client


def hourly(product: str | dict[str, Any]) -> float | None:
    """The on-demand price of one entry of a GetProducts answer, None if it has no such price in US dollars."""
    entry = json.loads(product) if isinstance(product, str) else product
    for term in entry.get("terms", {}).get("OnDemand", {}).values():
        for dimension in term.get("priceDimensions", {}).values():
            usd = float(dimension.get("pricePerUnit", {}).get("USD", 0))
            if usd > 0:
                return usd
    return None


def product_filters(region: str, **more: str) -> list[dict[str, str]]:
    """The GetProducts filters that leave Linux on shared hardware, without extra software or a reservation."""
    wanted = {
        "regionCode": region,
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
        **more,
    }
    return [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in wanted.items()]


def at_once(jobs: dict[str, Callable[[], Any]], seconds: float) -> dict[str, Any]:
    """The result or exception of each job, run side by side; TimeoutError for those that take longer than `seconds`.

    The threads are daemons: a name server that does not answer cannot hold up the end of the process.
    """
    ended: dict[str, Any] = {}

    def run(name: str, job: Callable[[], Any]) -> None:
        try:
            ended[name] = job()
        except Exception as error:
            ended[name] = error

    deadline = time.monotonic() + seconds
    threads = [threading.Thread(target=run, args=item, daemon=True) for item in jobs.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    results = dict(ended)
    return {name: results.get(name, TimeoutError(f"no answer within {seconds:g} s")) for name in jobs}


def because(error: Exception, action: str) -> str:
    """Why AWS did not tell, in a few words."""
    # botocore's connection errors have a response too, which is None.
    code = (getattr(error, "response", None) or {}).get("Error", {}).get("Code", "")
    if code in DENIED:
        return f"these credentials may not call {action}"
    return f"{action} answered {code}" if code else f"{action} could not be reached"


@dataclass
class Prices:
    """The prices of one region.

    client: gives a boto3 client for a service and a region, best one that gives up early (see client_of).
    table: the file of dated prices to fall back on.
    patience: the seconds after which an answer is no longer waited for.
    notes: after a question, why AWS was not the one who answered.
    """

    client: Callable[[str, str], Any]
    region: str
    table: Path
    patience: float = PATIENCE
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        try:
            self._table = json.loads(Path(self.table).read_text())
        except (OSError, ValueError) as error:
            self._table = {}
            self._note(f"the table of prices {self.table} cannot be read: {error}")
        self._region = self._table.get("regions", {}).get(self.region, {})
        self._asked: dict[str, Price] = {}

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def _clients(self, service: str, region: str) -> Any:
        try:
            return self.client(service, region)
        except Exception as error:
            return error

    def on_demand(self, types: Iterable[str]) -> dict[str, Price]:
        """USD per hour of each type."""
        wanted = list(dict.fromkeys(types))
        missing = [name for name in wanted if name not in self._asked]
        if missing:
            endpoint = PRICING_ENDPOINTS.get(self.region.split("-", 1)[0], "us-east-1")
            # Partitions of their own have prices of their own, which this endpoint does not know.
            known_there = not self.region.startswith(("cn-", "us-iso"))
            pricing = self._clients("pricing", endpoint) if known_there else LookupError(self.region)
            answers = at_once({name: lambda name=name: self._product(pricing, name) for name in missing}, self.patience)
            for name, answer in answers.items():
                self._asked[name] = self._told(name, answer)
        return {name: self._asked[name] for name in wanted}

    def _product(self, pricing: Any, name: str) -> float | None:
        if isinstance(pricing, Exception):
            raise pricing
        answer = pricing.get_products(
            ServiceCode="AmazonEC2", Filters=product_filters(self.region, instanceType=name), MaxResults=20
        )
        found = [hourly(product) for product in answer["PriceList"]]
        return min((usd for usd in found if usd), default=None)

    def _told(self, name: str, answer: Any) -> Price:
        if isinstance(answer, float):
            return Price(answer, "Pricing API")
        if isinstance(answer, Exception):
            self._note(because(answer, "pricing:GetProducts"))
        return self.listed([name])[name]

    def listed(self, types: Iterable[str]) -> dict[str, Price]:
        """USD per hour of each type as the table has them; nobody is asked."""
        hour = self._region.get("hour", {})
        return {
            name: Price(hour[name], f"table of {self._region['date']}") if name in hour else UNKNOWN for name in types
        }

    def spot(self, types: Iterable[str], zones: Iterable[str] = ()) -> dict[tuple[str, str], Price]:
        """USD per hour of each type in each zone, as it is now. Without zones: wherever there is one."""
        wanted, places = list(dict.fromkeys(types)), list(dict.fromkeys(zones))
        if not wanted:
            return {}
        ec2 = self._clients("ec2", self.region)
        found = at_once({"spot": lambda: self._history(ec2, wanted, places)}, self.patience)["spot"]
        if isinstance(found, Exception):
            self._note(because(found, "ec2:DescribeSpotPriceHistory"))
            found = {}
        return {(name, zone): UNKNOWN for name in wanted for zone in places} | found

    def _history(self, ec2: Any, types: list[str], zones: list[str]) -> dict[tuple[str, str], Price]:
        if isinstance(ec2, Exception):
            raise ec2
        now = datetime.now(UTC)
        asked: dict[str, Any] = {"InstanceTypes": types, "ProductDescriptions": ["Linux/UNIX"], "StartTime": now}
        if zones:
            asked["Filters"] = [{"Name": "availability-zone", "Values": zones}]
        newest: dict[tuple[str, str], Any] = {}
        for page in ec2.get_paginator("describe_spot_price_history").paginate(**asked):
            for entry in page["SpotPriceHistory"]:
                place = entry["InstanceType"], entry["AvailabilityZone"]
                if place not in newest or entry["Timestamp"] > newest[place]["Timestamp"]:
                    newest[place] = entry
        return {
            place: Price(float(entry["SpotPrice"]), f"spot price of {now:%H:%M} UTC")
            for place, entry in newest.items()
            if place[0] in types and (not zones or place[1] in zones)
        }

    def _stored(self, usd: float | None) -> Price:
        return UNKNOWN if usd is None else Price(usd, f"table of {self._region['storage']['date']}")

    def disk_month(
        self, size_gb: float, volume_type: str = "gp3", iops: int = GP3_IOPS, throughput: int = GP3_THROUGHPUT
    ) -> Price:
        """USD per month of a volume. iops: per second; throughput: MiB per second; both count on gp3 only."""
        storage = self._region.get("storage", {})
        if volume_type not in storage:
            return UNKNOWN
        usd = size_gb * storage[volume_type]
        if volume_type == "gp3":
            usd += max(0, (iops or GP3_IOPS) - GP3_IOPS) * storage["gp3_iops"]
            usd += max(0, (throughput or GP3_THROUGHPUT) - GP3_THROUGHPUT) * storage["gp3_throughput"]
        return self._stored(usd)

    def snapshot_month(self, size_gb: float) -> Price:
        """USD per month of a snapshot, at most: only blocks that were written count, and EC2 does not tell how many."""
        per_gb = self._region.get("storage", {}).get("snapshot")
        return self._stored(None if per_gb is None else size_gb * per_gb)

    @property
    def address_hour(self) -> Price:
        """USD per hour of a public IPv4 address, whether or not a running machine has it."""
        address = self._table.get("address", {})
        return Price(address["hour"], f"table of {address['date']}") if address else UNKNOWN
