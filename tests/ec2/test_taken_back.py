"""Spot machines that are stopped, by EC2 or by their user, and started again."""

from __future__ import annotations

from conftest import SOON, Cloud


def test_a_spot_machine_that_ec2_took_back_keeps_no_other_from_starting(cloud: Cloud) -> None:
    """D6."""
    cloud.machines("a", "b", places=cloud.places(market="spot"))
    ids = {tag["Value"]: one["InstanceId"] for one in cloud.instances() for tag in one["Tags"] if tag["Key"] == "Name"}
    cloud.control.interrupt(ids["a"])
    cloud.client().stop_instances(InstanceIds=[ids["b"]])
    cloud.client().get_waiter("instance_stopped").wait(InstanceIds=list(ids.values()), WaiterConfig=SOON)
    result = cloud.machines("a", "b")
    assert (result["started"], result["launched"]) == (["b"], [])
    assert result["failed_machines"]["a"].startswith("was taken back by EC2")


def test_a_spot_request_that_lags_behind_its_machine_is_waited_for(cloud: Cloud) -> None:
    cloud.machines("reader", places=cloud.places(market="spot"))
    cloud.client().stop_instances(InstanceIds=[cloud.instances()[0]["InstanceId"]])
    cloud.control.fail("StartInstances", "IncorrectSpotRequestState", times=2)
    assert cloud.machines("reader")["started"] == ["reader"]
