"""What the inventory makes of an instance."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugins/inventory"))

from gluon_ec2 import leave_out_unused, named, variables

MORNING = datetime(2026, 11, 25, 8, tzinfo=UTC)


def instance(number: int = 1, minutes: int = 0, tags: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """An instance as boto3 tells it, launched some minutes after 8."""
    return {
        "InstanceId": f"i-{number:017x}",
        "InstanceType": "g4dn.xlarge",
        "ImageId": "ami-0123456789abcdef0",
        "LaunchTime": MORNING + timedelta(minutes=minutes),
        "Placement": {"AvailabilityZone": "us-east-1a", "Tenancy": "default"},
        "State": {"Code": 16, "Name": "running"},
        "PrivateIpAddress": "172.31.0.4",
        "Tags": [{"Key": key, "Value": value} for key, value in (tags or {}).items()],
    } | more


def names(*instances: dict[str, Any], taken: tuple[str, ...] = ()) -> dict[str, str]:
    """Host names by instance id."""
    return {one["InstanceId"]: name for name, one, _ in named(instances, set(taken))}


def test_a_machine_has_the_name_of_its_tag() -> None:
    assert names(instance(1, tags={"Name": "reader_1-a"})) == {"i-00000000000000001": "reader_1-a"}


@pytest.mark.parametrize(
    "odd",
    ["my machine", "中文", "-leading", "a" * 64, "{{ 1 }}", "a\nb", "a:b", "a,b", "i-00000000000000002", "*", "a/../b"],
)
def test_a_name_that_is_none_for_a_host_is_replaced_by_the_id_and_told(odd: str) -> None:
    ((name, _, why),) = named([instance(1, tags={"Name": odd})], set())
    assert name == "i-00000000000000001"
    assert repr(odd) in why


def test_a_machine_without_a_name_goes_by_its_id_and_nothing_is_told() -> None:
    ((name, _, why),) = named([instance(1)], set())
    assert (name, why) == ("i-00000000000000001", "")


def test_the_older_of_two_keeps_the_name() -> None:
    younger, older = instance(1, 5, {"Name": "reader"}), instance(2, 0, {"Name": "reader"})
    expected = {older["InstanceId"]: "reader", younger["InstanceId"]: younger["InstanceId"]}
    assert names(younger, older) == names(older, younger) == expected
    told = [why for _, _, why in named([younger, older], set()) if why]
    assert told == ["i-00000000000000001 is called 'reader', but the older i-00000000000000002 has that name"]


def test_of_two_of_one_minute_the_lower_id_keeps_the_name() -> None:
    assert names(instance(2, tags={"Name": "a"}), instance(1, tags={"Name": "a"}))["i-00000000000000001"] == "a"


@pytest.mark.parametrize("taken", ["localhost", "gluon", "all"])
def test_a_name_that_the_inventory_uses_is_not_given_to_a_machine(taken: str) -> None:
    assert names(instance(1, tags={"Name": taken}), taken=(taken,)) == {"i-00000000000000001": "i-00000000000000001"}


def test_a_machine_of_a_batch_has_its_place_in_the_roster_until_it_has_a_name() -> None:
    batch = [instance(n, tags={"Names": "alice bob"}, AmiLaunchIndex=n) for n in range(3)]
    batch[1]["Tags"].append({"Key": "Name", "Value": "robert"})
    assert list(names(*batch).values()) == ["alice", "robert", "i-00000000000000002"]


def test_a_machine_is_reached_at_its_public_address_or_else_the_private_one() -> None:
    assert variables(instance())["ansible_host"] == "172.31.0.4"
    assert variables(instance(PublicIpAddress="203.0.113.7"))["ansible_host"] == "203.0.113.7"


def test_a_machine_without_an_address_claims_none() -> None:
    """FAULTS D18."""
    pending = instance()
    del pending["PrivateIpAddress"]
    assert "ansible_host" not in variables(pending)


def test_the_login_user_is_a_user_name() -> None:
    assert variables(instance(tags={"LoginUser": "admin"}))["ansible_user"] == "admin"
    assert variables(instance(tags={"LoginUser": "-oProxyCommand=id"}))["ansible_user"] == "ubuntu"


def test_spot_can_be_told_from_on_demand() -> None:
    assert variables(instance(InstanceLifecycle="spot"))["aws_instance_lifecycle"] == "spot"
    assert variables(instance())["aws_instance_lifecycle"] == "on-demand"


def test_what_playbooks_and_group_vars_use_is_there() -> None:
    found = variables(instance(tags={"Owner": "someone"}))
    assert found["aws_instance_id"] == "i-00000000000000001"
    assert found["aws_placement"]["availability_zone"] == "us-east-1a"
    assert found["aws_state"]["name"] == "running"
    assert found["aws_launch_time"] == "2026-11-25T08:00:00+00:00"
    assert found["aws_tags"] == {"Owner": "someone"}


def test_the_variables_of_a_host_are_small() -> None:
    tags = {f"key-{n}": "a value of thirty-two characters" for n in range(20)}
    assert len(json.dumps(variables(instance(tags=tags)))) <= 2048


def test_only_disks_and_interfaces_are_left_out_of_an_answer() -> None:
    before = b"<a/><blockDeviceMapping><item>\n1</item></blockDeviceMapping><tagSet/><networkInterfaceSet/><b/>"
    after = {"body": before.replace(b"<networkInterfaceSet/>", b"<networkInterfaceSet>2</networkInterfaceSet>")}
    leave_out_unused(response_dict=after)
    assert after["body"] == b"<a/><tagSet/><b/>"
