"""Modules that are asked ahead whether they have anything to do: the same comes of it, and all else is the module's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conda_place import Place

ROOT = Path(__file__).resolve().parents[2]
WHOLE = {"dependencies": ["python=3.11", {"pip": ["cpu==1.0"]}]}
# What Ansible tells of the module's file where it packs it.
PACKED = f"Using module file {ROOT}/plugins/modules/"


class Host:
    """This computer, as Ansible's only machine, with the conda of a place."""

    def __init__(self, place: Place) -> None:
        self.place, self.folder = place, place.folder

    def task(self, module: str, **options: Any) -> dict[str, Any]:
        return {"register": "told", "ignore_errors": True, module: options}

    def run(self, *flags: str, pipelining: bool = True, task: dict[str, Any] | None = None, **options: Any) -> str:
        """Run conda_env."""
        asked = {"prefix": str(self.place.prefix), "executable": str(self.folder / "conda/bin/conda"), **options}
        own = self.task("conda_env", **{"definition": WHOLE, **asked})
        return self.play({**own, **(task or {})}, *flags, pipelining=pipelining)

    def play(self, task: dict[str, Any], *flags: str, pipelining: bool = True) -> str:
        """What ansible-playbook says of a task, whose result is kept."""
        here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        keep = {"content": "{{ told | to_json }}", "dest": str(self.folder / "told"), "mode": "0600"}
        tasks = [
            task,
            {"ansible.builtin.copy": keep, "diff": False, "check_mode": False, "no_log": True},
        ]
        facts = {"ansible_facts": {"python": {"executable": sys.executable}}}
        play = {"hosts": "one", "gather_facts": False, "vars": facts, "tasks": tasks}
        (self.folder / "play.json").write_text(json.dumps([play]))
        (self.folder / "hosts.json").write_text(json.dumps({"all": {"hosts": {"one": here}}}))
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        command = [program, "-i", str(self.folder / "hosts.json"), str(self.folder / "play.json"), "-vvv", *flags]
        environment = {**os.environ, **self.place.index, "FAULT": "", "ANSIBLE_PIPELINING": str(pipelining)}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    @property
    def told(self) -> dict[str, Any]:
        told = json.loads((self.folder / "told").read_text())
        return {name: told[name] for name in told if name not in ("invocation", "ansible_facts")}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(Place(tmp_path))


@pytest.fixture
def built(host: Host) -> Host:
    host.run()
    assert host.told["changed"], host.told
    return host


def test_the_module_is_run_where_there_is_something_to_do(host: Host) -> None:
    assert PACKED in host.run()
    assert (host.told["changed"], host.told["created"]) == (True, True)
    assert host.place.imported() == "cpu"


def test_it_is_not_run_where_there_is_nothing_to_do_and_says_the_same(built: Host) -> None:
    assert PACKED not in built.run()
    ahead = built.told
    assert PACKED in built.run(pipelining=False)
    assert ahead == built.told
    assert not ahead["changed"]


@pytest.mark.parametrize("amiss", ["a package", "a run that was interrupted", "all of it"])
def test_it_is_run_where_something_is_amiss(built: Host, amiss: str) -> None:
    if amiss == "a package":
        for path in built.place.prefix.glob("lib/python*/site-packages/cpu-*"):
            path.rename(built.folder / path.name)
    elif amiss == "all of it":
        built.place.prefix.rename(built.folder / "moved")
    else:
        built.place.prefix.with_name(".e.lock").write_text("1\n")
    assert PACKED in built.run()
    assert built.told["changed"] is (amiss != "a run that was interrupted")
    assert PACKED not in built.run()


def test_it_removes_what_is_there_and_then_has_nothing_to_do(built: Host) -> None:
    nothing = {"state": "absent", "definition": None}
    assert PACKED in built.run(**nothing)
    assert built.told["changed"]
    assert not built.place.prefix.exists()
    assert PACKED not in built.run(**nothing)
    assert not built.told["changed"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"cheese": "brie"}, "Unsupported parameters for (conda_env) module: cheese"),
        ({"lock_timeout": "soon"}, "lock_timeout"),
        ({"prefix": "{{ playbook_dir }}/conda"}, "is the base environment"),
        ({"executable": "/nowhere/conda"}, "There is no conda at /nowhere/conda"),
    ],
)
def test_a_fault_is_told_by_the_module(host: Host, options: dict[str, str], reason: str) -> None:
    assert PACKED in host.run(**options)
    assert host.told["failed"]
    assert reason in host.told["msg"]


def test_a_home_is_the_machines(built: Host) -> None:
    assert PACKED in built.run(executable="~/no-conda")
    assert f"There is no conda at {Path.home()}/no-conda" in built.told["msg"]


@pytest.mark.parametrize("way", ["check mode", "in the background"])
def test_it_is_run_as_usual(built: Host, way: str) -> None:
    said = built.run("--check") if way == "check mode" else built.run(task={"async": 60, "poll": 1})
    assert PACKED in said
    assert not built.told["changed"]


def test_nothing_of_a_password_is_shown(built: Host) -> None:
    said = built.run(
        proxy="http://reader:hush-hush@127.0.0.1:9", pip_index="http://reader:not-a-word@127.0.0.1:9/simple"
    )
    assert PACKED not in said
    assert not built.told["changed"]
    assert "hush-hush" not in said
    assert "not-a-word" not in said


def test_a_machine_whose_python_is_elsewhere_has_the_module_run(built: Host) -> None:
    facts = {"vars": {"ansible_facts": {"python": {"executable": "/nowhere/python3"}}}}
    assert PACKED in built.run(task=facts)
    assert not built.told["changed"]


def test_a_conda_of_somebody_else_that_is_adopted(host: Host) -> None:
    there = host.folder / "their/conda"
    for file in ("bin/conda", "conda-meta/history"):
        (there / file).parent.mkdir(parents=True)
        (there / file).touch()
    asked = {"prefix": str(there), "adopt": True, "url": "http://127.0.0.1:9/c.sh", "sha256": "0" * 64, "version": "1"}
    own = host.task("conda_installation", **asked)
    assert PACKED not in host.play(own)
    assert (host.told["changed"], host.told["before"]) == (False, "other")
    assert PACKED in host.play(host.task("conda_installation", **asked, condarc={"channels": ["conda-forge"]}))
    assert host.told["changed"]
    assert "conda-forge" in (there / ".condarc").read_text()


def test_a_look_at_gpus_is_never_packed(host: Host) -> None:
    asked = {"asked": {"gpu": "auto"}, "tables": {"platforms": {}, "gpus": {}, "useless": {}}, "system": "Debian 12"}
    assert PACKED not in host.play(host.task("cuda_plan", **asked))
    ahead = host.told
    assert not ahead["changed"]
    said = host.play(host.task("cuda_plan", **asked), pipelining=False)
    assert PACKED in said, said
    assert host.told["plan"] == ahead["plan"]
    assert host.told.keys() == ahead.keys()


def test_each_option_of_these_modules_has_a_type() -> None:
    """By which those that are paths of the machine are known."""
    for link in [ROOT / "plugins/action/conda_env.py", *(ROOT / "plugins/action").iterdir()]:
        if link.resolve().name != "conda_env.py":
            continue
        text = f"import json\nfrom plugins.modules.{link.stem} import OPTIONS\nprint(json.dumps(OPTIONS))"
        told = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert all("type" in option for option in json.loads(told)["argument_spec"].values())
