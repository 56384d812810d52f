"""The miniconda role: what it refuses before it asks the machine, and what it makes of its variables.

Each case is a host of one run, all of them this machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conda_installation_host import MINICONDA, OLD, installers
from fault_server import Server

__all__ = ["installers"]

ROOT = Path(__file__).resolve().parents[2]
PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: {name: miniconda}
      vars:
        __miniconda_profile: "{{ profile }}"
        __miniconda_machine: "{{ machine | default('x86_64') }}"
"""
MAIN, R = "https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r"
UNACCEPTED = f"whose terms of use are not accepted: {MAIN}"
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a misspelt variable": ({"miniconda_prefx": "/opt/x"}, "miniconda_prefx is no variable of the miniconda role"),
    "another distribution": ({"miniconda_distribution": "anaconda"}, "value of miniconda_distribution must be one of"),
    "another mirror": ({"miniconda_mirror": "mars"}, "value of miniconda_mirror must be one of"),
    "latest": ({"miniconda_version": "latest"}, "miniconda_version=latest is no version of Miniconda such as py311_26"),
    "a version of the other": (
        {"miniconda_distribution": "miniforge", "miniconda_version": OLD},
        f"miniconda_version={OLD} is no version of Miniforge such as 26.3.2-3",
    ),
    "another machine": ({"machine": "riscv64"}, "no installer for this machine, riscv64, only for x86_64 and aarch64"),
    "no checksum": (
        {"miniconda_version": "py311_99.1.1-1"},
        "No checksum is known for Miniconda py311_99.1.1-1 on x86_64",
    ),
    "a short checksum": ({"miniconda_sha256": "abc"}, "miniconda_sha256=abc is not 64 hexadecimal digits"),
    "a file": ({"miniconda_url": "file:///tmp"}, "miniconda_url=file:///tmp is no address"),
    "a relative prefix": ({"miniconda_prefix": "opt/x"}, "is not an absolute path"),
    "a command": ({"miniconda_prefix": "/opt/$(reboot)"}, "miniconda_prefix=/opt/$(reboot) is not an absolute path"),
    "no channel": ({"miniconda_channels": []}, "miniconda_channels is empty"),
    "channels twice": ({"miniconda_condarc": {"channels": ["x"]}}, "which belong into miniconda_channels"),
    "no port": ({"miniconda_proxy": "http://me:hush@proxy"}, "miniconda_proxy is no http://[USER:PASSWORD@]HOST:PORT"),
    "hosts with spaces": ({"miniconda_no_proxy": "a, b"}, "miniconda_no_proxy=a, b is no list such as"),
    "a relative bundle": ({"miniconda_ca_bundle": "company.pem"}, "is no absolute path of a file on the machine"),
    "terms by name": ({"miniconda_accept_terms": ["defaults"]}, "miniconda_accept_terms has defaults, where"),
    "defaults": (
        {"miniconda_channels": ["defaults"]},
        f"{UNACCEPTED}, {R}. Read them at https://www.anaconda.com/legal",
    ),
    "defaults half accepted": (
        {"miniconda_channels": ["defaults"], "miniconda_accept_terms": [f"{MAIN}/"]},
        f"are not accepted: {R}.",
    ),
    "defaults of a mirror": ({"miniconda_channels": ["conda-forge", "defaults"], "miniconda_mirror": "cn"}, UNACCEPTED),
    "main by address": ({"miniconda_channels": [f"{MAIN}/linux-64"]}, f"{UNACCEPTED}."),
    "main by its old address": ({"miniconda_channels": ["https://repo.continuum.io/pkgs/main"]}, f"{UNACCEPTED}."),
    "main by its path": ({"miniconda_channels": ["pkgs/main"]}, f"{UNACCEPTED}."),
    "main by name": ({"miniconda_channels": ["https://conda.anaconda.org/main"]}, f"{UNACCEPTED}."),
    "other defaults": (
        {"miniconda_channels": ["defaults"], "miniconda_condarc": {"default_channels": [MAIN]}},
        f"{UNACCEPTED}.",
    ),
}


class Run:
    """One run over many hosts, each with variables of its own."""

    def __init__(self, folder: Path, hosts: dict[str, dict[str, Any]], *arguments: str) -> None:
        (folder / "play.yml").write_text(PLAY)
        names = {case: f"host{number}" for number, case in enumerate(hosts)}
        inventory = {"all": {"hosts": {names[case]: variables for case, variables in hosts.items()}}}
        inventory["all"]["vars"] = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        (folder / "hosts.yml").write_text(yaml.safe_dump(inventory))
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            "ANSIBLE_REMOTE_TEMP": str(folder / "remote"),
            "ANSIBLE_LOCAL_TEMP": str(folder / "local"),
            "TEST_ROOT": str(folder),
            "TEST_FAULT": "",
        }
        done = subprocess.run(
            [
                ROOT / ".venv/bin/ansible-playbook",
                "-i",
                folder / "hosts.yml",
                folder / "play.yml",
                "--diff",
                *arguments,
            ],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.startswith("{"), done.stdout + done.stderr
        self.text = done.stdout
        told = json.loads(done.stdout)
        tasks = [task for play in told["plays"] for task in play["tasks"]]
        self.results = {
            case: [(task["task"]["name"], task["hosts"][name]) for task in tasks if name in task["hosts"]]
            for case, name in names.items()
        }
        self.stats = {case: told["stats"][name] for case, name in names.items()}

    def said(self, case: str) -> str:
        """The message of the last task, which is what the user sees last."""
        return self.results[case][-1][1].get("msg", "")

    def asked(self, case: str) -> dict[str, Any]:
        """What the module was asked for."""
        return next(
            result["invocation"]["module_args"]
            for _, result in self.results[case]
            if "lock_timeout" in result.get("invocation", {}).get("module_args", {})
        )


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("refused")
    places = {"miniconda_prefix": str(folder / "opt/x"), "profile": str(folder / "opt/x.sh")}
    run = Run(folder, {case: {**places, **variables} for case, (variables, _) in REFUSED.items()})
    assert not (folder / "opt").exists()
    return run


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_before_anything_is_done(refused: Run, case: str) -> None:
    assert refused.stats[case]["failures"] == 1
    assert REFUSED[case][1] in refused.said(case)
    assert not [name for name, _ in refused.results[case] if name.startswith("miniconda : Install")]


def test_no_password_is_told(refused: Run) -> None:
    assert "hush" not in refused.text


@pytest.fixture(scope="module")
def server(installers: Path) -> Iterator[Server]:
    server = Server(installers)
    yield server
    server.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("role")


@pytest.fixture(scope="module")
def cases(folder: Path, server: Server) -> dict[str, dict[str, Any]]:
    """Variables with which something comes to be, or does not."""
    served = {
        "miniconda_url": f"{server.url}/miniconda/",
        "miniconda_version": OLD,
        "miniconda_sha256": hashlib.sha256((server.folder / MINICONDA).read_bytes()).hexdigest(),
    }
    cases: dict[str, dict[str, Any]] = {
        "plain": served,
        "terms": {**served, "miniconda_channels": ["defaults"], "miniconda_accept_terms": [MAIN, R]},
        "cn": {**served, "miniconda_mirror": "cn", "miniconda_condarc": {"custom_channels": {}, "ssl_verify": True}},
        "version": {**served, "miniconda_version": "py311_99.1.1-1"},
        "sum": {**served, "miniconda_sha256": "0" * 64},
        "foreign": served,
        "global": {},
        "china": {"miniconda_mirror": "cn", "machine": "aarch64"},
        "forge": {"miniconda_distribution": "miniforge"},
    }
    (folder / "foreign").mkdir()
    (folder / "foreign/thesis.tex").write_text("mine")
    return {
        case: {"miniconda_prefix": str(folder / case), "profile": f"{folder}/etc/{case}.sh", **variables}
        for case, variables in cases.items()
    }


GOOD, FAILING = ("plain", "terms", "cn"), ("version", "sum", "foreign")


@pytest.fixture(scope="module")
def told(folder: Path, cases: dict[str, dict[str, Any]]) -> Run:
    """Check mode, in which nothing is downloaded."""
    return Run(folder, {case: cases[case] for case in cases if case not in FAILING}, "--check")


@pytest.fixture(scope="module")
def done(told: Run, folder: Path, cases: dict[str, dict[str, Any]]) -> Run:
    return Run(folder, {case: cases[case] for case in (*GOOD, *FAILING)})


@pytest.fixture(scope="module")
def again(done: Run, folder: Path, cases: dict[str, dict[str, Any]]) -> Run:
    return Run(folder, {case: cases[case] for case in GOOD})


@pytest.mark.parametrize(
    ("case", "url", "sha256"),
    [
        (
            "global",
            "https://repo.anaconda.com/miniconda/Miniconda3-py311_26.1.1-1-Linux-x86_64.sh",
            "52d1f19154b0716d7dc0872f0d858702640da08a4e53fd0035ba988608203d6b",
        ),
        (
            "china",
            "https://mirrors.tuna.tsinghua.edu.cn/anaconda/miniconda/Miniconda3-py311_26.1.1-1-Linux-aarch64.sh",
            "1726ea55308160a32e82d90a6f4914caa46f58fe157442224f2faf92fdef1e0e",
        ),
        (
            "forge",
            "https://github.com/conda-forge/miniforge/releases/download/26.3.2-3/Miniforge3-26.3.2-3-Linux-x86_64.sh",
            "848194851a98903134187fbb4ab50efe87b003e0c0f808f97644b7524a62bf2c",
        ),
    ],
)
def test_the_installer_follows_from_the_variables(told: Run, case: str, url: str, sha256: str) -> None:
    assert told.stats[case]["changed"] == 1
    assert (told.asked(case)["url"], told.asked(case)["sha256"]) == (url, sha256)


def test_check_mode_tells_what_a_run_does(told: Run, done: Run) -> None:
    for case in ("plain", "terms", "cn"):
        assert told.results[case][-1][1]["diff"] == done.results[case][-1][1]["diff"]


def test_a_second_run_changes_nothing(done: Run, again: Run) -> None:
    for case in again.stats:
        assert (done.stats[case]["changed"], done.stats[case]["failures"]) == (1, 0)
        assert (again.stats[case]["changed"], again.stats[case]["failures"]) == (0, 0)


def test_one_task_asks_the_machine(again: Run) -> None:
    """The others are answered on the controller."""
    asking = [name for name, result in again.results["plain"] if "invocation" in result and "that" not in str(result)]
    assert asking == [f"miniconda : Install Miniconda {OLD}"]


def test_condarc_is_what_the_variables_say(done: Run, folder: Path) -> None:
    common = {
        "auto_activate_base": False,
        "auto_update_conda": False,
        "channel_priority": "strict",
        "notify_outdated_conda": False,
    }
    tuna = "https://mirrors.tuna.tsinghua.edu.cn/anaconda"
    written = {case: yaml.safe_load((folder / case / ".condarc").read_text()) for case in GOOD}
    assert written == {
        "plain": {**common, "channels": ["conda-forge"]},
        "terms": {**common, "channels": ["defaults"]},
        "cn": {
            **common,
            "channels": ["conda-forge"],
            "custom_channels": {},
            "default_channels": [f"{tuna}/pkgs/main", f"{tuna}/pkgs/r"],
            "ssl_verify": True,
        },
    }


def test_only_terms_that_were_named_are_accepted(done: Run, folder: Path) -> None:
    records = {case: sorted((folder / case).glob("conda-meta/tos/*/*.json")) for case in ("plain", "terms")}
    assert records["plain"] == []
    assert sorted(json.loads(file.read_text())["base_url"] for file in records["terms"]) == [MAIN, R]


@pytest.mark.parametrize(
    ("case", "reason", "variables"),
    [
        (
            "version",
            "py311_99.1.1-1-Linux-x86_64.sh cannot be downloaded: the server answered 404",
            "url, miniconda_version",
        ),
        ("sum", "nothing of it was executed", "sha256"),
        ("foreign", "exists and is no conda, so nothing was touched", "prefix"),
    ],
)
def test_a_failure_names_the_variables_that_it_is_about(done: Run, case: str, reason: str, variables: str) -> None:
    assert done.stats[case]["failures"] == 1
    assert reason in done.said(case)
    assert done.said(case).endswith(f"It is about miniconda_{variables}.")
