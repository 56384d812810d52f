"""The python_script and service_files actions on this computer: with pipelined connections, and without."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import json, os, sys, warnings
asked = json.loads(sys.argv[1])
if "noise" in asked:
    print("a word before", flush=True)
    print("a warning", file=sys.stderr, flush=True)
if "refuse" in asked:
    sys.exit(asked["refuse"])
if "silent" not in asked:
    print(json.dumps({"asked": asked, "isolated": sys.flags.isolated, "colour": os.environ.get("COLOUR")}))
"""
WAYS = {"pipelined": {"ANSIBLE_PIPELINING": "True"}, "by the command module": {"ANSIBLE_PIPELINING": "False"}}


class Project:
    """A folder with a play, its files and its templates."""

    def __init__(self, folder: Path, way: dict[str, str]) -> None:
        self.folder, self.way = folder, way
        (folder / "files").mkdir()
        (folder / "templates").mkdir()
        (folder / "files/look.py").write_text(SCRIPT)

    def run(self, *tasks: dict[str, Any], options: tuple[str, ...] = (), **variables: Any) -> str:
        """What ansible-playbook prints; its exit status is the first line."""
        here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        play = {"hosts": "one", "gather_facts": False, "vars": variables, "tasks": list(tasks)}
        (self.folder / "play.json").write_text(json.dumps([play]))
        (self.folder / "hosts.json").write_text(json.dumps({"all": {"hosts": {"one": here}}}))
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        command = [program, "-i", str(self.folder / "hosts.json"), str(self.folder / "play.json"), *options]
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **self.way}, capture_output=True, text=True, check=False
        )
        return f"{done.returncode}\n{done.stdout}{done.stderr}"

    def keep(self, name: str) -> dict[str, Any]:
        """A task that keeps a registered result."""
        copy = {"content": f"{{{{ {name} | to_json }}}}", "dest": str(self.folder / name), "mode": "0600"}
        return {"ansible.builtin.copy": copy, "diff": False, "check_mode": False}

    def kept(self, name: str) -> dict[str, Any]:
        return json.loads((self.folder / name).read_text())


@pytest.fixture(params=WAYS)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    return Project(tmp_path, WAYS[request.param])


def script(**question: Any) -> dict[str, Any]:
    return {"python_script": {"src": "look.py", "executable": sys.executable, "question": question}}


def test_it_is_asked_and_answers(project: Project) -> None:
    hard = {"text": 'it\'s "quoted" $HOME `x` ünïcode\nand more', "list": [1, {"deep": None}], "noise": True}
    said = project.run(
        {**script(**hard), "register": "told", "environment": {"COLOUR": "dark red"}},
        project.keep("told"),
        options=("-v",),
    )
    assert said.startswith("0\n"), said
    told = project.kept("told")
    assert told["answer"] == {"asked": hard, "isolated": 1, "colour": "dark red"}
    assert (told["changed"], told["rc"]) == (False, 0)


def test_its_refusal_is_the_message(project: Project) -> None:
    said = project.run(script(refuse="There is no such disk."))
    assert said.startswith("2\n") and "There is no such disk." in said and "Traceback" not in said


def test_no_answer_is_an_error(project: Project) -> None:
    said = project.run(script(silent=True))
    assert said.startswith("2\n") and "look.py did not end with JSON" in said


def test_a_python_that_is_not_there_is_named(project: Project) -> None:
    task = script()
    task["python_script"]["executable"] = "/opt/nothing/bin/python"
    said = project.run(task)
    assert said.startswith("2\n") and "/opt/nothing/bin/python" in said


def test_check_mode_leaves_it_alone_unless_the_task_says_otherwise(project: Project) -> None:
    said = project.run(
        {**script(), "register": "left"},
        {**script(), "register": "looked", "check_mode": False},
        project.keep("left"),
        project.keep("looked"),
        options=("--check",),
    )
    assert said.startswith("0\n"), said
    assert project.kept("left")["skipped"] is True and "answer" not in project.kept("left")
    assert project.kept("looked")["answer"]["asked"] == {}


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="what it writes is root's")
TEMPLATE = "{{ 'By a test.' | comment }}\n{% for name in names %}\n{{ name }}\n{% endfor %}\n{% include 'tail.j2' %}\n"


@needs_root
def test_files_are_made_of_templates_and_known_ones_are_not_visited(project: Project) -> None:
    (project.folder / "templates/one.j2").write_text(TEMPLATE)
    (project.folder / "templates/tail.j2").write_text("the {{ end }}\n")
    path = project.folder / "etc/one"
    text = "#\n# By a test.\n#\nann\nbob\nthe end\n"
    digest = hashlib.sha256(text.encode()).hexdigest()
    asked = {"templates": {str(path): "one.j2"}, "known": {str(path): digest, "/another": None}}
    names = {"names": ["ann", "bob"], "end": "{{ last }}", "last": "end"}
    # In check mode, as there may be no systemd here to be told of a file.
    said = project.run({"service_files": asked, "register": "told"}, project.keep("told"), options=("-C",), **names)
    assert said.startswith("0\n"), said
    assert project.kept("told")["changed"] is False
    asked["known"] = {str(path): "of another text"}
    said = project.run({"service_files": asked, "register": "told"}, project.keep("told"), options=("-C",), **names)
    assert said.startswith("0\n"), said
    assert project.kept("told")["written"] == [str(path)]
    assert project.kept("told")["diff"][0]["after"] == text


@needs_root
def test_what_is_to_be_gone_is_looked_for_whatever_is_known(project: Project) -> None:
    kept, left = project.folder / "kept", project.folder / "left"
    kept.write_text("x")
    left.write_text("x")
    asked = {"files": {str(kept): "x"}, "known": {str(kept): hashlib.sha256(b"x").hexdigest()}, "absent": [str(left)]}
    said = project.run({"service_files": asked, "register": "told"}, project.keep("told"), options=("-C",))
    assert said.startswith("0\n"), said
    assert project.kept("told")["removed"] == [str(left)]


@needs_root
def test_a_template_that_is_not_there_is_named(project: Project) -> None:
    said = project.run({"service_files": {"templates": {str(project.folder / "x"): "none.j2"}}})
    assert said.startswith("2\n") and "none.j2" in said
