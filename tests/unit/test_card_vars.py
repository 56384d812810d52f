"""playbooks/vars/card.yml: what a play over several kinds of machines makes of its variables."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLACE = {
    "aws_instance_type": "g4dn.xlarge",
    "aws_placement": {"availability_zone": "us-east-1a"},
    "edition": "d2l-zh-v1",
}
IN_EC2 = {**PLACE, "aws_instance_id": "i-1", "ansible_host": "192.0.2.1", "ansible_user": "admin", "jupyter_token": "t"}
HOSTS = {
    "forgotten": {**IN_EC2, "aws_instance_lifecycle": "on-demand"},
    "careful": {
        **IN_EC2,
        "aws_instance_lifecycle": "spot",
        "idle_stop_minutes": 90,
        "idle_stop_max_hours": 12,
        "idle_stop_daily_at": "23:00",
    },
    "always": {**IN_EC2, "idle_stop_minutes": 0},
    "own": {
        "ansible_host": "2001:db8::7",
        "ansible_port": 2222,
        "ansible_ssh_common_args": "-o A=b",
        "jupyter_port": 9999,
        "jupyter_token": "t",
    },
    "lost": {"ansible_host": "192.0.2.9", "notebook_trouble": "no such file"},
}
CANDIDATES = [
    {"zone": "us-east-1a", "instance_type": "g4dn.xlarge", "market": "spot", "usd": 0.1578},
    {"zone": "us-east-1b", "instance_type": "g4dn.xlarge", "market": "on-demand", "usd": 0.526},
]
GIVEN = {"project": "a b", "region": "us-east-1", "machines": [{"name": "ann"}]}
TOLD = ["card_idle", "card_ways", "card_notebooks", "card_hints", "card_directory", "card_complaints", "card_browser"]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The variables, for a run of which the second machine was launched by it."""
    folder = tmp_path_factory.mktemp("card")
    (folder / "group_vars").mkdir()
    (folder / "group_vars/all.yml").write_text(json.dumps({"project": "book", "region": "us-east-1", "roster": ""}))
    (folder / "hosts.yml").write_text(json.dumps({"gluon": {"hosts": HOSTS}, "gluon_asleep": {"hosts": {"bob": {}}}}))
    values = ", ".join(f"{name!r}: {name}" for name in TOLD)
    tasks = [
        {
            "ansible.builtin.copy": {"content": f"{{{{ {{{values}}} | to_json }}}}", "dest": str(folder / "told.json")},
            "delegate_to": "localhost",
            "run_once": True,
        }
    ]
    plan = {"__ec2_plan": {"candidates": {"careful": CANDIDATES}}}
    plays = [
        {"hosts": "localhost", "gather_facts": False, "tasks": [{"ansible.builtin.set_fact": plan}]},
        {
            "hosts": "gluon",
            "gather_facts": False,
            "vars": {"card_tunnels": {"tunnels": {"own": {"port": 8891}}, "taken": [8888], "troubles": {"own": "no"}}},
            "vars_files": [str(ROOT / "playbooks/vars/card.yml")],
            "tasks": tasks,
        },
    ]
    (folder / "play.yml").write_text(json.dumps(plays))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(folder / "hosts.yml")]
    done = subprocess.run(
        [*command, "play.yml", "-e", "browser=true", "-e", json.dumps(GIVEN)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "told.json").read_text()) | {"folder": str(folder)}


def entry(told: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in told["card_notebooks"] if one["name"] == name)


def test_each_way_to_stop_itself_is_told_once(told: dict[str, Any]) -> None:
    assert told["card_idle"] == (
        "never stops itself; or stops itself after 90 idle minutes, after 12 hours, every day at 23:00"
    )


def test_the_way_is_that_of_ansible_and_leads_to_all_whose_token_is_known(told: dict[str, Any]) -> None:
    ways = {way["name"]: way for way in told["card_ways"]}
    assert list(ways) == ["forgotten", "careful", "always", "own"]
    own = {"host": "2001:db8::7", "user": "", "ssh_port": 2222, "key": "", "remote_port": 9999}
    assert ways["own"].items() >= own.items()
    assert ways["own"]["arguments"].strip() == "-o A=b"


def test_the_price_is_that_of_the_place_where_it_was_launched(told: dict[str, Any]) -> None:
    assert entry(told, "careful")["usd_hour"] == 0.1578
    assert entry(told, "forgotten")["usd_hour"] is None
    assert entry(told, "own")["instance_type"] == ""


def test_troubles_come_from_the_machine_or_from_the_tunnel(told: dict[str, Any]) -> None:
    assert entry(told, "lost")["trouble"] == "no such file"
    assert (entry(told, "own")["trouble"], entry(told, "own")["port"]) == ("no", 8891)


def test_what_something_else_has_is_told(told: dict[str, Any]) -> None:
    assert told["card_hints"]["port"] == "taken by something else on this computer: 8888"


def test_commands_are_about_the_same_machines_as_the_run(told: dict[str, Any]) -> None:
    command = told["card_hints"]["delete"]
    assert f"hosts.yml -e 'project=a b' -e '{json.dumps({'machines': GIVEN['machines']})}' playbooks/" in command
    assert "region=" not in command and "roster=" not in command


def test_a_choice_may_be_a_truth_value(told: dict[str, Any]) -> None:
    assert (told["card_browser"], told["card_complaints"]) == ("yes", [])


def test_an_inventory_without_a_state_folder_has_one_beside_it(told: dict[str, Any]) -> None:
    assert told["card_directory"] == f"{told['folder']}/.state"
