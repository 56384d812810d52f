# MIT licence
"""The security group of a project: whether it is there just as it should be, which needs one question."""

from __future__ import annotations

from typing import Any

from .ec2_project import tags_of

ALL_OUT = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}


def found_groups(ec2: Any, project: str, vpc: str) -> list[dict[str, Any]]:
    """The groups of the project's name, in this VPC or, where that is empty, in any."""
    filters = [{"Name": "group-name", "Values": [project]}]
    if vpc:
        filters.append({"Name": "vpc-id", "Values": [vpc]})
    return ec2.describe_security_groups(Filters=filters)["SecurityGroups"]


def settled(groups: list[dict[str, Any]], tags: dict[str, str], ssh_from: str) -> str:
    """The id of the only group, where all of it is as it should be; empty where anything is to be done or told.

    ssh_from: the CIDR that reaches port 22, and nobody else does.
    """
    if len(groups) != 1:
        return ""
    (group,) = groups
    ranges = {"Ipv6Ranges": [{"CidrIpv6": ssh_from}]} if ":" in ssh_from else {"IpRanges": [{"CidrIp": ssh_from}]}
    in_by_ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, **ranges}
    as_it_should_be = (
        [_filled(rule) for rule in group["IpPermissions"]] == [in_by_ssh]
        and [_filled(rule) for rule in group["IpPermissionsEgress"]] == [ALL_OUT]
        and tags_of(group) == tags
        and group["Description"] == f"SSH to the machines of {group['GroupName']}"
    )
    return group["GroupId"] if as_it_should_be else ""


def _filled(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule without the lists of it that are empty."""
    return {key: value for key, value in rule.items() if value != []}
