"""Playbooks about machines that run, where none does: a play over no machine would say that all is well."""

from __future__ import annotations

import pytest
from conftest import Cloud

ABOUT_MACHINES = ["idle", "token", "tunnel", "update", "verify"]


def refused(cloud: Cloud, name: str, **variables: str) -> str:
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
