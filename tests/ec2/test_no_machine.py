"""Playbooks about machines that run, where none does: a play over no machine would say that all is well."""

from __future__ import annotations

import pytest
from conftest import Cloud

ABOUT_MACHINES = ["idle", "token", "tunnel", "update", "verify"]


@pytest.mark.parametrize("name", ABOUT_MACHINES)
def test_where_there_is_none_it_is_said_what_makes_one(cloud: Cloud, name: str) -> None:
    done = cloud.playbook(name)
    assert done.returncode == 2, done.stdout + done.stderr
    said = " ".join(done.stdout.split())
    assert "No machine of the inventory is meant by gluon, or none runs." in said
    assert "site.yml makes one." in said


def test_one_that_sleeps_is_named(cloud: Cloud) -> None:
    cloud.machines("reader")
    cloud.module("ec2_stop", project=cloud.project, names=["reader"], timeout=20)
    done = cloud.playbook("update")
    assert done.returncode == 2, done.stdout + done.stderr
    said = " ".join(done.stdout.split())
    assert "Asleep: reader;" in said
    assert "playbooks/start.yml starts them." in said


def test_a_name_that_no_machine_has_is_told_with_those_there_are(cloud: Cloud) -> None:
    cloud.machines("reader")
    done = cloud.playbook("idle", hosts="raeder")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "No machine of the inventory is meant by raeder. There are: reader." in " ".join(done.stdout.split())
