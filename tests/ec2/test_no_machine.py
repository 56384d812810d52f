"""Playbooks about no machine: over none a play would say that all is well, and over all do what nobody meant."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Cloud

ABOUT_MACHINES = ["idle", "token", "tunnel", "update", "verify"]


def refused(cloud: Cloud, name: str, **variables: Any) -> str:
    done = cloud.playbook(name, **variables)
    assert done.returncode == 2, done.stdout + done.stderr
    return " ".join(done.stdout.split())


@pytest.mark.parametrize("name", ABOUT_MACHINES)
def test_where_there_is_none_it_is_said_what_makes_one(cloud: Cloud, name: str) -> None:
    said = refused(cloud, name)
    assert "No machine of the inventory is meant by gluon, or none runs." in said
    assert "site.yml makes one." in said


def test_one_that_sleeps_is_named(cloud: Cloud) -> None:
    cloud.machines("reader")
    cloud.module("ec2_stop", project=cloud.project, names=["reader"], timeout=20)
    said = refused(cloud, "update")
    assert "Asleep: reader;" in said
    assert "playbooks/start.yml starts them." in said


def test_a_name_that_no_machine_has_is_told_with_those_there_are(cloud: Cloud) -> None:
    cloud.machines("reader")
    assert "is meant by raeder. There are: reader." in refused(cloud, "idle", hosts="raeder")
    assert "is meant by raeder. There are: reader." in refused(cloud, "idle", only="raeder")


@pytest.mark.parametrize("name", ["bake", "class_start", "start", "status", "stop", "terminate", "token"])
def test_a_choice_that_is_empty_does_not_mean_all(cloud: Cloud, name: str) -> None:
    """As of -e only=$NAME, where the shell knows no NAME."""
    cloud.machines("reader")
    cloud.control.forget_requests()
    more = {"confirm": "yes", "image": "class", "roster": [{"name": "reader"}]}
    said = refused(cloud, name, only="", **more)
    assert "only= names no machine. Set it to some of reader, with commas between them, or leave it out." in said
    assert cloud.writes() == []


@pytest.mark.parametrize("given", [{"only": ", "}, {"only": []}, {"hosts": ""}, {"hosts": None}])
def test_nor_one_that_is_empty_otherwise(cloud: Cloud, given: dict[str, Any]) -> None:
    cloud.machines("reader")
    assert " names no machine. Set it to some of reader" in refused(cloud, "terminate", confirm="yes", **given)
    assert cloud.names("running") == ["reader"]
