"""DescribeInstances in pages of instances, as EC2 counts; moto counts reservations."""

import copy
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult, BaseResponse
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses.instances import InstanceResponse

from local_ec2.ec2.lifecycle import CHANGING
from local_ec2.ec2.wrap import wrap

LONGEST = 1000
ALL = "1000000"


def install() -> None:
    @wrap(BaseResponse, "call_action")
    def call_action(moto_call: Callable[..., Any], response: Any) -> Any:
        if response._get_action() != "DescribeInstances":
            return moto_call(response)
        with CHANGING:
            return moto_call(response)

    @wrap(InstanceResponse, "describe_instances")
    def describe_instances(moto_describe: Callable[..., Any], response: Any) -> ActionResult:
        size, token = response._get_int_param("MaxResults"), response._get_param("NextToken")
        if size is None:
            # EC2 ends a page there unasked
            size = LONGEST
        elif not 5 <= size <= LONGEST:
            raise EC2ClientError("InvalidParameterValue", f"Value ( {size} ) for parameter maxResults is invalid.")
        response.params["MaxResults"], response.params["NextToken"] = ALL, None
        found = moto_describe(response).result["Reservations"]
        begin = start(token)
        page, count = cut(found, begin, size)
        end = begin + size
        return ActionResult({"Reservations": page, "NextToken": f"after-{end}" if count > end else None})


def start(token: str | None) -> int:
    if not token:
        return 0
    word, _, number = token.partition("-")
    if word != "after" or not number.isdigit():
        raise EC2ClientError("InvalidParameterValue", "Unable to parse pagination token")
    return int(number)


def cut(reservations: list[Any], begin: int, size: int) -> tuple[list[Any], int]:
    """The reservations with the instances from `begin` on, so many at most, and how many instances there are in all."""
    page, count = [], 0
    for reservation in reservations:
        low, high = max(begin - count, 0), max(begin + size - count, 0)
        inside = reservation.instances[low:high]
        count += len(reservation.instances)
        if inside:
            part = copy.copy(reservation)
            part.instances = inside
            page.append(part)
    return page, count
