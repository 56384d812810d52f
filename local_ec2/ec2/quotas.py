"""Service quotas of vCPUs: what they are, what is in use, and requests to raise them."""

import dataclasses
import json
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.servicequotas.responses import ServiceQuotasResponse

from local_ec2.ec2.wrap import wrap

SERVICE = "ec2"
SERVICE_NAME = "Amazon Elastic Compute Cloud (Amazon EC2)"
ACCOUNT = "123456789012"
SPOT = "spot"
COUNTED = ("pending", "running")
LONGEST_PAGE = 100


@dataclasses.dataclass(frozen=True)
class Quota:
    """default: what AWS gives a new account. given: what this one has from the start."""

    code: str
    name: str
    default: float
    given: float


STANDARD = "Standard (A, C, D, H, I, M, R, T, Z)"
QUOTAS = {
    quota.code: quota
    for quota in (
        Quota("L-1216C47A", f"Running On-Demand {STANDARD} instances", 5, 10000),
        Quota("L-34B43A08", f"All {STANDARD} Spot Instance Requests", 5, 10000),
        Quota("L-DB2E81BA", "Running On-Demand G and VT instances", 0, 4000),
        Quota("L-3819A6DF", "All G and VT Spot Instance Requests", 0, 4000),
        Quota("L-417A185B", "Running On-Demand P instances", 0, 4000),
        Quota("L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests", 0, 4000),
        Quota("L-C4BD4855", "All P5 Spot Instance Requests", 0, 4000),
        Quota("L-7295265B", "Running On-Demand X instances", 0, 4000),
        Quota("L-E3A00192", "All X Spot Instance Requests", 0, 4000),
        Quota("L-74FC7D96", "Running On-Demand F instances", 0, 1000),
        Quota("L-88CF9481", "All F Spot Instance Requests", 0, 1000),
        Quota("L-1945791B", "Running On-Demand Inf instances", 0, 1000),
        Quota("L-B5D1601B", "All Inf Spot Instance Requests", 0, 1000),
        Quota("L-2C3B7624", "Running On-Demand Trn instances", 0, 1000),
        Quota("L-6B0D517C", "All Trn Spot Instance Requests", 0, 1000),
        Quota("L-6E869C2A", "Running On-Demand DL instances", 0, 1000),
        Quota("L-F7808C92", "Running On-Demand HPC instances", 192, 1000),
    )
}
# The quota of a type by the letters that its family begins with: on demand, and spot.
FAMILIES: dict[str, tuple[str, str | None]] = {
    **dict.fromkeys(("a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"), ("L-1216C47A", "L-34B43A08")),
    **dict.fromkeys(("g", "gr", "vt"), ("L-DB2E81BA", "L-3819A6DF")),
    "p": ("L-417A185B", "L-7212CCBC"),
    "x": ("L-7295265B", "L-E3A00192"),
    "f": ("L-74FC7D96", "L-88CF9481"),
    "inf": ("L-1945791B", "L-B5D1601B"),
    "trn": ("L-2C3B7624", "L-6B0D517C"),
    "dl": ("L-6E869C2A", None),
    "hpc": ("L-F7808C92", None),
}


def quota_of(instance_type: str, market: str) -> str | None:
    """The code of the quota that a machine counts for; None for families without one here."""
    if market == SPOT and instance_type.startswith("p5"):
        return "L-C4BD4855"
    on_demand, spot = FAMILIES.get(re.match("[a-z]*", instance_type)[0], (None, None))
    return spot if market == SPOT else on_demand


def vcpus(instance_type: str) -> int:
    return INSTANCE_TYPES[instance_type]["VCpuInfo"]["DefaultVCpus"]


class Quotas:
    """The values in force, the same in every region, and the requests to raise them by region."""

    def __init__(self) -> None:
        self._values: dict[str, float] = {}
        self._cases: dict[str, list[dict[str, Any]]] = {}

    def value(self, code: str) -> float:
        return self._values.get(code, QUOTAS[code].given)

    def set(self, values: dict[str, float]) -> None:
        """Raises KeyError for a code that is not among the quotas."""
        self._values |= {QUOTAS[code].code: float(value) for code, value in values.items()}

    def clear(self) -> None:
        self._values.clear()
        self._cases.clear()

    def listed(self) -> dict[str, float]:
        return {code: self.value(code) for code in QUOTAS}

    def check(self, backend: Any, instance_type: str, market: str, count: int) -> None:
        """Raise EC2's error if so many more would be more than the quota allows."""
        code = quota_of(instance_type, market)
        if code is None:
            return
        used = sum(
            vcpus(one.instance_type)
            for one in backend.all_instances()
            if one.state in COUNTED and quota_of(one.instance_type, one.lifecycle or "") == code
        )
        limit = self.value(code)
        if used + count * vcpus(instance_type) <= limit:
            return
        if market == SPOT:
            raise EC2ClientError("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded")
        raise EC2ClientError(
            "VcpuLimitExceeded",
            f"You have requested more vCPU capacity than your current vCPU limit of {limit:.0f} allows for the instance"
            " bucket that the specified instance type belongs to. Please visit"
            " http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.",
        )

    def described(self, code: str, region: str, default: bool = False) -> dict[str, Any]:
        quota = QUOTAS[code]
        return {
            **named(code, region),
            "Value": float(quota.default) if default else float(self.value(code)),
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
            "QuotaAppliedAtLevel": "ACCOUNT",
        }

    def ask(self, code: str, value: float, region: str) -> dict[str, Any]:
        """Open a case. It stays open: nobody decides here."""
        if any(case["QuotaCode"] == code for case in self.cases(region)):
            raise JsonRESTError(
                "ResourceAlreadyExistsException",
                "Only one open service quota increase request is allowed per quota.",
            )
        if value <= self.value(code):
            raise JsonRESTError(
                "IllegalArgumentException",
                "You must provide a quota value greater than the current quota value.",
            )
        now = time.time()
        case = {
            **named(code, region),
            "Id": uuid.uuid4().hex,
            "CaseId": str(uuid.uuid4().int)[:12],
            "DesiredValue": float(value),
            "Status": "PENDING",
            "Created": now,
            "LastUpdated": now,
            "Requester": json.dumps({"accountId": ACCOUNT, "callerArn": f"arn:aws:iam::{ACCOUNT}:user/local"}),
            "GlobalQuota": False,
            "Unit": "None",
            "QuotaRequestedAtLevel": "ACCOUNT",
        }
        self._cases.setdefault(region, []).append(case)
        return case

    def cases(self, region: str) -> list[dict[str, Any]]:
        return self._cases.get(region, [])


def named(code: str, region: str) -> dict[str, str]:
    return {
        "ServiceCode": SERVICE,
        "ServiceName": SERVICE_NAME,
        "QuotaCode": code,
        "QuotaName": QUOTAS[code].name,
        "QuotaArn": f"arn:aws:servicequotas:{region}:{ACCOUNT}:{SERVICE}/{code}",
    }


def page(key: str, found: list[Any], asked: dict[str, Any]) -> str:
    """An answer with a list, in pages of the size that was asked for."""
    token, size = asked.get("NextToken") or "0", min(int(asked.get("MaxResults") or LONGEST_PAGE), LONGEST_PAGE)
    if not token.isdigit():
        raise JsonRESTError("InvalidPaginationTokenException", "Invalid token was used.")
    end = int(token) + size
    more = {"NextToken": str(end)} if end < len(found) else {}
    return json.dumps({key: found[int(token) : end], **more})


def install(quotas: Quotas) -> None:
    """Answer for EC2's quotas; those of VPCs stay moto's."""

    def known(asked: dict[str, Any]) -> str:
        code = asked.get("QuotaCode")
        if asked.get("ServiceCode") != SERVICE or code not in QUOTAS:
            raise JsonRESTError("NoSuchResourceException", "The request failed because the quota does not exist.")
        return code

    def answer(name: str) -> Callable[[Callable[[Any, dict[str, Any]], str]], None]:
        def add(act: Callable[[Any, dict[str, Any]], str]) -> None:
            setattr(ServiceQuotasResponse, name, lambda response: act(response, json.loads(response.body)))

        return add

    @wrap(ServiceQuotasResponse, "get_service_quota")
    def get_service_quota(moto_get: Callable[..., str], response: Any) -> str:
        asked = json.loads(response.body)
        if asked.get("ServiceCode") != SERVICE:
            return moto_get(response)
        return json.dumps({"Quota": quotas.described(known(asked), response.region)})

    @wrap(ServiceQuotasResponse, "list_aws_default_service_quotas")
    def list_defaults(moto_list: Callable[..., str], response: Any) -> str:
        asked = json.loads(response.body)
        if asked.get("ServiceCode") != SERVICE:
            return moto_list(response)
        return page("Quotas", [quotas.described(code, response.region, default=True) for code in QUOTAS], asked)

    @answer("list_service_quotas")
    def list_quotas(response: Any, asked: dict[str, Any]) -> str:
        found = [quotas.described(code, response.region) for code in QUOTAS if asked.get("ServiceCode") == SERVICE]
        return page("Quotas", found, asked)

    @answer("get_aws_default_service_quota")
    def get_default(response: Any, asked: dict[str, Any]) -> str:
        return json.dumps({"Quota": quotas.described(known(asked), response.region, default=True)})

    @answer("request_service_quota_increase")
    def request_increase(response: Any, asked: dict[str, Any]) -> str:
        return json.dumps({"RequestedQuota": quotas.ask(known(asked), float(asked["DesiredValue"]), response.region)})

    @answer("get_requested_service_quota_change")
    def get_change(response: Any, asked: dict[str, Any]) -> str:
        found = [case for case in quotas.cases(response.region) if case["Id"] == asked["RequestId"]]
        if not found:
            raise JsonRESTError("NoSuchResourceException", "The specified resource does not exist.")
        return json.dumps({"RequestedQuota": found[0]})

    def history(response: Any, asked: dict[str, Any]) -> str:
        wanted = {"ServiceCode": asked.get("ServiceCode"), "QuotaCode": asked.get("QuotaCode")}
        wanted["Status"] = asked.get("Status")
        found = [
            case
            for case in quotas.cases(response.region)
            if all(value in (None, case[key]) for key, value in wanted.items())
        ]
        return page("RequestedQuotas", found, asked)

    answer("list_requested_service_quota_change_history")(history)
    answer("list_requested_service_quota_change_history_by_quota")(history)
