"""What launching costs: requests to the API, a play that waits on many machines, and an image."""

from __future__ import annotations

from typing import Any

from bench.local import IMAGE, STATE, Figure, control, named, play, playbook, settle, timed
from local_ec2.control import Control

MANY, WAITING = 30, 20
# A machine that is coming up is asked about again and again, for as long as this computer takes to boot it.
POLLS = ("DescribeInstances", "GetConsoleOutput")


def round_trips(requests: list[dict[str, Any]]) -> int:
    """How many requests waited for the answer of an earlier one; those that were under way together count once."""
    count, end = 0, 0.0
    for one in sorted(requests, key=lambda one: one["at"]):
        if one["at"] >= end:
            count += 1
            end = one["at"] + one["ms"] / 1000
    return count


def launching(names: list[str]) -> tuple[int, int]:
    """Requests for launching these machines, and round trips."""
    cloud = control()
    # As far away as AWS is; a nearer API has answered one request before the next is sent.
    cloud.slow("ec2:*", 0.1)
    cloud.forget_requests()
    try:
        playbook("playbooks/provision.yml", machines=named(*names))
    finally:
        cloud.clear()
    requests = [one for one in cloud.requests() if one["action"] not in POLLS]
    return len(requests), round_trips(requests)


def many() -> list[Figure]:
    """Launch one and many, and let as many of them wait as one."""
    names = [f"{number:02}" for number in range(MANY)]
    try:
        one, trips = launching(["one"])
        all_of_them, their_trips = launching(names)
        alone = waiting(names[:1])
        together = waiting(names[:WAITING])
    finally:
        machines = named("one", *names)
        playbook("playbooks/terminate.yml", machines=machines, confirm="yes", allowed=2)
    of = f"{all_of_them} and {one} requests, polls left out"
    return [
        Figure(f"round trips to the API for {MANY} machines, more than for one", their_trips - trips, "", None, of),
        Figure(
            f"a play whose work is waiting, on {WAITING} machines over one",
            together / alone,
            "times",
            1.5,
            f"{together:.1f} and {alone:.1f} s",
        ),
    ]


def waiting(names: list[str]) -> float:
    """Seconds of a play of 20 s of waiting."""
    hosts = ",".join(machine["name"] for machine in named(*names))
    return playbook(play("waiting", [{"ansible.builtin.command": "sleep 20"}], gather_facts=False), hosts=hosts)


def listens_after(cloud: Control, name: str) -> float:
    """Seconds from RunInstances until the notebook said that it runs."""
    launched = [one["at"] for one in cloud.requests("RunInstances")][-1]
    asked = "sudo journalctl -u jupyter -o short-unix | grep -m1 'is running at'"
    _, told = timed("journalctl", ["ssh", "-F", STATE / "ssh_config", name, asked])
    return float(told.split()[0]) - launched


def image() -> list[Figure]:
    """Install everything on a new machine, make an image of it, and launch another from that."""
    cloud = control()
    try:
        settle()
        cloud.forget_requests()
        site = playbook("site.yml", machines=named("cold"), hosts="bench-cold")
        cold = listens_after(cloud, "bench-cold")
        baking = playbook("playbooks/bake.yml", machine="bench-cold", image=IMAGE)
        settle()
        cloud.forget_requests()
        again = playbook("site.yml", machines=named("warm"), ami=IMAGE, hosts="bench-warm")
        warm = listens_after(cloud, "bench-warm")
    finally:
        ends = {"machines": named("cold", "warm"), "confirm": "yes", "purge": "images", "keep": ""}
        playbook("playbooks/terminate.yml", **ends, allowed=2)
    of = f"{warm:.1f} and {cold:.1f} s; the commands {again:.0f} and {site:.0f} s, baking {baking:.0f} s"
    what = "from launch until the notebook listens, from an image over installing"
    return [Figure(what, warm / cold, "times", None, of)]
