"""Modules that run in Ansible's own worker: the same comes of them, and where they would run elsewhere they do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROSTER = {"students": [{"name": "Li Wei", "email": "li@example.org"}]}
WAYS = {
    "in the worker": {},
    "delegated": {"delegate_to": "other"},
    "another environment": {"environment": {"LANG": "C"}},
    "another Python": {"vars": {"ansible_python_interpreter": str(Path(sys.executable).with_name("python3"))}},
    "in the background": {"async": 60, "poll": 1},
    "as somebody else": {"become": True, "become_method": "ansible.builtin.su"},
}


def play(*tasks: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"hosts": "one", "gather_facts": False, "tasks": list(tasks)}]


def run(folder: Path, tasks: list[dict[str, Any]], *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "play.json").write_text(json.dumps(play(*tasks)))
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": {"one": local, "other": local}}}))
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    command = [program, "-i", str(folder / "hosts.json"), str(folder / "play.json"), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("way", WAYS)
def test_what_comes_of_it_is_the_same(tmp_path: Path, way: str) -> None:
    told = {"content": "{{ told | to_json }}", "dest": str(tmp_path / "told"), "mode": "0600"}
    done = run(
        tmp_path,
        [{"roster": ROSTER, "register": "told", **WAYS[way]}, {"ansible.builtin.copy": told, "diff": False}],
        "-vvv",
    )
    assert done.returncode == 0, done.stdout
    answer = json.loads((tmp_path / "told").read_text())
    assert [one["name"] for one in answer["students"]] == ["Li Wei"]
    assert (answer["changed"], answer["failed"]) == (False, False)
    as_usual = f"Using module file {ROOT}/plugins/modules/roster.py" in done.stdout
    assert as_usual is (way not in ("in the worker", "delegated"))


def test_options_are_checked(tmp_path: Path) -> None:
    done = run(tmp_path, [{"roster": {"students": [{"nam": "Li Wei"}], "cheese": "brie"}}])
    assert done.returncode == 2
    assert "Unsupported parameters for (roster) module: cheese" in done.stdout


def test_check_mode_reaches_it(tmp_path: Path) -> None:
    opened = {"ssh_tunnel": {"directory": str(tmp_path / "state"), "machines": [{"name": "a"}]}}
    done = run(tmp_path, [opened], "--check")
    assert "changed=1" in done.stdout
    assert not (tmp_path / "state").exists()


def test_a_failure_is_told_without_its_secrets(tmp_path: Path) -> None:
    asked = {"region": "nowhere", "project": "p", "names": ["a"], "price_table": "none", "secret_key": "hush-hush"}
    done = run(tmp_path, [{"ec2_status": {**asked, "access_key": "a", "endpoint_url": "http://127.0.0.1:9"}}], "-vvvvv")
    assert done.returncode == 2
    assert "FAILED!" in done.stdout and "hush-hush" not in done.stdout + done.stderr
