"""Measure what launching costs on the local EC2 that `make local` made, and print it: python -m bench.cloud [PART...]

class    one run for 1 and for 30 machines: requests to the API, and round trips (requests that waited for another)
waiting  a play whose work is waiting, on 1 and on 20 of these machines
bake     from RunInstances until the notebook listens: everything installed on a new machine, and launched from an image
roster   class.yml from a baked image for 1, 3 and 10 students: seconds, again with nothing to do, and memory

The machines are called bench-..., and deleted at the end. The machine of `make local` is left alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from bench.__main__ import INVENTORY, ROOT
from local_ec2.control import Control
from local_ec2.folder import Folder

STATE = INVENTORY / ".state/gluon-ec2"
MANY, WAITING = 30, 20
IMAGE = "bench-image"
STUDENTS = (1, 3, 10)
DATA = Path(os.environ.get("LOCAL_EC2_DATA", ROOT / ".local_ec2"))
# A machine that is coming up is asked about again and again, for as long as this computer takes to boot it.
POLLS = ("DescribeInstances", "GetConsoleOutput")


def control() -> Control:
    text = yaml.safe_load((INVENTORY / "group_vars/all.yml").read_text())
    return Control(text["aws_endpoint_url"])


def playbook(file: str | Path, *, allowed: int = 0, **variables: Any) -> float:
    """Run a playbook; its seconds. Exits when it fails: a figure of a failed run means nothing."""
    started = time.monotonic()
    done = subprocess.run(
        [ROOT / ".venv/bin/ansible-playbook", "-i", INVENTORY, file, "-e", json.dumps(variables)],
        cwd=ROOT,
        env=os.environ | {"ANSIBLE_DEPRECATION_WARNINGS": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, allowed):
        sys.exit(f"{file} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return time.monotonic() - started


def machines(count: int, first: int = 0) -> list[dict[str, str]]:
    return [{"name": f"bench-{number:02}"} for number in range(first, first + count)]


def round_trips(requests: list[dict[str, Any]]) -> int:
    """How many requests waited for the answer of an earlier one; those that were under way together count once."""
    count, end = 0, 0.0
    for one in sorted(requests, key=lambda one: one["at"]):
        if one["at"] >= end:
            count += 1
            end = one["at"] + one["ms"] / 1000
    return count


def of_class() -> None:
    cloud = control()
    figures = []
    # As far away as AWS is; a nearer API has answered one request before the next is sent.
    cloud.slow("ec2:*", 0.1)
    for count, first in ((1, 90), (MANY, 0)):
        cloud.forget_requests()
        seconds = playbook("playbooks/provision.yml", machines=machines(count, first))
        requests = [one for one in cloud.requests() if one["action"] not in POLLS]
        figures.append((count, len(requests), round_trips(requests), seconds))
    cloud.clear()
    print(f"\n{'machines':>10} {'requests':>10} {'round trips':>12} {'seconds':>8}   (polls left out, 0.1 s away)")
    for count, requests, trips, seconds in figures:
        print(f"{count:>10} {requests:>10} {trips:>12} {seconds:>8.1f}")


def of_waiting() -> None:
    with tempfile.TemporaryDirectory() as name:
        play = Path(name) / "wait.yml"
        task = "{ansible.builtin.command: sleep 20, changed_when: false}"
        play.write_text(f"- hosts: '{{{{ which }}}}'\n  gather_facts: false\n  tasks: [{task}]\n")
        one = playbook(play, which="bench-00")
        many = playbook(play, which=",".join(machine["name"] for machine in machines(WAITING)))
    print(f"\n20 s of waiting on 1 machine {one:.1f} s, on {WAITING} machines {many:.1f} s: {many / one:.2f} times")


def listens_after(cloud: Control, name: str) -> float:
    """Seconds from RunInstances until the notebook said that it runs."""
    launched = [one["at"] for one in cloud.requests("RunInstances")][-1]
    asked = "sudo journalctl -u jupyter -o short-unix | grep -m1 'is running at'"
    told = subprocess.run(["ssh", "-F", STATE / "ssh_config", name, asked], capture_output=True, text=True, check=True)
    return float(told.stdout.split()[0]) - launched


def of_bake() -> None:
    cloud = control()
    cloud.forget_requests()
    whole = playbook("site.yml", machines=[{"name": "bench-cold"}], hosts="bench-cold")
    cold = listens_after(cloud, "bench-cold")
    baking = playbook("playbooks/bake.yml", machine="bench-cold", image=IMAGE)
    playbook("playbooks/terminate.yml", only="bench-cold", confirm="yes")
    cloud.forget_requests()
    again = playbook("playbooks/start.yml", machines=[{"name": "bench-warm"}], ami=IMAGE, hosts="bench-warm")
    warm = listens_after(cloud, "bench-warm")
    print(
        f"\nfrom RunInstances until the notebook listens: {cold:.1f} s, from an image {warm:.1f} s, "
        f"{warm / cold:.2f} times"
    )
    print(f"the whole command: site.yml {whole:.1f} s, start.yml from an image {again:.1f} s; baking {baking:.1f} s")


def memory() -> tuple[float, float]:
    """MB of the machines of this local EC2, all together, and of what this computer has left."""
    shown = ["podman", "stats", "--no-stream", "--format", "json"]
    every = json.loads(subprocess.run(shown, capture_output=True, text=True, check=True).stdout or "[]")
    used = [one["mem_usage"].split()[0] for one in every if one["name"].startswith(f"{Folder(DATA).owner}-i-")]
    # 97.5MB, and 0B of one that is stopped.
    units = {"kB": 1e3, "MB": 1e6, "GB": 1e9, "B": 1.0}
    megabytes = sum(float(text.rstrip("kMGB")) * units[text.lstrip("0123456789.")] for text in used) / 1e6
    left = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable"))
    return megabytes, int(left.split()[1]) / 1000


def of_roster() -> None:
    playbook("site.yml", machines=[{"name": "bench-cold"}], hosts="bench-cold")
    baking = playbook("playbooks/bake.yml", machine="bench-cold", image=IMAGE)
    playbook("playbooks/terminate.yml", only="bench-cold", confirm="yes")
    figures = []
    for count in STUDENTS:
        roster = [{"name": f"bench {number:02}"} for number in range(count)]
        _, before = memory()
        first, again = (playbook("playbooks/class.yml", roster=roster, ami=IMAGE) for _ in range(2))
        theirs, after = memory()
        figures.append((count, first, again, theirs, before - after))
        playbook("playbooks/terminate.yml", roster=roster, confirm="yes", keep="images")
    print(f"\nbaking {baking:.0f} s, once; class.yml from the image, until the hand-outs are written:")
    print(f"{'students':>10} {'seconds':>8} {'again':>8} {'MB of the machines':>20} {'MB less here':>14}")
    for count, first, again, theirs, less in figures:
        print(f"{count:>10} {first:>8.0f} {again:>8.0f} {theirs:>20.0f} {less:>14.0f}")


def clean() -> None:
    names = [*machines(MANY), *machines(1, 90), {"name": "bench-cold"}, {"name": "bench-warm"}]
    playbook("playbooks/terminate.yml", machines=names, confirm="yes", purge="images", allowed=2)


PARTS = {"class": of_class, "waiting": of_waiting, "bake": of_bake, "roster": of_roster}


def main() -> int:
    asked = sys.argv[1:] or list(PARTS)
    if unknown := [part for part in asked if part not in PARTS]:
        sys.exit(f"No part is called {', '.join(unknown)}; there are {', '.join(PARTS)}.")
    try:
        for part in asked:
            PARTS[part]()
    finally:
        clean()
    return 0


if __name__ == "__main__":
    sys.exit(main())
