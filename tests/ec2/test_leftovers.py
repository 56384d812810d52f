"""What a project has left, each kind of it."""

from __future__ import annotations

from typing import Any

import pytest
from belongings import Belongings
from conftest import PRICES, Cloud

KINDS = {
    "volume": ("volume", ["reader"], 0.8, "delete-volume --volume-id"),
    "address": ("address", [], 3.65, "release-address --allocation-id"),
    "key": ("key pair", [], 0, "delete-key-pair --key-pair-id"),
    "group": ("security group", [], 0, "delete-security-group --group-id"),
    "interface": ("network interface", [], 0, "delete-network-interface --network-interface-id"),
    "spot_request": ("spot request", [], None, "cancel-spot-instance-requests --spot-instance-request-ids"),
}


@pytest.fixture
def its(cloud: Cloud) -> Belongings:
    return Belongings(cloud)


def leftovers(cloud: Cloud, **options: Any) -> dict[str, Any]:
    asked = {"project": cloud.project, "price_table": PRICES, "timeout": 10}
    result = cloud.module("ec2_leftovers", **asked | options)
    assert "left" in result, result
    return result


def terminate(cloud: Cloud, *names: str) -> dict[str, Any]:
    return cloud.module("ec2_stop", project=cloud.project, names=list(names), state="terminated", timeout=20)


def left(cloud: Cloud, **options: Any) -> set[tuple[str, str]]:
    return {(thing["kind"], thing["id"]) for thing in leftovers(cloud, **options)["left"]}


@pytest.mark.parametrize("maker", KINDS)
def test_each_kind_is_listed_with_its_cost_and_the_command_that_removes_it(
    cloud: Cloud, its: Belongings, maker: str
) -> None:
    kind, arguments, usd, command = KINDS[maker]
    id = getattr(its, maker)(*arguments)
    (thing,) = leftovers(cloud)["left"]
    assert (thing["kind"], thing["id"], thing["usd_month"]) == (kind, id, usd)
    assert thing["command"] == f"aws ec2 --region us-east-1 {command} {id}"
    assert thing["why"]


def test_images_and_their_snapshots_are_left_unless_kept(cloud: Cloud, its: Belongings) -> None:
    cloud.machines("reader")
    image = its.image(cloud.instances()[0]["InstanceId"], f"{cloud.project}-baked")
    terminate(cloud, "reader")
    assert {kind for kind, _ in left(cloud)} == {"image", "snapshot"}
    result = leftovers(cloud, keep=["data", "images"])
    assert result["left"] == []
    assert {(one["kind"], one["belongs"]) for one in result["kept"]} == {("image", "images"), ("snapshot", "images")}
    assert image in {one["id"] for one in result["kept"]}


def test_data_volumes_and_their_snapshots_are_kept_by_default(cloud: Cloud, its: Belongings) -> None:
    volume = its.data_volume("reader")
    snapshot = its.snapshot(volume, Kind="data")
    result = leftovers(cloud)
    assert (result["left"], {one["id"] for one in result["kept"]}) == ([], {volume, snapshot})
    assert left(cloud, keep=[]) == {("volume", volume), ("snapshot", snapshot)}


def test_a_snapshot_of_no_image_is_an_orphan(cloud: Cloud, its: Belongings) -> None:
    cloud.machines("reader")
    snapshot = its.snapshot(its.data_volume("reader"), Kind="image")
    assert left(cloud) == {("snapshot", snapshot)}


def test_while_machines_live_only_orphans_are_left(cloud: Cloud, its: Belongings) -> None:
    cloud.machines("reader")
    its.key(), its.group(), its.data_volume("reader")
    its.image(cloud.instances()[0]["InstanceId"], f"{cloud.project}-baked")
    orphan = its.volume("lost")
    result = leftovers(cloud)
    assert [(thing["kind"], thing["id"]) for thing in result["left"]] == [("volume", orphan)]
    assert result["machines"] == ["reader"]


def test_a_machine_that_should_be_gone_is_left(cloud: Cloud) -> None:
    cloud.machines("reader", "bob")
    ids = {tag["Value"]: one["InstanceId"] for one in cloud.instances() for tag in one["Tags"] if tag["Key"] == "Name"}
    assert left(cloud, gone=[ids["bob"]]) == {("instance", ids["bob"])}


def test_a_machine_that_came_back_under_its_name_is_left(cloud: Cloud) -> None:
    cloud.machines("bob")
    (before,) = cloud.instances()
    terminate(cloud, "bob")
    cloud.machines("bob")
    (after,) = cloud.instances()
    assert left(cloud, gone=[before["InstanceId"]]) == {("instance", after["InstanceId"])}


def test_what_goes_with_a_terminated_machine_is_not_left(cloud: Cloud) -> None:
    cloud.machines("reader")
    assert left(cloud, gone=terminate(cloud, "reader")["instance_ids"]) == set()


def test_other_peoples_things_are_not_judged(cloud: Cloud, its: Belongings) -> None:
    tags = [{"Key": "Project", "Value": cloud.project}]
    its.ec2.create_volume(
        AvailabilityZone="us-east-1a", Size=1, TagSpecifications=[{"ResourceType": "volume", "Tags": tags}]
    )
    assert leftovers(cloud)["things"] == []


def test_the_lines_name_what_is_left_what_is_kept_and_the_commands(cloud: Cloud, its: Belongings) -> None:
    orphan, data = its.volume("lost"), its.data_volume("reader")
    lines = leftovers(cloud)["lines"]
    assert lines[0] == "  Left over:"
    assert orphan in lines[1]
    assert f"    aws ec2 --region us-east-1 delete-volume --volume-id {orphan}" in lines
    assert lines[-2] == "  Kept on purpose:"
    assert data in lines[-1]
    assert "8.00 USD/month" in lines[-1]


def test_it_only_reads_and_asks_each_thing_once(cloud: Cloud, its: Belongings) -> None:
    its.volume("lost")
    cloud.control.forget_requests()
    leftovers(cloud)
    assert cloud.writes() == []
    assert len(cloud.control.requests()) == 9
