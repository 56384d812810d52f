"""When a project's security group needs nothing done."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from plugins.module_utils.ec2_group import settled

TAGS = {"Project": "course", "Owner": "teacher", "ManagedBy": "gluon-ec2"}
# As EC2 tells it.
REST = {"UserIdGroupPairs": [], "PrefixListIds": []}
GROUP = {
    "GroupId": "sg-1",
    "GroupName": "course",
    "Description": "SSH to the machines of course",
    "Tags": [{"Key": key, "Value": value} for key, value in TAGS.items()],
    "IpPermissions": [
        {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "192.0.2.7/32"}], "Ipv6Ranges": []}
        | REST
    ],
    "IpPermissionsEgress": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}], "Ipv6Ranges": []} | REST],
}


def test_one_that_is_as_it_should_be_is_told() -> None:
    assert settled([GROUP], TAGS, "192.0.2.7/32") == "sg-1"


def test_one_for_an_address_of_the_newer_kind_too() -> None:
    group = copy.deepcopy(GROUP)
    group["IpPermissions"][0] |= {"IpRanges": [], "Ipv6Ranges": [{"CidrIpv6": "2001:db8::7/128"}]}
    assert settled([group], TAGS, "2001:db8::7/128") == "sg-1"


@pytest.mark.parametrize(
    "change",
    [
        lambda group: group["IpPermissions"].clear(),
        lambda group: group["IpPermissions"].append(group["IpPermissionsEgress"][0]),
        lambda group: group["IpPermissions"][0].update(ToPort=23),
        lambda group: group["IpPermissions"][0]["IpRanges"].append({"CidrIp": "198.51.100.0/24"}),
        lambda group: group["IpPermissions"][0]["IpRanges"][0].update(CidrIp="0.0.0.0/0"),
        lambda group: group["IpPermissions"][0]["IpRanges"][0].update(Description="mine"),
        lambda group: group["IpPermissions"][0]["Ipv6Ranges"].append({"CidrIpv6": "::/0"}),
        lambda group: group["IpPermissions"][0].update(UserIdGroupPairs=[{"GroupId": "sg-2"}]),
        lambda group: group["IpPermissions"][0].update(PrefixListIds=[{"PrefixListId": "pl-1"}]),
        lambda group: group["IpPermissionsEgress"].clear(),
        lambda group: group["IpPermissionsEgress"][0].update(IpProtocol="tcp"),
        lambda group: group["Tags"].pop(),
        lambda group: group["Tags"].append({"Key": "Mine", "Value": "yes"}),
        lambda group: group["Tags"][1].update(Value="somebody else"),
        lambda group: group.update(Description="by hand"),
    ],
)
def test_one_that_differs_anywhere_is_not(change: Callable[[dict[str, Any]], Any]) -> None:
    group = copy.deepcopy(GROUP)
    change(group)
    assert settled([group], TAGS, "192.0.2.7/32") == ""


def test_neither_is_none_nor_one_of_several() -> None:
    assert settled([], TAGS, "192.0.2.7/32") == settled([GROUP, GROUP], TAGS, "192.0.2.7/32") == ""
