# MIT licence
"""Launching named machines: one call for those alike, on to the next place when one is full, one machine a name."""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .ec2_catalog import quota_of
from .ec2_errors import code_of, kind_of, words_of
from .ec2_project import ALIVE, by_name, instances, name_of, state_of, tags_of

# A tag's value holds so much, and the tag Names is the roster of a launch.
TAG_LENGTH = 256
# How often EC2 is asked again when it is busy, with growing pauses: some 60 s in all.
TRIES = 8
# How many dead instances a client token may lead to before it is given up.
GENERATIONS = 20
WALK_ON = ("capacity", "unsupported", "addresses", "price")
WHY = {
    "capacity": "has none free",
    "unsupported": "does not offer it",
    "addresses": "has no free address in the subnet",
    "price": "has a spot price above the limit",
    "quota": "is over the quota",
}


class Stop(Exception):
    """An error that no other place would cure; `cause` is AWS's."""

    def __init__(self, cause: Exception, doing: str) -> None:
        super().__init__(doing)
        self.cause, self.doing = cause, doing


def patiently(
    call: Callable[..., Any], sleep: Callable[[float], None] = time.sleep, also: tuple[str, ...] = (), **arguments: Any
) -> Any:
    """Call EC2, again after a pause when it is busy, gave no answer, or does not know yet what was made a moment ago.

    `also` names other kinds of errors that pass with time. Raises what EC2 says at last. A call that makes something
    must carry a client token.
    """
    for attempt in range(TRIES):
        try:
            return call(**arguments)
        except Exception as error:
            if kind_of(error) not in ("throttle", "lost", "hiccup", "not-yet", *also) or attempt == TRIES - 1:
                raise
            sleep(min(10.0, 0.25 * 2**attempt) * random.uniform(0.5, 1))
    raise AssertionError("unreachable")


def rosters(names: list[str]) -> list[list[str]]:
    """Names in groups that fit into a tag."""
    groups: list[list[str]] = [[]]
    for name in names:
        if len(" ".join([*groups[-1], name])) > TAG_LENGTH:
            groups.append([])
        groups[-1].append(name)
    return groups


class Launch:
    """Launches what is missing, with the options of ec2_machines.

    After it, `tried` has a line for each place that was asked, `launched` the ids made, `failed` name -> why.
    """

    def __init__(self, ec2: Any, options: dict[str, Any], dead: list[str]) -> None:
        self.ec2, self.options, self.dead = ec2, options, sorted(dead)
        self.tried: list[dict[str, Any]] = []
        self.launched: dict[str, str] = {}
        self.failed: dict[str, str] = {}
        self.full_quotas: dict[str, str] = {}

    def run(self, machines: list[dict[str, Any]]) -> None:
        """Launch these. Those alike go together.

        Raises Stop for what no other place would cure; what was launched until then is in `launched`.
        """
        alike: dict[str, list[dict[str, Any]]] = {}
        for machine in machines:
            alike.setdefault(json.dumps([machine["candidates"], machine["tags"]], sort_keys=True), []).append(machine)
        for group in alike.values():
            for names in rosters([machine["name"] for machine in group]):
                self._walk(names, group[0])

    def _walk(self, names: list[str], like: dict[str, Any]) -> None:
        """Ask one place after the other until all have a machine."""
        left, why = list(names), {}
        for place in like["candidates"]:
            if not left:
                return
            quota = quota_of(place["instance_type"], place["market"])
            if quota and quota.code in self.full_quotas:
                continue
            try:
                made = self._ask(left, place, like["tags"])
            except Exception as error:
                kind = kind_of(error)
                if kind not in (*WALK_ON, "quota"):
                    raise Stop(
                        error, f"to launch {', '.join(left[:5])} as {place['instance_type']} in {place['zone']}"
                    ) from error
                why[kind] = error
                self._note(place, left, [], f"{WHY[kind]} ({code_of(error)})")
                if kind == "quota" and quota:
                    self.full_quotas[quota.code] = f'"{words_of(error)}" (the quota "{quota.name}", {quota.code})'
                continue
            got = left[: len(made)]
            self.launched |= dict(zip(got, made, strict=True))
            self._note(place, left, got, "" if len(got) == len(left) else "has no more free")
            left = left[len(made) :]
        for name in left:
            self.failed[name] = self._why(like, why)

    def _why(self, like: dict[str, Any], why: dict[str, Exception]) -> str:
        if "quota" in why or (not why and self.full_quotas):
            quotas = "; ".join(self.full_quotas.values())
            return (
                f"is over a quota: {quotas}. Ask for more in Service Quotas (-e request_quota=yes does), or stop "
                "machines that are not needed"
            )
        places = ", ".join(
            dict.fromkeys(f"{place['instance_type']} in {place['zone']}" for place in like["candidates"])
        )
        return (
            f"finds no place, none has one free now ({places}): run this again later, or name more types in "
            "instance_types (ec2_instance_types), or more zones"
        )

    def _note(self, place: dict[str, Any], asked: list[str], got: list[str], why: str) -> None:
        where = {key: place[key] for key in ("instance_type", "zone", "market")}
        self.tried.append({**where, "asked": len(asked), "got": len(got), "why": why})

    def _ask(self, names: list[str], place: dict[str, Any], tags: dict[str, str]) -> list[str]:
        """Launch up to as many as there are names; the ids, in the order of the names."""
        request = self._request(names, place, tags)
        for generation in range(GENERATIONS):
            # The same wish gives the same token, whoever has it: two runs at once get one set of machines. Those that
            # have died since must not be given again.
            wish = json.dumps([request, self.dead, generation], sort_keys=True)
            token = hashlib.sha256(wish.encode()).hexdigest()[:64]
            answer = patiently(self.ec2.run_instances, **request, ClientToken=token)
            made = sorted(answer["Instances"], key=lambda one: one["AmiLaunchIndex"])
            if any(state_of(one) in ALIVE for one in made):
                return [one["InstanceId"] for one in made]
        raise RuntimeError(f"EC2 answered {GENERATIONS} launches with machines that are terminated: {answer}")

    def _request(self, names: list[str], place: dict[str, Any], tags: dict[str, str]) -> dict[str, Any]:
        options = self.options
        ebs = {
            "VolumeType": "gp3",
            "VolumeSize": options["volume_size"],
            "Encrypted": True,
            "DeleteOnTermination": True,
        }
        ebs |= {"Iops": options["volume_iops"], "Throughput": options["volume_throughput"]}
        ours = {**tags, **options["tags"], "Project": options["project"]}
        named = {"Name": names[0]} if len(names) == 1 else {"Names": " ".join(names)}
        request: dict[str, Any] = {
            "ImageId": options["image_id"],
            "InstanceType": place["instance_type"],
            "MinCount": 1,
            "MaxCount": len(names),
            "KeyName": options["key_name"],
            "NetworkInterfaces": [
                {
                    "DeviceIndex": 0,
                    "SubnetId": place["subnet_id"],
                    "Groups": options["security_group_ids"],
                    "AssociatePublicIpAddress": options["public_address"],
                    "DeleteOnTermination": True,
                }
            ],
            "BlockDeviceMappings": [{"DeviceName": options["root_device"], "Ebs": ebs}],
            "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "HttpEndpoint": "enabled"},
            "InstanceInitiatedShutdownBehavior": "stop",
        }
        kinds = ["instance", "volume", "network-interface"]
        if place["market"] == "spot":
            # A persistent request is the one kind that may be stopped and started.
            spot = {"SpotInstanceType": "persistent", "InstanceInterruptionBehavior": "stop"}
            if options["max_price"]:
                spot["MaxPrice"] = f"{options['max_price']:.6f}"
            request["InstanceMarketOptions"] = {"MarketType": "spot", "SpotOptions": spot}
            kinds.append("spot-instances-request")
        if options["instance_profile"]:
            request["IamInstanceProfile"] = {"Name": options["instance_profile"]}
        request["TagSpecifications"] = [
            {
                "ResourceType": kind,
                "Tags": [{"Key": key, "Value": value} for key, value in sorted({**ours, **named}.items())],
            }
            for kind in kinds
        ]
        return request


def give_names(ec2: Any, found: list[dict[str, Any]]) -> list[str]:
    """Write its Name on each instance that only its launch's roster names, and on its disks; the ids."""
    unnamed = [one for one in found if state_of(one) in ALIVE and name_of(one) and not tags_of(one).get("Name")]

    def write(one: dict[str, Any]) -> str:
        disks = [disk["Ebs"]["VolumeId"] for disk in one.get("BlockDeviceMappings", []) if "Ebs" in disk]
        name = [{"Key": "Name", "Value": name_of(one)}]
        patiently(ec2.create_tags, Resources=[one["InstanceId"], *disks], Tags=name)
        return one["InstanceId"]

    # Side by side, so that a class waits no longer than two machines do.
    with ThreadPoolExecutor(32) as pool:
        return list(pool.map(write, unnamed))


def settle_twins(ec2: Any, project: str, launched: dict[str, str], found: list[dict[str, Any]]) -> dict[str, str]:
    """Keep the oldest of each name that was launched twice, and terminate those that this run launched beside it.

    Gives name -> whose machine it is now.
    """
    lost: dict[str, str] = {}
    for name, them in by_name(found).items():
        mine = launched.get(name)
        if mine and them[0]["InstanceId"] != mine and mine in [one["InstanceId"] for one in them]:
            tags = tags_of(them[0])
            lost[name] = f"{them[0]['InstanceId']} of {tags.get('Owner', 'unknown')}"
            requests = [
                one["SpotInstanceRequestId"]
                for one in them
                if one["InstanceId"] == mine and one.get("SpotInstanceRequestId")
            ]
            if requests:
                patiently(ec2.cancel_spot_instance_requests, SpotInstanceRequestIds=requests)
            patiently(ec2.terminate_instances, InstanceIds=[mine])
    return lost


def taken_back(instance: dict[str, Any]) -> bool:
    """Whether it is a spot machine that EC2 has stopped for want of capacity."""
    return instance.get("StateReason", {}).get("Code") == "Server.SpotInstanceShutdown"


def start(ec2: Any, asleep: list[dict[str, Any]]) -> dict[str, str]:
    """Start what is stopped, all at once, or one by one when that fails for want of room; name -> why not."""
    ids = [one["InstanceId"] for one in asleep]
    if not ids:
        return {}
    try:
        # A spot request learns a little later than its machine that its user has stopped it.
        also = () if any(taken_back(one) for one in asleep) else ("spot-request",)
        patiently(ec2.start_instances, also=also, InstanceIds=ids)
        return {}
    except Exception as error:
        if kind_of(error) not in ("capacity", "quota", "spot-request"):
            raise Stop(error, f"to start {', '.join(name_of(one) for one in asleep[:5])}") from error
        if len(asleep) > 1:
            return {name: why for one in asleep for name, why in start(ec2, [one]).items()}
        one = asleep[0]
        if kind_of(error) == "quota":
            quota = quota_of(one["InstanceType"], "spot" if one.get("InstanceLifecycle") == "spot" else "on-demand")
            why = f'stays stopped: "{words_of(error)}"' + (
                f' (the quota "{quota.name}", {quota.code})' if quota else ""
            )
        elif kind_of(error) == "spot-request":
            why = (
                "was taken back by EC2, which starts a spot machine again by itself when it has room; until then it "
                "stays stopped with all that is on it. Run this again then. To go on elsewhere now, delete it by "
                "terminate.yml, which keeps its data volume if it has one, and launch it anew"
                if taken_back(one)
                else f"cannot be started yet: {words_of(error)}. Run this again in a minute"
            )
        else:
            why = (
                f"stays stopped with all that is on it: {one['Placement']['AvailabilityZone']}, where its disk is, has "
                f"no {one['InstanceType']} free now. Start it later, or bake an image of it and launch that elsewhere"
            )
        return {name_of(one): why}


def wait(ec2: Any, project: str, names: list[str], deadline: float, until: tuple[str, ...]) -> list[dict[str, Any]]:
    """The project's instances, once those called `names` are in one of the states or dead, or when time is up."""
    pause = 0.3
    while True:
        found = patiently(instances, ec2=ec2, project=project)
        alive = by_name(found)
        if all(state_of(alive[name][0]) in until for name in names if name in alive) or time.monotonic() > deadline:
            return found
        time.sleep(pause)
        pause = min(3.0, pause * 1.5)
