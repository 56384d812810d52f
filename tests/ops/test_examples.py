"""Every example, from the installed collection, on a machine of one's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from project import ROLES, Project, Run


@pytest.fixture(scope="module")
def project(shared_cloud: None, projects: Callable[..., Project], tarball: Path) -> Project:
    """A project with a fresh machine, as bare as a container: Ansible's apt must first get what it needs itself.

    That it is there is the example ec2.yml.
    """
    project = projects()
    project.install(tarball)
    project.machine("examples")
    project.on_machine("apt-get purge -qqy --auto-remove python3-apt")
    return project


@pytest.fixture(scope="module")
def predicted(project: Project) -> Run:
    """What they would do to a fresh machine. Facts are injected, as Ansible still does without being told."""
    return project.examples(*ROLES, more=("--check", "--diff"))


@pytest.fixture(scope="module")
def left(project: Project, predicted: Run) -> str:
    """What the prediction has left on the machine."""
    return project.on_machine("ls -d /opt/* /etc/jupyter /etc/gluon-ec2 /home/admin/* 2>/dev/null || true")


@pytest.fixture(scope="module")
def first(project: Project, left: str) -> Run:
    return project.examples(*ROLES)


@pytest.fixture(scope="module")
def second(project: Project, first: Run) -> Run:
    """As an ops team may have it: no facts injected, one connection, no pause between tasks."""
    assert first.rc == 0, first.output
    return project.examples(*ROLES, ANSIBLE_INJECT_FACT_VARS="False", ANSIBLE_PIPELINING="True")


def test_check_mode_succeeds_on_a_fresh_machine(predicted: Run) -> None:
    assert predicted.rc == 0, predicted.output
    assert predicted.changed > 0


def test_check_mode_leaves_the_machine_as_it_is(left: str) -> None:
    assert left == ""


def test_every_example_does_its_work(project: Project, first: Run) -> None:
    assert first.rc == 0, first.output
    version = "import mxnet; print(mxnet.__version__)"
    assert project.on_machine(f"/opt/miniconda3/envs/gluon/bin/python -c '{version}'") == "1.9.1"
    assert project.on_machine("systemctl is-active jupyter.service gluon-idle.timer") == "active\nactive"


def test_ansible_has_nothing_to_complain_about(predicted: Run, first: Run) -> None:
    assert predicted.complaints + first.complaints == []


@pytest.mark.slow
def test_a_second_run_changes_nothing(second: Run) -> None:
    assert second.rc == 0, second.output
    assert second.changed == 0
    assert second.complaints == []
