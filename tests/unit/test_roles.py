"""What holds for every role."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted((ROOT / "roles").iterdir())


def load(path: Path) -> dict:
    return yaml.safe_load(path.read_text()) or {}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
class TestRole:
    def test_defaults_and_argument_specs_name_the_same_variables(self, role: Path) -> None:
        spec = load(role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
        assert set(load(role / "defaults/main.yml")) == set(spec)

    def test_the_documented_defaults_are_the_real_ones(self, role: Path) -> None:
        spec = load(role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
        documented = {name: option["default"] for name, option in spec.items() if "default" in option}
        real = load(role / "defaults/main.yml")
        assert documented == {name: real[name] for name in documented}

    def test_variables_carry_the_name_of_the_role(self, role: Path) -> None:
        names = [name for file in (role / "defaults/main.yml", *role.glob("vars/**/*.yml")) for name in load(file)]
        assert [name for name in names if not name.startswith((f"{role.name}_", f"__{role.name}_"))] == []

    def test_it_depends_on_no_other_role(self, role: Path) -> None:
        assert load(role / "meta/main.yml").get("dependencies", []) == []

    def test_it_has_a_scenario_with_tests(self, role: Path) -> None:
        scenario = ROOT / "molecule" / role.name
        assert (scenario / "molecule.yml").exists()
        assert list((scenario / "tests").glob("test_*.py"))


def test_the_tables_of_the_readmes_are_those_of_the_specs() -> None:
    check = subprocess.run(["tools/readme-tables", "--check"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stdout + check.stderr
