# MIT licence
"""The table of a project's machines: what each is, what it costs, and what is paid for while nothing runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from .ec2_choice import label
from .ec2_holdings import Holdings, Thing
from .ec2_prices import HOURS_PER_MONTH, UNKNOWN, Price
from .ec2_project import state_of
from .ec2_text import money, table

HEAD = ["name", "state", "type", "market", "zone", "USD/hour", "up since", "hours", "cost so far", "address"]
NUMBERS = (5, 7, 8)
DAYS_PER_MONTH = HOURS_PER_MONTH / 24
# States in which a machine is paid for by the hour.
RUNS = ("pending", "running")


def is_spot(machine: dict[str, Any]) -> bool:
    return machine.get("InstanceLifecycle") == "spot"


def added(*amounts: float | None) -> float | None:
    """The sum, unknown when one of them is."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if len(known) == len(amounts) else None


def hourly_prices(holdings: Holdings, chosen: list[dict[str, Any]]) -> dict[str, Price]:
    """Instance id -> USD per hour while it runs.

    AWS is asked once at the most: for spot prices, which move, or for the one type that there is. The prices of several
    types on demand are the table's.
    """
    prices = holdings.prices
    spot = [one for one in chosen if is_spot(one)]
    types = list(dict.fromkeys(one["InstanceType"] for one in chosen if not is_spot(one)))
    zones = sorted({one["Placement"]["AvailabilityZone"] for one in spot})
    now = prices.spot([one["InstanceType"] for one in spot], zones)
    on_demand = prices.on_demand(types) if len(types) == 1 and not spot else prices.listed(types)
    return {
        one["InstanceId"]: now.get((one["InstanceType"], one["Placement"]["AvailabilityZone"]), UNKNOWN)
        if is_spot(one)
        else on_demand[one["InstanceType"]]
        for one in chosen
    }


def machine(holdings: Holdings, one: dict[str, Any], price: Price, now: datetime) -> dict[str, Any]:
    """A machine in the words of ec2_status."""
    id, runs = one["InstanceId"], state_of(one) in RUNS
    disks, addresses = holdings.disks_of(id), holdings.addresses_of(id)
    month = added(*[holdings.disk_month(disk) for disk in disks], *[holdings.address_month() for _ in addresses])
    hours = (now - one["LaunchTime"]).total_seconds() / 3600 if runs else 0.0
    fleeting = holdings.prices.address_hour.usd if one.get("PublicIpAddress") and not addresses else 0.0
    per_hour = added(price.usd, fleeting, None if month is None else month / HOURS_PER_MONTH)
    return {
        "name": label(one),
        "instance_id": id,
        "state": state_of(one),
        "instance_type": one["InstanceType"],
        "market": "spot" if is_spot(one) else "on-demand",
        "zone": one["Placement"]["AvailabilityZone"],
        "usd_hour": price.usd,
        "price_source": price.source,
        "up_since": one["LaunchTime"].astimezone().isoformat(timespec="seconds") if runs else "",
        "hours": round(hours, 2),
        "usd_so_far": (None if per_hour is None else round(hours * per_hour, 4)) if runs else 0.0,
        "address": one.get("PublicIpAddress") or one.get("PrivateIpAddress", ""),
        "disk_gb": sum(disk["Size"] for disk in disks),
        "addresses": len(addresses),
        "usd_month_stopped": month,
    }


def row(told: dict[str, Any]) -> list[str]:
    """A machine as a line of the table."""
    runs = told["state"] in RUNS
    return [
        told["name"],
        told["state"],
        told["instance_type"],
        told["market"],
        told["zone"],
        "unknown" if told["usd_hour"] is None else f"{told['usd_hour']:.4g}",
        told["up_since"][:16].replace("T", " ") if runs else "-",
        f"{told['hours']:.1f}" if runs else "-",
        money(told["usd_so_far"]) if runs else "-",
        told["address"] or "-",
    ]


def together(machines: list[dict[str, Any]]) -> list[str]:
    """What they cost all together, where there are several."""
    if len(machines) < 2:
        return []
    awake = [one for one in machines if one["state"] in RUNS]
    hour, so_far = (added(*[one[key] for one in awake]) for key in ("usd_hour", "usd_so_far"))
    rate = "at a price that is unknown" if hour is None else f"for {hour:.4g} USD per hour"
    return [f"  {len(awake)} of {len(machines)} machines run {rate}; so far {money(so_far)} USD."]


def asleep_lines(machines: list[dict[str, Any]]) -> list[str]:
    """What those cost that do not run."""
    asleep = [one for one in machines if one["state"] not in RUNS]
    if not asleep:
        return []
    month = added(*[one["usd_month_stopped"] for one in asleep])
    cost = (
        "at a price that is unknown"
        if month is None
        else f"{money(month)} USD per month ({money(month / DAYS_PER_MONTH)} per day)"
    )
    parts = [
        f"{one['name']}: {one['disk_gb']} GB of disk"
        + (f" and {one['addresses']} elastic address(es)" if one["addresses"] else "")
        for one in asleep
    ]
    return ["", f"  What is stopped still costs {cost}. {'; '.join(parts)}."]


def kept_lines(kept: list[Thing]) -> list[str]:
    """What is paid for whether or not a machine runs."""
    rows = [
        [one.kind, one.name or "-", f"{one.gb} GB" if one.gb else "", f"{money(one.usd_month)} USD/month", one.id]
        for one in kept
    ]
    return ["", "  Beside the machines there are:", *table(rows, right=(2, 3), indent="    ")] if rows else []


def others_lines(others: list[str]) -> list[str]:
    """What runs too, and is easily forgotten."""
    said = f"  Also running in this project, and paid for: {', '.join(others)} (all=yes shows all)."
    return ["", said] if others else []


def lines(
    project: str,
    region: str,
    machines: list[dict[str, Any]],
    others: list[str],
    kept: list[Thing],
    notes: list[str],
) -> list[str]:
    """All of it for a terminal."""
    if machines:
        sources = list(dict.fromkeys(one["price_source"] for one in machines if one["usd_hour"] is not None))
        body = table([HEAD, *map(row, machines)], right=NUMBERS)
        prices = f" Prices: {', '.join(sources)}." if sources else ""
        body += [
            "",
            *together(machines),
            f"  The cost is that of this start, machine, disks and public address, without traffic and tax.{prices}",
        ]
    else:
        body = [f"  Project {project} has no such machine in {region}."]
    body += [f"  AWS was not the one to tell all prices: {'; '.join(notes)}."] if notes else []
    return [*body, *others_lines(others), *asleep_lines(machines), *kept_lines(kept)]


def status(
    holdings: Holdings,
    chosen: list[dict[str, Any]],
    region: str,
    at: datetime | None = None,
    *,
    narrowed: bool = False,
) -> dict[str, Any]:
    """What ec2_status returns. narrowed: the project's other machines were left out by name, and are not spoken of."""
    now = at or datetime.now(UTC)
    prices = hourly_prices(holdings, chosen)
    machines = [machine(holdings, one, prices[one["InstanceId"]], now) for one in chosen]
    # Disks and addresses of machines are in the machines' own cost.
    attached = {disk["VolumeId"] for id in holdings.alive for disk in holdings.disks_of(id)}
    kept = [one for one in holdings.things() if (one.orphan or one.belongs) and one.id not in attached]
    others = sorted(label(one) for one in holdings.instances if state_of(one) in RUNS and one not in chosen)
    asleep = [one["usd_month_stopped"] for one in machines if one["state"] not in RUNS]
    return {
        "machines": machines,
        "others": others,
        "kept": [one.told() for one in kept],
        "usd_month_stopped": added(*asleep),
        "usd_month_kept": added(*[one.usd_month for one in kept]),
        "notes": holdings.prices.notes,
        "lines": lines(holdings.project, region, machines, [] if narrowed else others, kept, holdings.prices.notes),
    }
