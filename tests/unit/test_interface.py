"""The edition and the interface that a reader chooses: which lock is taken, and what is refused before all else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLAY = """
- hosts: all
  gather_subset: [min]
  tasks:
    - ansible.builtin.import_tasks: ROOT/playbooks/tasks/edition.yml
      vars: {choices: [configure]}
    - ansible.builtin.assert:
        that: hostvars[inventory_hostname] | to_json is search('gluon_env_lock')
    - ansible.builtin.copy:
        content: "{{ {'pip': gluon_env_pip, 'lock': gluon_env_lock, 'interface': jupyter_interface} | to_json }}"
        dest: "{{ answer }}"
        mode: "0644"
      vars: {role_path: ROOT/roles/gluon_env}
"""
CHOSEN = {
    "nothing": {},
    "classic": {"interface": "classic"},
    "lab": {"interface": "lab"},
    "notebook": {"interface": "notebook"},
    "original": {"interface": "lab", "edition": "d2l-zh-v1-original"},
    "2018": {"interface": "lab", "edition": "gluon-2018"},
    "2018 classic": {"edition": "gluon-2018"},
    "unknown": {"edition": "d2l-zh-v9"},
}


class Run:
    """One play for all choices, each a host of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # The play finds them beside it.
        for name in ("editions", "vars"):
            (folder / name).symlink_to(ROOT / "playbooks" / name)
        (folder / "play.yml").write_text(PLAY.replace("ROOT", str(ROOT)))
        hosts = {name: self.host(name, choice) for name, choice in CHOSEN.items()}
        (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
        command = [Path(sys.executable).with_name("ansible-playbook"), "-i", folder / "hosts.json", folder / "play.yml"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        self.output = " ".join(done.stdout.split())

    def host(self, name: str, choice: dict[str, str]) -> dict[str, str]:
        python = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        return {**python, "edition": "d2l-zh-v1", "answer": str(self.answer(name)), **choice}

    def answer(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def __call__(self, name: str) -> dict[str, Any]:
        return json.loads(self.answer(name).read_text())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("play"))


def edition(name: str) -> str:
    return (ROOT / "playbooks/editions" / name).read_text().strip()


@pytest.mark.parametrize("name", ["nothing", "classic"])
def test_the_classic_notebook_takes_the_editions_locks(run: Run, name: str) -> None:
    answer = run(name)
    assert answer["lock"] == {kind: edition(f"d2l-zh-v1.{kind}.txt") for kind in ("cpu", "gpu")}
    assert answer["interface"] == "classic"
    assert not [pin for pin in answer["pip"] if pin.startswith("jupyterlab")]


def test_jupyterlab_takes_locks_of_its_own(run: Run) -> None:
    answer = run("lab")
    assert answer["lock"] == {kind: edition(f"d2l-zh-v1.{kind}.lab.txt") for kind in ("cpu", "gpu")}
    assert answer["interface"] == "lab"
    assert [pin for pin in answer["pip"] if pin.startswith("jupyterlab==4.")]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("notebook", "interface=notebook is neither classic nor lab. Set interface to one of them."),
        ("original", "interface=lab: the edition d2l-zh-v1-original has no JupyterLab"),
        ("2018", "interface=lab: the edition gluon-2018 has no JupyterLab"),
        ("unknown", 'There is no edition "d2l-zh-v9". Set edition to one of d2l-zh-v1, d2l-zh-v1-original,'),
    ],
)
def test_what_there_is_not_is_refused(run: Run, name: str, sentence: str) -> None:
    assert sentence in run.output
    assert not run.answer(name).exists()


def test_it_is_said_which_edition_has_it(run: Run) -> None:
    assert "Set interface to classic, or edition to d2l-zh-v1." in run.output


def test_an_old_edition_has_its_notebook(run: Run) -> None:
    assert run("2018 classic")["lock"]["cpu"] == edition("gluon-2018.cpu.txt")


ROLE = """
- hosts: all
  gather_subset: [min]
  roles: [jupyter]
"""
# What the environment's Python says of its interface.
ENVIRONMENTS = {
    "no lab": ("lab", "echo \"No module named 'jupyterlab'\" >&2; exit 1"),
    "old lab": ("lab", "echo 3.6.8"),
    "new notebook": ("classic", "echo 7.6.5"),
    "neither": ("notebook", "echo 7.6.5"),
}


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder, hosts = tmp_path_factory.mktemp("role"), {}
    for name, (interface, says) in ENVIRONMENTS.items():
        python = folder / name.replace(" ", "-") / "bin/python"
        python.parent.mkdir(parents=True)
        python.write_text(f"#!/bin/sh\n{says}\n")
        python.chmod(0o755)
        variables = {
            "jupyter_interface": interface,
            "jupyter_environment": str(python.parents[1]),
            "jupyter_port": 18765,
        }
        hosts[name] = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, **variables}
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    (folder / "play.yml").write_text(ROLE)
    command = [Path(sys.executable).with_name("ansible-playbook"), "--check", "-i", folder / "hosts.json"]
    environment = os.environ | {"ANSIBLE_ROLES_PATH": str(ROOT / "roles"), "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
    done = subprocess.run(
        [*command, folder / "play.yml"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "sentence",
    [
        "no-lab cannot serve JupyterLab (4.x) (No module named 'jupyterlab')",
        "old-lab cannot serve JupyterLab (4.x) (it has jupyterlab 3.6.8)",
        "interface: lab), name another in jupyter_environment, or set jupyter_interface to classic.",
        "new-notebook cannot serve the classic notebook (6.x) (it has notebook 7.6.5)",
        "value of jupyter_interface must be one of: classic, lab",
    ],
)
def test_an_environment_without_the_interface_is_refused(refused: str, sentence: str) -> None:
    assert sentence in refused
