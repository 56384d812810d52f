"""Waiting for a machine and an image."""

from __future__ import annotations

import threading

import pytest
from belongings import Belongings
from conftest import Cloud


def test_a_machine_comes_to_its_state(cloud: Cloud) -> None:
    cloud.machines("reader")
    machine = cloud.instances()[0]["InstanceId"]
    switch = threading.Timer(2, lambda: cloud.client().stop_instances(InstanceIds=[machine]))
    switch.start()
    try:
        told = cloud.module("ec2_wait", instance_id=machine, states=["stopped", "terminated"], timeout=30)
    finally:
        switch.join()
    assert (told["state"], told["changed"]) == ("stopped", False)


def test_check_mode_looks_once(cloud: Cloud) -> None:
    cloud.machines("reader")
    machine = cloud.instances()[0]["InstanceId"]
    assert cloud.module("ec2_wait", check=True, instance_id=machine, states=["stopped"])["state"] == "running"


def test_a_machine_that_is_not_known_is_gone(cloud: Cloud) -> None:
    told = cloud.module("ec2_wait", instance_id="i-0123456789abcdef0", states=["stopped", "terminated"])
    assert told["state"] == "terminated"


def test_an_image_is_waited_for(cloud: Cloud) -> None:
    cloud.machines("reader")
    machine, name = cloud.instances()[0]["InstanceId"], f"{cloud.project}-baked"
    late = threading.Timer(2, lambda: Belongings(cloud).image(machine, name))
    late.start()
    try:
        told = cloud.module("ec2_wait", image_name=name, states=["available", "failed"], timeout=30)
    finally:
        late.join()
    assert told["state"] == "available"


@pytest.mark.parametrize("what", [{"image_name": "nobody's"}, {}])
def test_time_runs_out(cloud: Cloud, what: dict[str, str]) -> None:
    cloud.machines("reader")
    what = what or {"instance_id": cloud.instances()[0]["InstanceId"]}
    state = "pending" if "image_name" in what else "running"
    told = cloud.module("ec2_wait", **what, states=["stopped", "available"], timeout=1)
    assert told["failed"] and f"After 1 s {next(iter(what.values()))} is still {state}." in told["msg"]


def test_one_thing_is_named(cloud: Cloud) -> None:
    assert "one of the following is required: instance_id, image_name" in cloud.module("ec2_wait", states=["x"])["msg"]
