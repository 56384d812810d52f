"""The role_preflight action: ahead of the roles, where there is no machine yet, and in a role."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = ["ec2", "outbound", "cuda", "miniconda", "gluon_env", "jupyter", "idle_stop"]
AHEAD = {"role_preflight": {"roles": ROLES}}
FINE = {"ec2_machines": [{"name": "reader"}], "ec2_region": "us-east-1", "ec2_project": "gluon-ec2"}


def told(folder: Path, task: dict[str, Any], **variables: Any) -> dict[str, Any]:
    """What the task says, in a play without facts that has the variables a reader's choices become."""
    files = [str(ROOT / "playbooks" / name) for name in ("editions/d2l-zh-v1.yml", "vars/configure.yml")]
    play = {"hosts": "localhost", "gather_facts": False, "vars_files": files, "tasks": [task]}
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", folder / "play.yml"]
    done = subprocess.run(
        [*command, "-e", json.dumps(FINE | variables)],
        cwd=ROOT,
        env=os.environ | {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "ANSIBLE_LOCAL_TEMP": str(folder / "tmp")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    *_, result = [task["hosts"]["localhost"] for play in json.loads(done.stdout)["plays"] for task in play["tasks"]]
    return result


def test_what_was_not_chosen_is_fine_and_what_facts_decide_is_left_to_the_machine(tmp_path: Path) -> None:
    result = told(tmp_path, AHEAD)
    assert not result.get("failed"), result["msg"]
    assert result["changed"] is False


@pytest.fixture(scope="module")
def refusal(tmp_path_factory: pytest.TempPathFactory) -> str:
    """All that is said of many a wrong value."""
    return told(
        tmp_path_factory.mktemp("refused"),
        AHEAD,
        ec2_instance_typse=["x"],
        proxy="http://me:hush@proxy",
        toolkits=[{"version": "99.9"}, {"version": 11.8}, {"version": "77.7", "url": "https://a/b", "sha256": "0"}],
        miniconda_prefix="/",
        gluon_env_version="$(touch x)",
        jupyter_port="8888; x",
        jupyter_variables=["hush"],
        idle_stop_minutes=5,
        idle_stop_warn_minutes=9,
        idle_stop_daily_at="{{ nowhere }}",
    )["msg"]


@pytest.mark.parametrize(
    "sentence",
    [
        "ec2_instance_typse is no variable of the ec2 role, which knows ec2_",
        "Did you mean ec2_instance_types?",
        "proxy is no http://[USER:PASSWORD@]HOST:PORT",
        "cuda_toolkits: CUDA 99.9 is in no table: there are 8.0, ",
        "miniconda_prefix=/ is not an absolute path of letters, digits and ._+@-, at least two folders deep.",
        "gluon_env_version=$(touch x) is no commit, tag or branch.",
        "jupyter_port",
        "jupyter_variables",
        "idle_stop_warn_minutes=9 leaves nothing of idle_stop_minutes=5: warn fewer",
        "Correct it in your inventory's group_vars.",
    ],
)
def test_all_that_is_wrong_is_said_at_once(refusal: str, sentence: str) -> None:
    assert sentence in refusal, refusal


def test_what_several_roles_were_handed_is_said_once_by_the_name_it_was_given_by(refusal: str) -> None:
    assert refusal.count("proxy is no") == 1 and "_proxy is no" not in refusal


def test_what_may_be_secret_is_not_told(refusal: str) -> None:
    assert "hush" not in refusal


def test_what_does_not_become_a_value_is_refused(tmp_path: Path) -> None:
    result = told(tmp_path, AHEAD, toolkits=11.8)
    assert result["failed"] and "cuda_toolkits cannot be told" in result["msg"]


@pytest.mark.parametrize("shape", [3, [3], "three"])
def test_another_shape_is_refused(tmp_path: Path, shape: Any) -> None:
    result = told(tmp_path, AHEAD, gluon_env_mxnet=shape, cuda_toolkits=shape)
    assert result["failed"] and "Correct it in" in result["msg"], result
    assert "gluon_env_mxnet" in result["msg"] and "cuda_toolkits" in result["msg"]


@pytest.mark.parametrize("nothing", [None, "", []])
def test_nothing_is_no_value(tmp_path: Path, nothing: Any) -> None:
    names = ["jupyter_port", "idle_stop_minutes", "cuda_key_fingerprint"]
    result = told(tmp_path, AHEAD, **dict.fromkeys(names, nothing))
    assert [name for name in names if name not in result["msg"]] == [], result


def test_in_a_role_what_facts_decide_has_to_be_there(tmp_path: Path) -> None:
    result = told(tmp_path, {"ansible.builtin.include_role": {"name": "miniconda", "rolespec_validate": False}})
    assert "There is no installer for this machine, of which no facts were gathered" in json.dumps(result)


@pytest.mark.parametrize(
    ("settled", "again"), [({}, True), ({"settled": ["jupyter"]}, True), ({"settled": ["miniconda"]}, False)]
)
def test_a_role_that_was_asked_ahead_asks_only_what_is_of_its_machine(
    tmp_path: Path, settled: dict[str, list[str]], again: bool
) -> None:
    role = {"ansible.builtin.include_role": {"name": "miniconda", "rolespec_validate": False}}
    said = told(tmp_path, role, role_preflight_ahead=settled, miniconda_version="none", miniconda_prefix="/")["msg"]
    assert ("miniconda_prefix=/ is not an absolute path" in said) is again
    assert "There is no installer for this machine" in said


def test_ahead_of_the_machine_those_are_left_open_that_facts_decide(tmp_path: Path) -> None:
    result = told(tmp_path, AHEAD, jupyter_port="{{ ansible_facts.nowhere }}")
    assert not result.get("failed"), result["msg"]
    assert "miniconda" in result["settled"] and "jupyter" not in result["settled"]


def test_outside_of_roles_they_have_to_be_named(tmp_path: Path) -> None:
    result = told(tmp_path, {"role_preflight": {}})
    assert result["failed"] and "Name the roles to check" in result["msg"]


def test_a_role_that_is_not_there_is_none_to_check(tmp_path: Path) -> None:
    result = told(tmp_path, {"role_preflight": {"roles": ["jupiter"]}})
    assert result["failed"] and "There is no role jupiter" in result["msg"] and "jupyter" in result["msg"]


@pytest.mark.parametrize(
    ("who", "becomes", "given", "refused"),
    [
        ({"user_uid": 1000, "user_id": "reader"}, False, {}, True),
        ({"user_uid": 1000, "user_id": "reader"}, True, {}, False),
        ({"user_uid": 1000, "user_id": "reader"}, False, {"ansible_become": "{{ 'yes' }}"}, False),
        ({"user_uid": 0, "user_id": "root"}, False, {}, False),
    ],
)
def test_a_role_that_would_not_be_root_says_so(
    tmp_path: Path, who: dict[str, Any], becomes: bool, given: dict[str, Any], refused: bool
) -> None:
    fact = {"ansible.builtin.set_fact": {**who, "cacheable": True}}
    role = {"ansible.builtin.include_role": {"name": "miniconda", "rolespec_validate": False}}
    said = told(tmp_path, {"block": [fact, role], "become": becomes}, **given)["msg"]
    assert said.startswith("The role miniconda works as root, and this play is reader on the machine") == refused, said
    assert said.startswith("There is no installer for this machine") != refused
