"""Measure what the inventory costs over boto3's own describe, and print a table.

EC2's answers are recorded from moto, then given at once from memory, so that only the client's own work counts: what
EC2 and the network take is the same for both, and brings the ratios nearer to 1. Two pairs are measured:
  run      `ansible-inventory --list`, and a Python program that describes the same machines and prints them as JSON
  inside   reading the inventory, and making a client and describing all pages, in a process that has all imported
"""

from __future__ import annotations

import argparse
import contextlib
import http.server
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlencode

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
COUNTS = [1, 100, 1000]
KEYS = {"AWS_ACCESS_KEY_ID": "a-key", "AWS_SECRET_ACCESS_KEY": "its-secret", "AWS_DEFAULT_REGION": "us-east-1"}
FILTERS = [
    {"Name": "tag:Project", "Values": ["gluon-ec2"]},
    {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]},
]
# Twelve tags, the role's own and some of a reader's.
TAGS = {"Project": "gluon-ec2", "Owner": "reader@example.org", "ManagedBy": "gluon-ec2", "LoginUser": "ubuntu"} | {
    f"costs-{place}": f"some value of some length, number {place}" for place in range(7)
}
DESCRIBE = f"""
import json, sys, boto3
pages = boto3.client("ec2", endpoint_url=sys.argv[1]).get_paginator("describe_instances").paginate(Filters={FILTERS!r})
found = [one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"]]
json.dump(found, sys.stdout, default=str)
"""
INVENTORIES = {
    "gluon_ec2": "plugin: gluon_ec2\nproject: gluon-ec2\nregion: us-east-1\nendpoint_url: {}\n",
    "amazon.aws.aws_ec2": """
plugin: amazon.aws.aws_ec2
endpoint_url: {}
regions: [us-east-1]
filters:
  tag:Project: gluon-ec2
  instance-state-name: [pending, running, stopping, stopped]
strict: true
hostnames: [tag:Name, instance-id]
hostvars_prefix: aws_
groups:
  gluon: aws_state.name == 'running'
  gluon_asleep: aws_state.name != 'running'
compose:
  ansible_host: aws_public_ip_address | default(aws_private_ip_address, true)
  ansible_user: aws_tags.LoginUser | default('ubuntu')
""",
}


@dataclass
class Cost:
    """Seconds of a run and inside one; bytes of a host's variables, at most, as ansible-inventory shows them."""

    run: float
    inside: float
    size: int = 0


def free_port() -> int:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        return server.server_port


@contextlib.contextmanager
def moto() -> Iterator[str]:
    """The address of a moto server that lasts as long as this."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            for _ in range(100):
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(url, timeout=5).close()
                    break
                time.sleep(0.1)
            yield url
        finally:
            process.terminate()


def recorded(counts: list[int]) -> dict[int, bytes]:
    """What EC2 answers about as many machines, each with an interface, two disks and twelve tags."""
    import boto3

    query: dict[str, str] = {"Action": "DescribeInstances", "Version": "2016-11-15", "MaxResults": "5000"}
    for place, condition in enumerate(FILTERS, 1):
        query[f"Filter.{place}.Name"] = str(condition["Name"])
        query |= {f"Filter.{place}.Value.{n}": value for n, value in enumerate(condition["Values"], 1)}
    answers = {}
    with moto() as url:
        ec2 = boto3.client("ec2", endpoint_url=url)
        subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
        disk = {"VolumeSize": 40, "VolumeType": "gp3", "Encrypted": True}
        made = 0
        for count in sorted(counts):
            for number in range(made, count):
                tags = [{"Key": key, "Value": value} for key, value in ({"Name": f"reader-{number:04}"} | TAGS).items()]
                ec2.run_instances(
                    MinCount=1,
                    MaxCount=1,
                    ImageId="ami-12c6146b",
                    InstanceType="g4dn.xlarge",
                    SubnetId=subnet,
                    BlockDeviceMappings=[{"DeviceName": f"/dev/sd{letter}1", "Ebs": disk} for letter in "ab"],
                    TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
                )
            made = count
            # moto does not check signatures, but reads from them which service is meant.
            scope = {"Authorization": "AWS4-HMAC-SHA256 Credential=a-key/20260101/us-east-1/ec2/aws4_request"}
            request = urllib.request.Request(url, urlencode(query).encode(), scope)
            with urllib.request.urlopen(request, timeout=300) as response:
                answers[count] = response.read()
    return answers


def serve(port: int, answers: dict[int, bytes]) -> None:
    """Answer every request to /N with the answer about N machines."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            assert body["Action"] == ["DescribeInstances"], body
            answer = answers[int(self.path.strip("/"))]
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {len(answer)}\r\n\r\n"
            self.wfile.write(head.encode() + answer)

    http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


def timed(times: int, doings: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The median of the seconds that each takes. They take turns, so that a busy moment meets all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in doings}
    for _ in range(times):
        for name, do in doings.items():
            started = time.perf_counter()
            do()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def program(*command: str | Path) -> bytes:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def describe(url: str) -> int:
    """How many machines there are, asked of boto3."""
    import boto3

    pages = boto3.session.Session().client("ec2", endpoint_url=url).get_paginator("describe_instances")
    return sum(len(one["Instances"]) for page in pages.paginate(Filters=FILTERS) for one in page["Reservations"])


def read(file: Path) -> int:
    """How many machines there are, asked of an inventory."""
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader

    return len(InventoryManager(loader=DataLoader(), sources=[str(file)]).groups["gluon"].get_hosts())


def measure(url: str, count: int, times: int, folder: Path) -> dict[str, Cost]:
    """What boto3 and each of the inventories cost."""
    runs: dict[str, Callable[[], bytes]] = {"boto3": lambda: program(sys.executable, "-c", DESCRIBE, url)}
    insides: dict[str, Callable[[], int]] = {"boto3": lambda: describe(url)}
    for plugin, text in INVENTORIES.items():
        file = folder / f"{plugin}-{count}.aws_ec2.yml"
        file.write_text(text.format(url))
        runs[plugin] = partial(program, BIN / "ansible-inventory", "-i", file, "--list")
        insides[plugin] = partial(read, file)
    for inside in insides.values():
        assert inside() == count
    run, inside = timed(times, runs), timed(times, insides)
    costs = {name: Cost(run[name], inside[name]) for name in runs}
    for plugin in INVENTORIES:
        shown = json.loads(runs[plugin]())["_meta"]["hostvars"]
        costs[plugin].size = max(len(json.dumps(variables, separators=(",", ":"))) for variables in shown.values())
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.inventory", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=5, help="runs of each, of which the median is shown (5)")
    times = parser.parse_args().times
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= KEYS | {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_INVENTORY_ENABLED": ",".join(INVENTORIES),
        "ANSIBLE_DEPRECATION_WARNINGS": "false",
    }
    from ansible.plugins.loader import init_plugin_loader

    init_plugin_loader([])
    port = free_port()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(port, recorded(COUNTS)), daemon=True)
    server.start()
    print(f"{'':<20}{'machines':>8} |  run: boto3  inventory  ratio |  inside: boto3  inventory  ratio | bytes each")
    with tempfile.TemporaryDirectory() as folder:
        for count in COUNTS:
            costs = measure(f"http://127.0.0.1:{port}/{count}", count, times, Path(folder))
            boto3 = costs.pop("boto3")
            for plugin, cost in costs.items():
                print(
                    f"{plugin:<20}{count:>8} | {boto3.run:>9.2f} s {cost.run:>8.2f} s {cost.run / boto3.run:>6.2f} "
                    f"| {boto3.inside:>12.3f} s {cost.inside:>8.3f} s {cost.inside / boto3.inside:>6.2f} "
                    f"| {cost.size:>10}",
                    flush=True,
                )
    server.terminate()


if __name__ == "__main__":
    main()
