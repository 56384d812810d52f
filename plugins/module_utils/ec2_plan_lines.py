# MIT licence
"""What is about to happen and what it costs, for a person to read before it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .ec2_fit import WORDS
from .ec2_project import name_of

if TYPE_CHECKING:
    from .ec2_plan import Plan


def lines(plan: Plan, made: dict[str, Any], asleep: list[dict[str, Any]]) -> list[str]:
    """The lines to show."""
    rows: list[tuple[str, str]] = []
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, places in made["candidates"].items():
        ladder = tuple(dict.fromkeys(f"{place['instance_type']} {WORDS[place['market']]}" for place in places))
        groups.setdefault(ladder, []).append(name)
    total, unknown = 0.0, False
    for ladder, names in groups.items():
        first = made["candidates"][names[0]][0]
        rows.append(
            (
                "launch",
                f"{some(names)}: {about(plan, first)}{', else ' + ' or '.join(ladder[1:]) if ladder[1:] else ''}",
            )
        )
        total += len(names) * (first["usd"] or 0)
        unknown |= first["usd"] is None
    for machine in asleep:
        zone, market = machine["Placement"]["AvailabilityZone"], machine.get("InstanceLifecycle", "on-demand")
        usd = plan.usd(machine["InstanceType"], zone, market)
        place = {"instance_type": machine["InstanceType"], "zone": zone, "market": market, "usd": usd}
        rows.append(("start", f"{name_of(machine)}: {about(plan, place)}"))
        total, unknown = total + (usd or 0), unknown or usd is None
    if groups:
        image = made["image"]
        rows.append(("image", f"{image['name']} ({image['id']})"))
    count, asked = len(made["candidates"]), plan.asked
    disk = plan.prices.disk_month(asked["volume_size"], "gp3", asked["volume_iops"], asked["volume_throughput"]).usd
    monthly = (
        f"; {count * disk:.2f} USD a month for {asked['volume_size']} GB of disk each, stopped too"
        if count and disk
        else ""
    )
    rows.append(("price", f"{'at least ' if unknown else ''}{total:.4g} USD per hour while running{monthly}"))
    rows += [("note", note) for note in made["notes"]]
    return [f"  {head:<12} {text}" for head, text in rows]


def kept_types(asked: dict[str, Any], alive: dict[str, dict[str, Any]]) -> list[str]:
    """The lines about machines whose type is none of those that are asked for. alive: name -> what EC2 describes."""
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for machine in asked["machines"]:
        types = [machine["instance_type"]] if machine.get("instance_type") else asked["instance_types"]
        has = alive.get(machine["name"], {}).get("InstanceType")
        if has and types and has not in types:
            groups.setdefault((has, tuple(types)), []).append(machine["name"])
    return [
        f"  note         {some(names)}: {has} and not {' or '.join(types)}, as a machine keeps the type that it was "
        f"launched with. To change it: stop.yml, aws ec2 --region {asked['region']} modify-instance-attribute "
        f"--instance-id {alive[names[0]]['InstanceId']} --instance-type Value={types[0]}, start.yml"
        for (has, types), names in groups.items()
    ]


def some(names: list[str]) -> str:
    """Names, as many as fit on a line."""
    return ", ".join(names) if len(names) <= 5 else f"{', '.join(names[:4])} and {len(names) - 4} more"


def about(plan: Plan, place: dict[str, Any]) -> str:
    """A place in words: type, what it has, market, zone, price and where the price is from."""
    one = place["instance_type"]
    facts, price = plan.facts.get(one, {}), plan.price(one, place["zone"], place["market"])
    has = [f"{facts['VCpuInfo']['DefaultVCpus']} vCPUs"] if facts else []
    has += [f"{gpu.get('Count', 1)} {gpu.get('Name', 'GPU')}" for gpu in facts.get("GpuInfo", {}).get("Gpus", [])]
    cost = f"{price.usd:g} USD per hour ({price.source})" if price and price.usd is not None else "price not known"
    return f"{one} ({', '.join(has) or 'unknown'}), {WORDS[place['market']]} in {place['zone']}, {cost}"
