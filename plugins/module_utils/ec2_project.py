# MIT licence
"""The machines of a project, as EC2 describes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

ALIVE = ("pending", "running", "stopping", "stopped")


def tags_of(thing: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in thing.get("Tags", [])}


def name_of(thing: dict[str, Any]) -> str:
    """Its name. An instance launched with others may not have its own yet.

    Then the roster they were launched with tells it, by the instance's place in that launch.
    """
    tags = tags_of(thing)
    roster, place = tags.get("Names", "").split(), thing.get("AmiLaunchIndex", 0)
    return tags.get("Name") or (roster[place] if place < len(roster) else "")


def instances(ec2: Any, project: str) -> list[dict[str, Any]]:
    """All instances of a project, those that EC2 still remembers as terminated included, the oldest first."""
    pages = ec2.get_paginator("describe_instances").paginate(Filters=[{"Name": "tag:Project", "Values": [project]}])
    found = [one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"]]
    return sorted(found, key=lambda one: (one["LaunchTime"], one["InstanceId"]))


def state_of(instance: dict[str, Any]) -> str:
    return instance["State"]["Name"]


def by_name(found: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Those that are alive by name, the oldest first. More than one of a name is a mistake to be told."""
    names: dict[str, list[dict[str, Any]]] = {}
    for instance in found:
        if state_of(instance) in ALIVE:
            names.setdefault(name_of(instance), []).append(instance)
    return names


def summaries(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that are alive, in the words that roles use. A second one of a name goes by its id."""
    alive = by_name(found)
    return [
        summary(one, name if one is them[0] and name else one["InstanceId"])
        for name, them in alive.items()
        for one in them
    ]


def summary(instance: dict[str, Any], name: str) -> dict[str, Any]:
    tags = tags_of(instance)
    return {
        "name": name,
        "instance_id": instance["InstanceId"],
        "state": state_of(instance),
        "instance_type": instance["InstanceType"],
        "zone": instance["Placement"]["AvailabilityZone"],
        "public_ip_address": instance.get("PublicIpAddress", ""),
        "private_ip_address": instance.get("PrivateIpAddress", ""),
        "login_user": tags.get("LoginUser", "ubuntu"),
        "owner": tags.get("Owner", ""),
        # When it was launched, or started last, and the seconds since.
        "launched": instance["LaunchTime"].isoformat(),
        "age": int((datetime.now(UTC) - instance["LaunchTime"]).total_seconds()),
    }
