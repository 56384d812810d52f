"""start.yml and class_start.yml: what was stopped runs again, and nothing is launched. Nobody answers SSH here."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from conftest import BRIEFLY, Cloud
from test_role import lines_of

ROSTER = [{"name": "Li Wei"}, {"name": "Chen"}]


def stopped(cloud: Cloud, *names: str) -> None:
    cloud.machines(*names)
    cloud.module("ec2_stop", project=cloud.project, names=list(names), timeout=20)
    cloud.control.forget_requests()


def start(cloud: Cloud, playbook: str = "start", **variables: Any) -> subprocess.CompletedProcess[str]:
    """Run it; it fails in the end, as nobody answers."""
    done = cloud.playbook(playbook, **BRIEFLY, **variables)
    assert done.returncode == 2
    assert cloud.calls("RunInstances") == 0, "it launched a machine"
    return done


def running(cloud: Cloud) -> list[str]:
    return cloud.names("running")


def test_where_there_is_none_it_is_said_what_makes_one(cloud: Cloud) -> None:
    cloud.control.forget_requests()
    said = lines_of(start(cloud).stdout)
    assert "There is no machine to start." in said
    assert "site.yml makes one." in said
    assert cloud.writes() == []


def test_what_is_not_there_is_left_out(cloud: Cloud) -> None:
    stopped(cloud, "bob")
    start(cloud, machines=[{"name": "reader"}, {"name": "bob"}])
    assert running(cloud) == ["bob"]


def test_those_that_are_named_are_started(cloud: Cloud) -> None:
    stopped(cloud, "reader", "bob", "carol")
    start(cloud, only="bob,carol")
    assert running(cloud) == ["bob", "carol"]


def test_all_of_the_project_are_started(cloud: Cloud) -> None:
    stopped(cloud, "reader", "bob")
    start(cloud, all="yes")
    assert running(cloud) == ["bob", "reader"]


@pytest.mark.parametrize("playbook", ["start", "provision"])
def test_a_name_that_no_machine_has_is_told_with_those_there_are(cloud: Cloud, playbook: str) -> None:
    stopped(cloud, "reader")
    said = lines_of(start(cloud, playbook, only="raeder").stdout)
    assert "only=raeder: no machine is called raeder. Set it to some of reader, with commas between them" in said
    assert (", or add it to machines." in said) == (playbook == "provision")
    assert running(cloud) == []


def test_machines_that_are_nonsense_are_not_started(cloud: Cloud) -> None:
    stopped(cloud, "reader")
    assert "There is no machine to start." in lines_of(start(cloud, machines=3).stdout)


def test_a_student_without_a_machine_gets_none(cloud: Cloud) -> None:
    stopped(cloud, "li-wei", "reader")
    done = start(cloud, "class_start", roster=ROSTER)
    assert running(cloud) == ["li-wei"]
    assert "chen (Chen): is not there: class.yml launches it" in lines_of(done.stdout)


def test_one_student_of_a_class(cloud: Cloud) -> None:
    stopped(cloud, "li-wei", "chen")
    done = start(cloud, "class_start", roster=ROSTER, only="chen")
    assert running(cloud) == ["chen"]
    assert "ready 0 of 1" in lines_of(done.stdout)
    assert "chea" in lines_of(cloud.playbook("class_start", roster=ROSTER, only="chea").stdout)
