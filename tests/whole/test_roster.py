"""A class from a baked image, in which there is no room for one student at first. After the tests of the first life."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from conftest import ENDPOINT, IMAGE, INVENTORY, ROOT, Baked

from local_ec2.control import Control

PROJECT = "kurs"
STATE = INVENTORY / f".state/{PROJECT}"
STUDENTS = [
    {"name": "Li Wei", "email": "li@example.org"},
    {"name": "李伟", "machine": "s02"},
    {"name": "Chen", "type": "c5.large"},
]


@dataclass
class Class:
    """Its roster and where its work is collected; what the first run said."""

    folder: Path
    first: str = ""

    def play(self, name: str, *arguments: str, fails: bool = False) -> str:
        """Run a playbook for the class; what it printed."""
        options = {
            "project": PROJECT,
            "roster": str(self.folder / "roster.yml"),
            "collected_dir": f"{self.folder}/collected",
        }
        started = time.monotonic()
        done = subprocess.run(
            [
                ".venv/bin/ansible-playbook",
                "-i",
                INVENTORY,
                f"playbooks/{name}.yml",
                "-e",
                json.dumps(options),
                *arguments,
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        print(f"{name}: {time.monotonic() - started:.0f} s")
        assert (done.returncode != 0) == fails, done.stdout
        return done.stdout

    def lines(self, output: str, head: str) -> list[str]:
        return [line.split(maxsplit=1)[1] for line in output.splitlines() if line.startswith(f"  {head}")]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ours() -> dict[str, str]:
    """Machine -> state, of the class."""
    client = boto3.client("ec2", "us-east-1", endpoint_url=ENDPOINT, aws_access_key_id="a", aws_secret_access_key="b")
    found = client.describe_instances(Filters=[{"Name": "tag:Project", "Values": [PROJECT]}])["Reservations"]
    states = {}
    for one in [one for reservation in found for one in reservation["Instances"]]:
        tags = {tag["Key"]: tag["Value"] for tag in one["Tags"]}
        if one["State"]["Name"] != "terminated":
            states[tags["Name"]] = one["State"]["Name"]
            # Nobody's name or address is told to AWS, but for the machine's own.
            assert "example.org" not in json.dumps(tags)
    return states


def on(machine: str, command: str) -> str:
    return subprocess.run(
        ["ssh", "-F", STATE / "ssh_config", machine, command], capture_output=True, text=True, check=True
    ).stdout


def handout(machine: str) -> Path:
    return STATE / "handouts" / machine


@pytest.fixture(scope="module")
def course(baked: Baked, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Class]:
    """The class after its first run, in which there was no room for Chen's machine."""
    course = Class(tmp_path_factory.mktemp("class"))
    (course.folder / "roster.yml").write_text(json.dumps(STUDENTS, ensure_ascii=False))
    control = Control(ENDPOINT)
    control.no_capacity(type="c5.large")
    try:
        port = f"notebook_port={free_port()}"
        course.first = course.play("class", "-e", f"ami={IMAGE}", "-e", port, "-vvv", fails=True)
        control.clear()
        yield course
    finally:
        control.clear()
        course.play("terminate", "-e", "confirm=yes", "-e", "all=yes")


@pytest.fixture
def folder(course: Class, tmp_path: Path) -> Path:
    """What Li Wei was given, on a computer that has nothing else, as it lies there when it came over a memory stick."""
    given = tmp_path / "given"
    shutil.copytree(handout("li-wei"), given)
    for file in given.iterdir():
        file.chmod(0o644)
    return given


def shell(folder: Path, command: str) -> subprocess.Popen[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder / "no home")}
    return subprocess.Popen(
        ["sh", "-c", command], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_one_that_cannot_be_had_does_not_stop_the_others(course: Class) -> None:
    assert course.lines(course.first, "ready") == ["2 of 3"]
    (lost,) = course.lines(course.first, "not ready")
    assert "chen (Chen)" in lost
    assert "c5.large" in lost
    assert ours() == {"li-wei": "running", "s02": "running"}


def test_what_was_said_holds_no_secret(course: Class) -> None:
    """FAULTS S4."""
    for machine in ("li-wei", "s02"):
        sheet = (handout(machine) / "sheet.md").read_text()
        (token,) = re.findall(r"token=(\w+)", sheet)
        assert len(token) == 64
        assert token not in course.first
    assert "PRIVATE KEY" not in course.first
    assert {file.stat().st_mode & 0o777 for file in handout("li-wei").iterdir()} == {0o600}
    assert handout("li-wei").stat().st_mode & 0o777 == 0o700


def test_the_folder_is_all_that_a_student_needs(course: Class, folder: Path) -> None:
    sheet = (folder / "sheet.md").read_text()
    assert sheet.startswith("# Li Wei\n")
    once = re.search(r"`(chmod [^`]+)`", sheet)[1]
    command = re.search(r"^ +(ssh .*)$", sheet, re.MULTILINE)[1]
    address, token = re.search(r"(http://\S+)/tree\?token=(\w+)", sheet).groups()
    tunnel = shell(folder, f"{once} && exec {command}")
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                answer = urllib.request.urlopen(f"{address}/api/contents?token={token}", timeout=5).read()
                break
            except OSError:
                assert tunnel.poll() is None, tunnel.stdout.read()
                assert time.monotonic() < deadline
                time.sleep(0.2)
    finally:
        tunnel.kill()
        tunnel.wait()
    assert "note.md" in [one["name"] for one in json.loads(answer)["content"]]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("ssh -F ssh_config li-wei id", "This key opens the way to the notebook only"),
        ("ssh -F ssh_config -W 127.0.0.1:22 li-wei", "administratively prohibited"),
    ],
)
def test_the_key_opens_nothing_else(folder: Path, command: str, said: str) -> None:
    told, _ = shell(folder, f"chmod 600 id_ed25519; {command} </dev/null").communicate(timeout=60)
    assert said in told
    assert "uid=" not in told


def test_the_key_is_for_one_machine(folder: Path) -> None:
    shutil.copy(handout("s02") / "ssh_config", folder)
    shutil.copy(handout("s02") / "known_hosts", folder)
    told, _ = shell(folder, "chmod 600 id_ed25519; ssh -N -F ssh_config -o BatchMode=yes s02").communicate(timeout=60)
    assert "Permission denied" in told


def test_work_is_collected_and_never_replaced(course: Class) -> None:
    on("li-wei", "cd gluon-tutorials-zh && echo mine > $(git ls-files '*.md' | head -1) && echo {} > 我的.ipynb")
    on("li-wei", r'cd gluon-tutorials-zh && ln -s /etc/passwd link && touch -- "$(printf "%s\n%s" -rf odd)"')
    for _ in range(2):
        said = course.lines(course.play("collect", fails=True), "collected")
        assert len(said) == 2
    collections = sorted(one for one in (course.folder / "collected/li-wei").iterdir() if one.is_dir())
    assert len(collections) == 2
    for one in collections:
        names = sorted(str(file.relative_to(one)) for file in one.rglob("*") if file.is_file())
        assert "我的.ipynb" in names
        assert "%2Drf%0Aodd" in names
        assert "link" not in names
        assert "mine\n" in [file.read_text() for file in one.rglob("*.md")]
    assert "link: it is a link" in said[0]
    # The note was on the machine that the image is of.
    assert len(list((course.folder / "collected/s02").rglob("note.md"))) == 2


@pytest.mark.slow
class TestDays:
    """More than a minute more: the one who is missing, a stop of one, a start of all, and the end."""

    def test_another_run_adds_exactly_who_is_missing(self, course: Class) -> None:
        control = Control(ENDPOINT)
        before = {machine: (handout(machine) / "sheet.md").read_text() for machine in ("li-wei", "s02")}
        port = re.search(r"127.0.0.1:(\d+)/tree", before["s02"])[1]
        control.forget_requests()
        said = course.play("class", "-e", f"ami={IMAGE}", "-e", f"notebook_port={port}")
        assert course.lines(said, "ready") == ["3 of 3"]
        assert len(control.requests("RunInstances")) == 1
        assert {machine: (handout(machine) / "sheet.md").read_text() for machine in before} == before

    def test_one_who_is_asleep_is_named_and_the_others_are_collected(self, course: Class) -> None:
        course.play("stop", "-e", "only=li-wei")
        said = course.play("collect", fails=True)
        assert "class_start.yml starts it" in course.lines(said, "not ready")[0]
        assert len(course.lines(said, "collected")) == 2
        assert len(course.lines(course.play("collect", "-e", "only=s02"), "collected")) == 1
        assert "2 of 3 machines run for" in course.play("status")

    def test_all_stop_and_start(self, course: Class) -> None:
        course.play("stop")
        assert set(ours().values()) == {"stopped"}
        assert course.lines(course.play("class_start", "-e", "only=s02"), "ready") == ["1 of 1"]
        assert sorted(ours().values()) == ["running", "stopped", "stopped"]
        assert course.lines(course.play("class_start"), "ready") == ["3 of 3"]

    def test_the_end_leaves_nothing(self, course: Class) -> None:
        assert "add -e confirm=yes" in course.play("terminate", fails=True)
        course.play("terminate", "-e", "confirm=yes")
        assert ours() == {}
        assert list((STATE / "handouts").iterdir()) == []
