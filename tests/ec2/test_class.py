"""A class's playbooks under faults: what they say, and what they leave to others. Nobody answers SSH here."""

from __future__ import annotations

import pytest
from conftest import BRIEFLY, Cloud
from test_role import lines_of

ROSTER = [{"name": "Li Wei", "email": "li@example.org"}, {"name": "Chen", "type": "c5.large"}]


def test_all_that_is_wrong_with_the_roster_is_said_before_anything_is_asked(cloud: Cloud) -> None:
    cloud.control.forget_requests()
    done = cloud.playbook("class", roster=[{"name": "Li Wei", "mail": "x"}, {"name": "Chen", "email": "chen"}])
    assert done.returncode == 2
    assert "there are name, email, type, machine" in lines_of(done.stdout)
    assert 'the e-mail address "chen"' in lines_of(done.stdout)
    assert cloud.writes() == []
    assert cloud.control.requests("DescribeInstanceTypes") == []


def test_a_class_without_a_roster_is_none(cloud: Cloud) -> None:
    for playbook in ("class", "collect"):
        done = cloud.playbook(playbook)
        assert done.returncode == 2
        assert "Name a file with -e roster=roster.yml" in lines_of(done.stdout)
    assert cloud.names() == []


def test_only_those_who_are_named_get_a_machine(cloud: Cloud) -> None:
    done = cloud.playbook("class", **BRIEFLY, roster=ROSTER, only="chen")
    assert done.returncode == 2
    assert cloud.names() == ["chen"]
    assert "ready 0 of 1" in lines_of(done.stdout)


@pytest.mark.slow
def test_who_has_no_machine_and_who_does_not_answer_are_told_apart(cloud: Cloud) -> None:
    cloud.control.no_capacity(type="c5.large")
    done = cloud.playbook("class", **BRIEFLY, roster=ROSTER)
    said = {line.split()[2]: line for line in done.stdout.splitlines() if line.startswith("  not ready")}
    assert done.returncode == 2
    assert "c5.large" in said["chen"]
    assert "console" in said["li-wei"]
    assert "  ready        0 of 2" in done.stdout
    cloud.control.clear()
    cloud.control.forget_requests()
    cloud.playbook("provision", **BRIEFLY, roster=ROSTER)
    assert cloud.names() == ["chen", "li-wei"]
    assert cloud.calls("RunInstances") == 1


def test_the_verbs_are_about_the_roster_and_nobody_else(cloud: Cloud) -> None:
    cloud.machines("reader", "li-wei", "chen")
    shown = cloud.playbook("status", roster=ROSTER).stdout
    assert "2 of 2 machines run for" in shown
    assert cloud.playbook("terminate", roster=ROSTER).returncode == 2
    assert cloud.playbook("terminate", roster=ROSTER, confirm="yes").returncode == 0
    assert cloud.names() == ["reader"]
