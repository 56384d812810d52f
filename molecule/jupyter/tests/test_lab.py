"""The same machine with JupyterLab, by a run with jupyter_interface=lab, and with the classic notebook again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import CONVERGE, PORT, PYTHON, TOKEN, Machine, changed, playbook

CLASSIC = "/etc/jupyter/jupyter_notebook_config.py"
LAB = [
    "/etc/jupyter/lab_config.py",
    "/etc/jupyter/labextensions/gluon-ec2/package.json",
    "/etc/jupyter/labextensions/gluon-ec2/remoteEntry.js",
]
# What idle_stop reads of a kernel and of a terminal, and the page that the browser gets.
ASK = f"""
import http.client, json, re
HEADERS = {{"Authorization": "token " + open("{TOKEN}").read().strip()}}
def ask(method, path):
    connection = http.client.HTTPConnection("127.0.0.1", {PORT}, timeout=30)
    connection.request(method, path, headers=HEADERS)
    return connection.getresponse().read().decode()
kernel, terminal = (json.loads(ask("POST", path)) for path in ("/api/kernels", "/api/terminals"))
print(json.dumps({{
    "kernels": json.loads(ask("GET", "/api/kernels?no_track_activity=1")),
    "terminals": json.loads(ask("GET", "/api/terminals?no_track_activity=1")),
    "sessions": json.loads(ask("GET", "/api/sessions?no_track_activity=1")),
    "page": json.loads(re.search(r'id="jupyter-config-data"[^>]*>(.*?)</script>', ask("GET", "/lab"), re.S)[1]),
    "extension": ask("GET", "/lab/extensions/gluon-ec2/remoteEntry.js"),
    "news": json.loads(ask("GET", "/lab/api/news")),
    "update": json.loads(ask("GET", "/lab/api/update")),
}}))
ask("DELETE", "/api/kernels/" + kernel["id"])
ask("DELETE", "/api/terminals/" + terminal["name"])
"""


def run(*arguments: str) -> str:
    done = playbook(CONVERGE, *arguments)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def runs(machine: Machine) -> Iterator[dict[str, Any]]:
    """What the runs with JupyterLab said, and the token from before."""
    before = machine.token()
    try:
        wish = ("-e", "jupyter_interface=lab")
        foretold = playbook(CONVERGE, *wish, "--check").stdout
        yield {"token": before, "foretold": foretold, "first": run(*wish), "second": run(*wish)}
    finally:
        run()


@pytest.fixture(scope="module")
def told(machine: Machine, runs: dict[str, Any]) -> dict[str, Any]:
    return json.loads(machine.python(ASK))


@pytest.fixture(scope="module")
def read(machine: Machine, runs: dict[str, Any]) -> dict[str, Any]:
    """What a reader's session in the browser came to (see browser.py)."""
    return json.loads(machine.python(Path(__file__).with_name("browser.py").read_text(), TOKEN, str(PORT)))


def test_a_second_run_changes_nothing(runs: dict[str, Any]) -> None:
    assert changed(runs["foretold"]) > 0
    assert changed(runs["first"]) > 0
    assert changed(runs["second"]) == 0, runs["second"]


def test_it_is_the_same_unit_with_the_same_token(machine: Machine, runs: dict[str, Any]) -> None:
    assert machine.state() == "active"
    assert f"{PYTHON} -m jupyterlab" in machine(f"ps -o args= -p {machine.state('MainPID')}")
    assert machine.token() == runs["token"]
    assert machine.takes(runs["token"])


@pytest.mark.usefixtures("runs")
def test_it_listens_on_loopback_only(machine: Machine) -> None:
    listeners = machine(f"ss -Hltn 'sport = :{PORT}'").splitlines()
    assert [line.split()[3] for line in listeners] == [f"127.0.0.1:{PORT}"]


@pytest.mark.usefixtures("runs")
def test_it_is_hardened(machine: Machine) -> None:
    report = machine("systemd-analyze security --no-pager jupyter.service")
    assert float(re.search(r"Overall exposure level .*: ([\d.]+)", report).group(1)) <= 2.5


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("path", LAB)
def test_its_files_are_the_roots(machine: Machine, path: str) -> None:
    assert machine(f"stat -c '%U %a' {path}") == "root 644"


@pytest.mark.usefixtures("runs")
def test_nothing_of_the_classic_notebook_is_read(machine: Machine) -> None:
    assert machine(f"ls {CLASSIC} || echo gone") == "gone"


def test_a_chapter_is_run_and_saved_as_the_book_wrote_it(read: dict[str, Any]) -> None:
    assert read["cells"] == 2
    assert read["outputs"] == ["[1, 2, 3]", "6\n", "2"]
    assert read["opened_and_saved"] == read["chapter"] == read["run_and_saved"]


def test_it_answers_only_to_the_token(read: dict[str, Any]) -> None:
    assert read["status"] == {"with the token": 200, "without": 403, "with another": 403, "by another name": 403}


def test_the_token_does_not_show(machine: Machine, read: dict[str, Any], runs: dict[str, Any]) -> None:
    assert not read["token_in_kernel"]
    assert runs["token"] not in machine("journalctl -u jupyter.service --no-pager; cat /proc/[0-9]*/cmdline")


def test_the_browser_gets_what_opens_chapters(told: dict[str, Any]) -> None:
    assert "gluon-ec2" in [one["name"] for one in told["page"]["federated_extensions"]]
    assert "addFileType" in told["extension"]


def test_it_asks_nobody_for_news(told: dict[str, Any]) -> None:
    assert "@jupyterlab/apputils-extension:announcements" in told["page"]["disabledExtensions"]
    assert (told["news"], told["update"]) == ({"news": []}, {"notification": None})


def test_it_tells_idle_stop_what_that_asks(told: dict[str, Any]) -> None:
    assert {"id", "execution_state", "last_activity"} <= set(told["kernels"][0])
    assert {"name", "last_activity"} <= set(told["terminals"][0])
    assert isinstance(told["sessions"], list)


# The last one: it ends what the others look at.
def test_the_classic_notebook_comes_back(machine: Machine, runs: dict[str, Any]) -> None:
    assert changed(run()) > 0
    assert machine(f"ls -d {' '.join([*LAB, '/etc/jupyter/labextensions'])} 2>/dev/null || echo gone") == "gone"
    assert f"{PYTHON} -m notebook" in machine(f"ps -o args= -p {machine.state('MainPID')}")
    assert machine.takes(runs["token"])
