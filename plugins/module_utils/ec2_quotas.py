# MIT licence
"""Whether the account's vCPU quotas leave room, and what to do when they do not."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from typing import Any

from .ec2_catalog import Quota, quota_of
from .ec2_errors import code_of

OPEN = ("PENDING", "CASE_OPENED")


class Usage:
    """Quotas and what counts against them, asked for at once and waited for when needed."""

    def __init__(self, client: Callable[[str], Any], quotas: Iterable[Quota], pool: Executor) -> None:
        self.ec2, self.quotas = client("ec2"), client("service-quotas")
        self._limits = {quota: pool.submit(self._limit, quota) for quota in quotas}
        self._running = pool.submit(self._vcpus)

    def _limit(self, quota: Quota) -> float | str:
        """What the quota allows, in vCPUs; the code of the error when it cannot be read."""
        try:
            return float(self.quotas.get_service_quota(ServiceCode="ec2", QuotaCode=quota.code)["Quota"]["Value"])
        except Exception as error:
            return code_of(error)

    def _vcpus(self) -> Counter[str]:
        """vCPUs that run or are about to, in the whole account, by quota code."""
        used: Counter[str] = Counter()
        pages = self.ec2.get_paginator("describe_instances").paginate(
            Filters=[{"Name": "instance-state-name", "Values": ["pending", "running"]}]
        )
        found = [one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"]]
        lacking = sorted({one["InstanceType"] for one in found if "CpuOptions" not in one})
        sizes = self._sizes(lacking) if lacking else {}
        for one in found:
            quota = quota_of(one["InstanceType"], "spot" if one.get("InstanceLifecycle") == "spot" else "on-demand")
            options = one.get("CpuOptions")
            size = options["CoreCount"] * options["ThreadsPerCore"] if options else sizes.get(one["InstanceType"], 0)
            if quota:
                used[quota.code] += size
        return used

    def _sizes(self, types: list[str]) -> dict[str, int]:
        pages = self.ec2.get_paginator("describe_instance_types").paginate(
            Filters=[{"Name": "instance-type", "Values": types}]
        )
        return {one["InstanceType"]: one["VCpuInfo"]["DefaultVCpus"] for page in pages for one in page["InstanceTypes"]}

    def limit(self, quota: Quota) -> float | None:
        found = self._limits[quota].result() if quota in self._limits else "unknown"
        return found if isinstance(found, float) else None

    def why_unknown(self, quota: Quota) -> str:
        found = self._limits[quota].result() if quota in self._limits else "unknown"
        return found if isinstance(found, str) else ""

    def used(self, quota: Quota) -> int:
        return self._running.result()[quota.code]


def quota_refusals(plan: Any, candidates: dict[str, list[dict[str, Any]]], asleep: list[dict[str, Any]]) -> list[str]:
    """Take out of `candidates` what no quota allows, and refuse when that leaves a machine without any."""
    need: Counter[Quota] = Counter()
    for machine in asleep:
        market = "spot" if machine.get("InstanceLifecycle") == "spot" else "on-demand"
        if quota := quota_of(machine["InstanceType"], market):
            need[quota] += plan.facts[machine["InstanceType"]]["VCpuInfo"]["DefaultVCpus"]
    refusals = [
        _sentence(plan, quota, vcpus, [], len(asleep)) for quota, vcpus in need.items() if _short(plan, quota, vcpus)
    ]
    full: dict[Quota, str] = {}
    # Each pass rules out at least one quota or ends.
    while True:
        wanted: Counter[Quota] = Counter(need)
        which: dict[Quota, list[str]] = {}
        for name, places in candidates.items():
            if places and (quota := quota_of(places[0]["instance_type"], places[0]["market"])):
                wanted[quota] += plan.facts[places[0]["instance_type"]]["VCpuInfo"]["DefaultVCpus"]
                which.setdefault(quota, []).append(name)
        short = [quota for quota in which if quota not in full and _short(plan, quota, wanted[quota])]
        if not short:
            break
        for quota in short:
            firsts = [candidates[name][0]["instance_type"] for name in which[quota]]
            full[quota] = _sentence(plan, quota, wanted[quota], firsts, len(firsts))
            for name, places in candidates.items():
                candidates[name] = [p for p in places if quota_of(p["instance_type"], p["market"]) != quota]
    if refusals or any(not places for places in candidates.values()):
        return [*refusals, *full.values()]
    plan.notes += full.values()
    unknown = {quota: plan.usage.why_unknown(quota) for quota in which if plan.usage.why_unknown(quota)}
    plan.notes += [
        f"The quota {quota.name} ({quota.code}) could not be read ({why})." for quota, why in unknown.items()
    ]
    return []


def _short(plan: Any, quota: Quota, vcpus: int) -> bool:
    limit = plan.usage.limit(quota)
    return limit is not None and plan.usage.used(quota) + vcpus > limit


def _sentence(plan: Any, quota: Quota, vcpus: int, types: list[str], machines: int) -> str:
    region, limit, used = plan.asked["region"], plan.usage.limit(quota) or 0, plan.usage.used(quota)
    counted = ", ".join(f"{count} {one}" for one, count in Counter(types).items()) or "starting what is stopped"
    each = vcpus / machines if machines else vcpus
    fit = max(0, math.floor((limit - used) / each)) if each else 0
    says = (
        f'The quota "{quota.name}" ({quota.code}) in {region} allows {limit:g} vCPUs, {used} are in use, and {counted} '
        f"need{'' if machines > 1 else 's'} {vcpus}"
        f"{f': {fit} of the {machines} fit' if machines > 1 else ''}"
    )
    if plan.asked["request_quota"]:
        return f"{says}. {request(plan, quota, used + vcpus)}"
    return (
        f"{says}; ask for {used + vcpus} or more (-e request_quota=yes does, or the page "
        f"https://{region}.console.aws.amazon.com/servicequotas/home/services/ec2/quotas/{quota.code}), name "
        "another family in "
        f"instance_types (ec2_instance_types; c5.xlarge runs the book on its processor), or fewer machines."
    )


def request(plan: Any, quota: Quota, wanted: int) -> str:
    """Ask AWS to raise a quota, unless that was asked before, and say how the request stands."""
    quotas = plan.usage.quotas
    try:
        told = quotas.request_service_quota_increase(
            ServiceCode="ec2", QuotaCode=quota.code, DesiredValue=float(wanted)
        )
        change = told["RequestedQuota"]
        return (
            f"An increase to {wanted} was requested just now, and is {change['Status']} (request {change['Id']}): "
            "run this again "
            "when AWS has answered, which takes minutes to some days."
        )
    except Exception as error:
        if code_of(error) != "ResourceAlreadyExistsException":
            return f"The increase to {wanted} could not be requested ({code_of(error)}): ask for it in the AWS console."
    history = quotas.list_requested_service_quota_change_history_by_quota(ServiceCode="ec2", QuotaCode=quota.code)
    changes = sorted(history["RequestedQuotas"], key=lambda change: str(change.get("Created", "")))
    change = next((one for one in reversed(changes) if one["Status"] in OPEN), changes[-1] if changes else None)
    if not change:
        return "An increase was requested before; the AWS console shows how it stands."
    return (
        f"An increase to {change['DesiredValue']:g} was requested before, and is {change['Status']} (request "
        f"{change['Id']}): "
        "run this again when AWS has answered."
    )
