"""The installed collection, as far as no machine is needed."""

from __future__ import annotations

import json

import pytest
from project import EXAMPLES, ROLES, ROOT, Project

PLAYBOOKS = sorted(file.stem for file in (ROOT / "playbooks").glob("*.yml"))
MODULES = {f"d2l.gluon_ec2.{file.stem}" for file in (ROOT / "plugins/modules").glob("*.py")}


def test_every_role_has_an_example() -> None:
    roles = {folder.name for folder in (ROOT / "roles").iterdir()}
    assert {file.stem for file in EXAMPLES.glob("*.yml")} == roles == {*ROLES, "ec2"}


def test_what_is_installed_is_what_was_built(installed: Project) -> None:
    said = installed.succeeds("ansible-galaxy", "collection", "verify", "--offline", "d2l.gluon_ec2").output
    assert "Successfully verified" in said


@pytest.mark.parametrize("inject", ["True", "False"])
def test_playbooks_are_called_by_their_names(installed: Project, inject: str) -> None:
    names = [f"d2l.gluon_ec2.{name}" for name in PLAYBOOKS]
    listed = ["-i", "localhost,", "--list-tasks", *names]
    said = installed.succeeds("ansible-playbook", *listed, ANSIBLE_INJECT_FACT_VARS=inject).output
    assert said.count("\nplaybook: ") == len(PLAYBOOKS)
    # Roles and modules have short names in the playbooks, and are found.
    assert "d2l.gluon_ec2.jupyter : Write the unit" in said


def test_modules_have_documentation(installed: Project) -> None:
    said = installed.succeeds("ansible-doc", "--type", "module", "--list", "--json", "d2l.gluon_ec2").output
    described = json.loads(said[said.index("{") :])
    assert set(described) == MODULES
    assert [name for name, words in described.items() if not words or words == "UNDOCUMENTED"] == []
