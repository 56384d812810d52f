"""An EC2 of these tests' own, without bodies for its machines, and the modules and playbooks run against it."""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import json
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from ansible.module_utils.testing import patch_module_args

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from local_ec2.control import Control
from plugins.module_utils import ec2_launch
from plugins.modules import ec2_leftovers, ec2_stop

REGION = "us-east-1"
KEYS = {"access_key": "AKIALOCALEC2", "secret_key": "the-local-ec2-takes-any"}
PRICES = str(ROOT / "roles/ec2/files/prices.json")
# What a tool of the tester's own account might have set.
ASTRAY = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ACCESS_KEY_ID",
)
# Nobody answers SSH here, which is waited for as briefly as can be asked.
BRIEFLY = {"ec2_timeout": 10}
READS = ("Describe", "Get", "List", "Decode")
# For waiters.
SOON = {"Delay": 0.1, "MaxAttempts": 100}
# A module run begins with a reading of EC2's model, a second of work; those in this process share it.
botocore.session.create_loader = functools.cache(botocore.session.create_loader)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def local_ec2(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "local_ec2", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@functools.cache
def client_of(endpoint: str, service: str, region: str) -> Any:
    return boto3.client(
        service, region, endpoint_url=endpoint, aws_access_key_id="local", aws_secret_access_key="local"
    )


@dataclass
class Cloud:
    """An EC2, and one project in it."""

    endpoint: str
    project: str
    state: Path
    control: Control

    def client(self, service: str = "ec2", region: str = REGION) -> Any:
        return client_of(self.endpoint, service, region)

    def module(self, name: str, *, check: bool = False, **options: Any) -> dict[str, Any]:
        """Run a module in this process; its result, a failed one too."""
        main = importlib.import_module(f"plugins.modules.{name}").main
        arguments = {"region": REGION, "endpoint_url": self.endpoint, **KEYS, **options}
        told = io.StringIO()
        ways = {"_ansible_check_mode": check, "_ansible_diff": True}
        with patch_module_args(arguments | ways), contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
            main()
        return json.loads(told.getvalue().strip().splitlines()[-1])

    def preflight(self, *names: str, **options: Any) -> dict[str, Any]:
        asked = {
            "machines": [{"name": name} for name in names or ("reader",)],
            "project": self.project,
            "owner": "tester",
            "instance_types": ["g4dn.xlarge"],
            "ami": "debian12",
            "ssh_from": "127.0.0.1/32",
            "price_table": PRICES,
        }
        return self.module("ec2_preflight", **asked | options)

    def machines(self, *names: str, places: list[dict[str, Any]] | None = None, **options: Any) -> dict[str, Any]:
        """Run ec2_machines for these names, by default in three zones."""
        where = self.places() if places is None else places
        asked = {
            "machines": [{"name": name, "candidates": where} for name in names or ("reader",)],
            "project": self.project,
            "tags": {"Owner": "tester", "ManagedBy": "gluon-ec2"},
            "image_id": self.image(),
            "root_device": "/dev/xvda",
            "key_name": self.key(),
            "security_group_ids": [self.group()],
            "timeout": 20,
        }
        return self.module("ec2_machines", **asked | options)

    def places(self, *types: str, zones: str = "abc", market: str = "on-demand") -> list[dict[str, Any]]:
        subnets = {one["AvailabilityZone"]: one["SubnetId"] for one in self.client().describe_subnets()["Subnets"]}
        return [
            {"instance_type": one, "zone": f"{REGION}{zone}", "subnet_id": subnets[f"{REGION}{zone}"], "market": market}
            for one in types or ("g4dn.xlarge",)
            for zone in zones
        ]

    def image(self) -> str:
        found = self.client().describe_images(
            Owners=["136693071363"], Filters=[{"Name": "architecture", "Values": ["x86_64"]}]
        )
        return found["Images"][0]["ImageId"]

    def key(self) -> str:
        """The one key pair of all these tests."""
        if not self.client().describe_key_pairs(Filters=[{"Name": "key-name", "Values": ["tests"]}])["KeyPairs"]:
            self.client().create_key_pair(KeyName="tests")
        return "tests"

    def group(self) -> str:
        """A security group that lets nobody in, for all of these tests."""
        found = self.client().describe_security_groups(Filters=[{"Name": "group-name", "Values": ["tests"]}])
        if not found["SecurityGroups"]:
            return self.client().create_security_group(GroupName="tests", Description="tests")["GroupId"]
        return found["SecurityGroups"][0]["GroupId"]

    def instances(self, *states: str) -> list[dict[str, Any]]:
        """The project's instances in these states; in any of the living ones when none is named."""
        filters = [
            {"Name": "tag:Project", "Values": [self.project]},
            {"Name": "instance-state-name", "Values": list(states or ("pending", "running", "stopping", "stopped"))},
        ]
        pages = self.client().get_paginator("describe_instances").paginate(Filters=filters)
        return [one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"]]

    def names(self, *states: str) -> list[str]:
        return sorted(tag["Value"] for one in self.instances(*states) for tag in one["Tags"] if tag["Key"] == "Name")

    def writes(self) -> list[str]:
        """The calls that change something, since the journal was emptied."""
        return [one["action"] for one in self.control.requests() if not one["action"].startswith(READS)]

    def calls(self, action: str) -> int:
        return len(self.control.requests(action))

    def inventory(self) -> Path:
        """An inventory of this project."""
        folder = self.state / "inventory"
        if not folder.exists():
            (folder / "group_vars").mkdir(parents=True)
            for file in ("aws_ec2.yml", "hosts.yml", "group_vars/all.yml", "group_vars/gluon.yml"):
                text = (ROOT / "inventories/local" / file).read_text()
                text = text.replace("http://127.0.0.1:5950", self.endpoint)
                (folder / file).write_text(text.replace("gluon-ec2", self.project))
        return folder

    def playbook(self, name: str, *arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        """Run a playbook as a user would."""
        command = [str(ROOT / ".venv/bin/ansible-playbook"), "-i", str(self.inventory()), f"playbooks/{name}.yml"]
        environment = {key: value for key, value in os.environ.items() if key not in ASTRAY}
        return subprocess.run(
            [*command, "-e", json.dumps(variables), *arguments],
            cwd=ROOT,
            env=environment | {"ANSIBLE_DEPRECATION_WARNINGS": "false", "ANSIBLE_NOCOLOR": "1", "COLUMNS": "400"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of modules run in this process, as they are decided, without waiting for them in full."""
    monkeypatch.setattr(ec2_launch.random, "uniform", lambda low, high: 0.05)
    for module in (ec2_leftovers, ec2_stop):
        monkeypatch.setattr(module, "PAUSE", 0.1)


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    data, port = str(tmp_path_factory.mktemp("ec2") / "data"), free_port()
    try:
        local_ec2("up", "--machines", "none", "--upstream", "real", "--data", data, "--port", str(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        local_ec2("down", "--data", data)


@pytest.fixture
def cloud(endpoint: str, tmp_path: Path) -> Iterator[Cloud]:
    """A project of the test's own, in an EC2 without faults whose journal is empty."""
    control = Control(endpoint)
    control.clear()
    cloud = Cloud(endpoint, f"p{uuid.uuid4().hex[:8]}", tmp_path, control)
    cloud.key()
    cloud.group()
    control.forget_requests()
    yield cloud
    control.clear()
    if left := [one["InstanceId"] for one in cloud.instances()]:
        cloud.client().terminate_instances(InstanceIds=left)
