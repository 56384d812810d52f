"""The collection on every ansible-core that it says it takes, each in a virtual environment of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from project import ROLES, ROOT, Project

HERE = Path(__file__).parent
# The release of each line, as `make requirements` chose it.
CORES = {re.match(r"ansible-core==(\S+)", line)[1]: line for line in (HERE / "cores.txt").read_text().splitlines()}
# What is made anew in a moment.
UNDO = """
set -e
systemctl disable -q --now jupyter.service jupyter-token.service
rm -rf /etc/jupyter /etc/systemd/system/jupyter*.service /etc/gluon-ec2/idle.json
systemctl daemon-reload
/opt/miniconda3/envs/gluon/bin/python -m pip uninstall -q -y --root-user-action ignore d2lzh
"""

pytestmark = pytest.mark.slow


def test_they_are_those_that_the_collection_takes() -> None:
    oldest = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["requires_ansible"]
    assert oldest == f">={'.'.join(min(CORES, key=numbers).split('.')[:2])}.0"


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def python_for(core: str) -> str:
    """A Python that this ansible-core runs on. Skips the test where there is none: from 2.20 on it wants 3.12."""
    if numbers(core) < (2, 20) or sys.version_info >= (3, 12):
        return sys.executable
    found = [shutil.which(f"python3.{minor}") for minor in (12, 13, 14)]
    if pyenv := shutil.which("pyenv"):
        root = subprocess.run([pyenv, "root"], capture_output=True, text=True, check=True).stdout.strip()
        found += sorted(map(str, Path(root).glob("versions/3.1[2-4].*/bin/python")))
    for python in filter(None, found):
        # pyenv puts a program of that name in the way even where it leads nowhere.
        if subprocess.run([python, "-c", "import ensurepip"], capture_output=True, check=False).returncode == 0:
            return python
    pytest.skip(f"ansible-core {core} wants Python 3.12, and there is none here")


@pytest.fixture(scope="module", params=CORES)
def programs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the programs of one ansible-core. Made once, and kept in .cache."""
    place = ROOT / ".cache/cores" / request.param
    stamp = place / "complete"
    if not stamp.exists():
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run([python_for(request.param), "-m", "venv", str(place)], check=True)
        file = tmp_path_factory.mktemp("core") / "core.txt"
        file.write_text(CORES[request.param])
        pip = [str(place / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([*pip, "-r", str(HERE / "requirements.txt"), "-r", str(file)], check=True)
        stamp.touch()
    return place / "bin"


@pytest.fixture(scope="module")
def converged(shared_cloud: None, projects: Callable[..., Project], tarball: Path) -> Project:
    """A project with a machine on which every example has run."""
    project = projects()
    project.install(tarball)
    project.machine("cores")
    run = project.examples(*ROLES)
    assert run.rc == 0, run.output
    return project


@pytest.fixture(scope="module")
def project(converged: Project, programs: Path) -> Project:
    """The same, with another Ansible."""
    project = Project(converged.folder, programs)
    assert f"[core {programs.parent.name}]" in project.succeeds("ansible", "--version").output
    return project


@pytest.fixture(scope="module")
def days(converged: Project) -> Iterator[tuple[str, ...]]:
    """What the playbooks about a class of one are told, with an inventory as docs/ops.md has it."""
    folder = converged.folder / "inventory"
    shutil.copytree(os.environ["LOCAL_EC2_INVENTORY"], folder, ignore=shutil.ignore_patterns(".state"))
    plugin = folder / "aws_ec2.yml"
    plugin.write_text(plugin.read_text().replace("plugin: gluon_ec2", "plugin: d2l.gluon_ec2.gluon_ec2"))
    converged.write("roster.yml", [{"name": "Li Wei"}])
    told = ("-i", str(folder), "-e", "roster=roster.yml", "-e", "project=ops-class")
    try:
        yield told
    finally:
        converged.succeeds("ansible-playbook", "d2l.gluon_ec2.terminate", *told, "-e", "confirm=yes")


def test_playbooks_and_examples_are_understood(project: Project) -> None:
    playbooks = [f"d2l.gluon_ec2.{file.stem}" for file in sorted((ROOT / "playbooks").glob("*.yml"))]
    examples = [f"{role}.yml" for role in [*ROLES, "ec2"]]
    said = project.succeeds("ansible-playbook", "-i", "hosts.yml", "--syntax-check", *playbooks, *examples).output
    assert said.count("\nplaybook: ") == len(playbooks) + len(examples)


def test_the_server_and_what_the_environment_lacks_are_made_anew(project: Project) -> None:
    project.on_machine(UNDO)
    run = project.examples("gluon_env", "jupyter", "idle_stop")
    assert run.rc == 0, run.output
    assert run.changed > 0
    assert run.complaints == []
    assert project.on_machine("systemctl is-active jupyter.service") == "active"
    # With settings that this Ansible has written.
    project.on_machine("systemctl start gluon-idle.service")
    assert project.on_machine("/opt/miniconda3/envs/gluon/bin/python -m pip show -q d2lzh && echo there") == "there"


def test_nothing_else_is_to_do(project: Project) -> None:
    run = project.examples(*ROLES, ANSIBLE_INJECT_FACT_VARS="False")
    assert run.rc == 0, run.output
    assert run.changed == 0
    assert run.complaints == []


def test_the_machine_is_the_one_that_there_is(project: Project) -> None:
    assert project.succeeds("ansible-playbook", "ec2.yml", "-e", "@local.yml").changed == 0


def test_a_class_has_its_days(project: Project, days: tuple[str, ...]) -> None:
    def playbook(name: str) -> str:
        return project.succeeds("ansible-playbook", f"d2l.gluon_ec2.{name}", *days).output

    # The first Ansible makes it, and each of the others finds all of it done.
    assert "  ready        1 of 1" in playbook("class")
    assert "li-wei (Li Wei): nothing new" in playbook("collect")
    assert "li-wei  running" in playbook("status")
    playbook("stop")
    assert "  ready        1 of 1" in playbook("class_start")
