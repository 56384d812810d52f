"""The installed collection, as far as no machine is needed."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from project import EXAMPLES, ROLES, ROOT, Project, built

PLAYBOOKS = sorted(file.stem for file in (ROOT / "playbooks").glob("*.yml"))
PLUGINS = {
    kind: {f"d2l.gluon_ec2.{file.stem}" for file in (ROOT / "plugins" / folder).glob("*.py")}
    for kind, folder in (("module", "modules"), ("callback", "callback"), ("inventory", "inventory"))
}


def test_every_role_has_an_example() -> None:
    roles = {folder.name for folder in (ROOT / "roles").iterdir()}
    assert {file.stem for file in EXAMPLES.glob("*.yml")} == roles == {*ROLES, "ec2"}


def test_what_is_installed_is_what_was_built(installed: Project) -> None:
    said = installed.succeeds("ansible-galaxy", "collection", "verify", "--offline", "d2l.gluon_ec2").output
    assert "Successfully verified" in said


def test_it_is_installed_from_the_repository(projects: Callable[..., Project], tarball: Path) -> None:
    """Its newest commit."""
    project = projects()
    project.install(tarball)
    shutil.rmtree(project.collections / "d2l")
    project.succeeds("ansible-galaxy", "collection", "install", "--offline", f"git+file://{ROOT}")
    project.succeeds("ansible-playbook", "--syntax-check", "-i", "localhost,", "d2l.gluon_ec2.site")


def test_a_newer_release_takes_its_place(projects: Callable[..., Project], tarball: Path, tmp_path: Path) -> None:
    project, source = projects(), tmp_path / "newer"
    project.install(tarball)
    shutil.unpack_archive(tarball, source)
    about = (ROOT / "galaxy.yml").read_text()
    (source / "galaxy.yml").write_text(re.sub(r"^version: .*", "version: 99.0.0", about, flags=re.M))
    newer = built(source, tmp_path)
    project.succeeds("ansible-galaxy", "collection", "install", "--offline", "--upgrade", str(newer))
    assert " 99.0.0" in project.succeeds("ansible-galaxy", "collection", "list", "d2l.gluon_ec2").output


@pytest.mark.parametrize("inject", ["True", "False"])
def test_playbooks_are_called_by_their_names(installed: Project, inject: str) -> None:
    names = [f"d2l.gluon_ec2.{name}" for name in PLAYBOOKS]
    listed = ["-i", "localhost,", "--list-tasks", *names]
    said = installed.succeeds("ansible-playbook", *listed, ANSIBLE_INJECT_FACT_VARS=inject).output
    assert said.count("\nplaybook: ") == len(PLAYBOOKS)
    # Roles and modules have short names in the playbooks, and are found.
    assert "d2l.gluon_ec2.jupyter : Write the unit" in said


def test_the_commands_that_a_playbook_shows_are_those_of_an_installed_one(installed: Project) -> None:
    run = installed.run("ansible-playbook", "-i", "localhost,", "d2l.gluon_ec2.update")
    assert run.rc == 2, run.output
    assert "-i localhost, d2l.gluon_ec2.site makes one." in " ".join(run.output.split())


@pytest.mark.parametrize("kind", PLUGINS)
def test_plugins_have_documentation(installed: Project, kind: str) -> None:
    said = installed.succeeds("ansible-doc", "--type", kind, "--list", "--json", "d2l.gluon_ec2").output
    described = json.loads(said[said.index("{") :])
    assert set(described) == PLUGINS[kind]
    assert [name for name, words in described.items() if not words or words == "UNDOCUMENTED"] == []


def test_callbacks_can_be_had_in_plays_of_ones_own(installed: Project) -> None:
    (installed.folder / "waits.yml").write_text(
        "- hosts: localhost\n  gather_facts: false\n  tasks: [{name: Wait, ansible.builtin.pause: {seconds: 3}}]\n"
    )
    settings = {"ANSIBLE_CALLBACKS_ENABLED": ",".join(PLUGINS["callback"]), "GLUON_HEARTBEAT": "1"}
    said = installed.succeeds("ansible-playbook", "-i", "localhost,", "waits.yml", **settings).output
    assert "s: Wait" in said
    assert "WARNING" not in said
