# MIT licence
"""Why a machine does not let SSH in, as far as EC2 can tell."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from .ec2_errors import code_of
from .ec2_project import state_of

CONSOLE_LINES = 8


def diagnosis(ec2: Any, instance_id: str, complaint: str, ssh_from: str) -> str:
    """What ssh said, and what EC2 shows that explains it. EC2 is asked, nothing is changed."""
    last = complaint.splitlines()[-1]
    if "Host key verification failed" in complaint:
        return (
            f"{last} Another machine answers at its address, or its host key was changed: nothing was sent to it. "
            "If you "
            "changed the key yourself, remove the machine's lines from known_hosts and run this again."
        )
    try:
        found = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    except Exception as error:
        return f"{last} ({instance_id} could not be looked at: {code_of(error)})"
    says = [last]
    for look in (_state, _groups, _route, _key, _status, _console):
        try:
            says += look(ec2, found, complaint, ssh_from)
        except Exception as error:
            says.append(f"({look.__name__[1:]}: {code_of(error)})")
    return "\n  ".join(says)


def _state(ec2: Any, found: dict[str, Any], complaint: str, ssh_from: str) -> list[str]:
    return [] if state_of(found) == "running" else [f"It is {state_of(found)}: start it again."]


def _groups(ec2: Any, found: dict[str, Any], complaint: str, ssh_from: str) -> list[str]:
    ids = [group["GroupId"] for group in found.get("SecurityGroups", [])]
    rules = [
        rule
        for group in ec2.describe_security_groups(GroupIds=ids)["SecurityGroups"]
        for rule in group["IpPermissions"]
    ]
    allowed = [
        source.get("CidrIp") or source.get("CidrIpv6")
        for rule in rules
        if rule["IpProtocol"] in ("tcp", "-1") and rule.get("FromPort", 0) <= 22 <= rule.get("ToPort", 65535)
        for source in [*rule.get("IpRanges", []), *rule.get("Ipv6Ranges", [])]
    ]
    if not allowed:
        return [f"Its security groups ({', '.join(ids)}) let nobody reach port 22."]
    if not ssh_from:
        return []
    mine = ipaddress.ip_network(ssh_from, strict=False)
    theirs = [ipaddress.ip_network(cidr) for cidr in allowed]
    if any(mine.version == network.version and mine.subnet_of(network) for network in theirs):
        return []
    return [
        f"Its security groups ({', '.join(ids)}) let {', '.join(allowed)} reach port 22, and this run comes from "
        f"{ssh_from}."
    ]


def _route(ec2: Any, found: dict[str, Any], complaint: str, ssh_from: str) -> list[str]:
    if not found.get("PublicIpAddress"):
        return [
            "It has no public address: is there a way to its private one (ec2_ssh_proxy_jump, "
            "ec2_ssh_proxy_command, a VPN)?"
        ]
    filters = [{"Name": "association.subnet-id", "Values": [found["SubnetId"]]}]
    tables = ec2.describe_route_tables(Filters=filters)["RouteTables"]
    if not tables:
        main = [{"Name": "vpc-id", "Values": [found["VpcId"]]}, {"Name": "association.main", "Values": ["true"]}]
        tables = ec2.describe_route_tables(Filters=main)["RouteTables"]
    routes = [route for table in tables for route in table["Routes"]]
    if any(str(route.get("GatewayId", "")).startswith("igw-") for route in routes):
        return []
    return [
        f"Its subnet {found['SubnetId']} has no route to an internet gateway: add one, or choose another in "
        "ec2_subnet_ids."
    ]


def _key(ec2: Any, found: dict[str, Any], complaint: str, ssh_from: str) -> list[str]:
    if "Permission denied" not in complaint:
        return []
    return [
        f"It was launched with the key pair {found.get('KeyName', 'none')}, which the SSH key used here does not "
        "open: name the right "
        "one in ec2_key_file. A machine whose key is lost can only be deleted."
    ]


def _status(ec2: Any, found: dict[str, Any], complaint: str, ssh_from: str) -> list[str]:
    told = ec2.describe_instance_status(InstanceIds=[found["InstanceId"]])["InstanceStatuses"]
    checks = {kind: one[kind]["Status"] for one in told for kind in ("InstanceStatus", "SystemStatus")}
    return (
        [f"EC2's status checks: {', '.join(f'{kind} {status}' for kind, status in checks.items())}."] if checks else []
    )


def _console(ec2: Any, found: dict[str, Any], complaint: str, ssh_from: str) -> list[str]:
    if "Permission denied" in complaint:
        return []
    output = ec2.get_console_output(InstanceId=found["InstanceId"]).get("Output", "")
    # The block of host keys is long and tells nothing here.
    output = re.sub(r"-----BEGIN SSH HOST KEY KEYS-----.*?-----END SSH HOST KEY KEYS-----", "", output, flags=re.DOTALL)
    tail = [line.strip()[:160] for line in output.splitlines() if line.strip()][-CONSOLE_LINES:]
    return ["The end of its console:", *(f"  | {line}" for line in tail)] if tail else ["Its console is empty."]
