"""What the inventory makes of EC2's answers, good and bad, as ansible-inventory shows it."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import boto3
import pytest
from moto.server import ThreadedMotoServer

ROOT = Path(__file__).resolve().parents[2]
ITEM = """<item><reservationId>r-{n}</reservationId><ownerId>1</ownerId><instancesSet><item>
<instanceId>i-{n:017x}</instanceId><imageId>ami-1</imageId><instanceType>g4dn.xlarge</instanceType><amiLaunchIndex>0</amiLaunchIndex>
<instanceState><code>16</code><name>running</name></instanceState><launchTime>2026-11-25T08:00:00.000Z</launchTime>
<placement><availabilityZone>us-east-1a</availabilityZone></placement><privateIpAddress>172.31.0.4</privateIpAddress>
<tagSet><item><key>Name</key><value>reader-{n:04}</value></item></tagSet></item></instancesSet></item>"""
PAGE = """<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId>
<reservationSet>{items}</reservationSet>{next}</DescribeInstancesResponse>"""
ERROR = (
    "<Response><Errors><Error><Code>{}</Code><Message>{}</Message></Error></Errors><RequestID>1</RequestID></Response>"
)


class PagedEC2(ThreadingHTTPServer):
    """As many running machines as are asked for, a page at a time; some answers may be errors instead."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.machines = 3
        self.calls: list[int] = []
        # What to answer instead: by the number of the first machine on the page, each answer once.
        self.errors: dict[int, list[tuple[int, str]]] = {}


class Handler(BaseHTTPRequestHandler):
    server: PagedEC2

    def do_POST(self) -> None:
        asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        first, most = int(asked.get("NextToken", ["0"])[0]), int(asked["MaxResults"][0])
        self.server.calls.append(first)
        end = min(first + most, self.server.machines)
        more = f"<nextToken>{end}</nextToken>" if end < self.server.machines else ""
        status, body = 200, PAGE.format(items="".join(ITEM.format(n=n) for n in range(first, end)), next=more)
        if self.server.errors.get(first):
            status, body = self.server.errors[first].pop(0)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def paged() -> Iterator[PagedEC2]:
    with PagedEC2() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """A copy of the local inventory."""
    subprocess.run(["cp", "-rL", *(ROOT / "inventories/local").glob("[!.]*"), tmp_path], check=True)
    return tmp_path


def api_at(port: int) -> list[str]:
    """The options that say so."""
    return ["-e", f"aws_endpoint_url=http://127.0.0.1:{port}"]


def shown(inventory: Path, port: int, *options: str) -> subprocess.CompletedProcess[str]:
    """What ansible-inventory --list says, with the API at a port of this computer."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ANSIBLE_"))}
    environment |= {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "COLUMNS": "500"}
    return subprocess.run(
        [ROOT / ".venv/bin/ansible-inventory", "-i", inventory, "--list", *api_at(port), *options],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def groups(said: subprocess.CompletedProcess[str]) -> dict[str, list[str]]:
    """The hosts of each of our groups."""
    assert said.returncode == 0, said.stderr
    listed = json.loads(said.stdout)
    return {name: listed.get(name, {}).get("hosts", []) for name in ("gluon", "gluon_asleep")}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture
def ec2(port: int) -> Any:
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
    return boto3.client("ec2", endpoint_url=f"http://127.0.0.1:{port}", **keys)


def launched(ec2: Any, project: str, **tags: str) -> str:
    """The id of a new instance."""
    labels = [{"Key": key, "Value": value} for key, value in ({"Project": project} | tags).items()]
    specification = [{"ResourceType": "instance", "Tags": labels}]
    answer = ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, TagSpecifications=specification)
    return answer["Instances"][0]["InstanceId"]


class TestPages:
    def test_a_thousand_and_one_machines_are_all_there(self, paged: PagedEC2, inventory: Path) -> None:
        """FAULTS D17."""
        paged.machines = 1001
        assert groups(shown(inventory, paged.server_port))["gluon"] == [f"reader-{n:04}" for n in range(1001)]
        assert paged.calls == [0, 1000]

    @pytest.mark.parametrize("status", [500, 503])
    def test_a_page_that_fails_for_a_while_is_asked_for_again(
        self, paged: PagedEC2, inventory: Path, status: int
    ) -> None:
        paged.machines = 1001
        paged.errors = {1000: [(status, ERROR.format("InternalError", "Try again"))] * 2}
        assert len(groups(shown(inventory, paged.server_port))["gluon"]) == 1001
        assert paged.calls == [0, 1000, 1000, 1000]

    @pytest.mark.parametrize("bad", [(500, ERROR.format("InternalError", "An error")), (200, "<half")])
    def test_a_page_that_stays_away_is_an_error_and_no_inventory(
        self, paged: PagedEC2, inventory: Path, bad: tuple[int, str]
    ) -> None:
        paged.machines = 1001
        paged.errors = {1000: [bad] * 20}
        said = shown(inventory, paged.server_port)
        assert said.returncode != 0
        assert said.stdout == ""


class TestRefusals:
    @pytest.mark.parametrize(
        ("status", "code", "next_step"),
        [
            (401, "AuthFailure", "aws sts get-caller-identity"),
            (400, "RequestExpired", "renew or set them"),
            (400, "ExpiredToken", "aws sso login"),
            (403, "UnauthorizedOperation", "ec2:DescribeInstances"),
        ],
    )
    def test_it_is_an_error_of_one_sentence_and_not_an_empty_inventory(
        self, paged: PagedEC2, inventory: Path, status: int, code: str, next_step: str
    ) -> None:
        paged.errors = {0: [(status, ERROR.format(code, "AWS was not able to do that"))] * 20}
        said = shown(inventory, paged.server_port)
        assert said.returncode != 0
        assert said.stdout == ""
        # After it comes nothing that another plugin has to say of the file.
        line = [line for line in said.stderr.splitlines() if line.startswith("[WARNING]")][-1]
        assert code in line
        assert "EC2 in us-east-1 did not tell which machines there are" in line
        assert next_step in line
        assert len(paged.calls) == 1

    def test_a_proxy_that_is_not_there_is_named(
        self, paged: PagedEC2, inventory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        said = shown(inventory, paged.server_port)
        assert said.returncode != 0
        assert 'proxy URL: "http://127.0.0.1:9". Check HTTP_PROXY and HTTPS_PROXY; NO_PROXY' in said.stderr
        assert paged.calls == []

    def test_a_playbook_does_not_run_on_it(self, paged: PagedEC2, inventory: Path) -> None:
        paged.errors = {0: [(401, ERROR.format("AuthFailure", "No"))] * 20}
        play = subprocess.run(
            [ROOT / ".venv/bin/ansible-playbook", "-i", inventory, "playbooks/stop.yml", *api_at(paged.server_port)],
            cwd=ROOT,
            env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert play.returncode != 0
        assert "PLAY [" not in play.stdout


class TestMachines:
    def test_a_terminated_or_replaced_machine_is_no_ghost(self, port: int, ec2: Any, inventory: Path) -> None:
        gone, replaced = launched(ec2, "ghosts", Name="gone"), launched(ec2, "ghosts", Name="reader")
        ec2.terminate_instances(InstanceIds=[gone, replaced])
        new = launched(ec2, "ghosts", Name="reader")
        said = shown(inventory, port, "-e", "project=ghosts")
        assert groups(said) == {"gluon": ["reader"], "gluon_asleep": []}
        assert new in said.stdout
        assert gone not in said.stdout
        assert replaced not in said.stdout
        assert said.stderr == ""

    def test_a_stopped_machine_is_asleep(self, port: int, ec2: Any, inventory: Path) -> None:
        ec2.stop_instances(InstanceIds=[launched(ec2, "asleep", Name="reader")])
        assert groups(shown(inventory, port, "-e", "project=asleep")) == {"gluon": [], "gluon_asleep": ["reader"]}

    def test_machines_of_other_projects_are_not_shown(self, port: int, ec2: Any, inventory: Path) -> None:
        launched(ec2, "theirs", Name="reader")
        assert groups(shown(inventory, port, "-e", "project=ours"))["gluon"] == []

    def test_region_and_project_may_be_templates_over_other_variables(
        self, port: int, ec2: Any, inventory: Path
    ) -> None:
        launched(ec2, "class-2026", Name="reader")
        with (inventory / "group_vars/all.yml").open("a") as variables:
            variables.write("""year: 2026\nproject: "class-{{ year }}"\nregion: "{{ 'us-' ~ 'east-1' }}"\n""")
        assert groups(shown(inventory, port))["gluon"] == ["reader"]

    def test_a_template_in_a_tag_stays_text(self, port: int, ec2: Any, inventory: Path, tmp_path: Path) -> None:
        launched(ec2, "evil", Name="reader", Owner="{{ lookup('ansible.builtin.pipe', 'touch canary') }}")
        said = subprocess.run(
            [
                ROOT / ".venv/bin/ansible",
                *["gluon", "-i", inventory, "-m", "ansible.builtin.debug", "-a", "var=aws_tags"],
                *[*api_at(port), "-e", "project=evil"],
            ],
            env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert said.returncode == 0, said.stdout + said.stderr
        assert "lookup(" in said.stdout
        assert not list(tmp_path.rglob("canary"))

    def test_two_of_one_name_are_told_of(self, port: int, ec2: Any, inventory: Path) -> None:
        for _ in range(2):
            launched(ec2, "twins", Name="reader")
        said = shown(inventory, port, "-e", "project=twins")
        assert len(groups(said)["gluon"]) == 2
        assert "reader" in groups(said)["gluon"]
        assert "has that name; so it is shown as i-" in said.stderr

    def test_both_inventories_are_the_same_file(self) -> None:
        aws, local = (ROOT / "inventories" / name / "aws_ec2.yml" for name in ("aws", "local"))
        assert aws.read_text() == local.read_text()
