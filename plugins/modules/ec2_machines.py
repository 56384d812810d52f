#!/usr/bin/python
# MIT licence
"""Have named EC2 machines running. More than half of this file is its documentation."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ec2_machines
short_description: Have named EC2 machines running, launched wherever there is room
version_added: 0.1.0
description:
  - Launches the machines of a project that are missing, starts those that are stopped, and waits until all run.
    A machine is found by its tags C(Project) and C(Name).
  - Each machine has a list of places (type, zone, on demand or spot) in the order of the wish. A place that is full
    costs one call, and the next one is asked. A quota that is full rules out all that counts against it. Missing
    permissions and bad credentials end it at once.
  - Machines that are alike are launched by one call. When there is room for some of them, those are kept, and the
    others tried elsewhere; the next run launches only what is still missing.
  - Two runs at once make one machine of a name. The same wish has the same client token; when the wishes differ, the
    younger machine is terminated again by the run that launched it.
  - A machine that cannot be had does not fail the module as long as the others can; it is in RV(failed_machines).
options:
  machines:
    description: The machines.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The machine's name.
        type: str
        required: true
      candidates:
        description:
          - The places to launch it in, as RV(d2l.gluon_ec2.ec2_preflight#module:candidates) gives them. Only needed for
            a machine that is missing.
        type: list
        elements: dict
        default: []
        suboptions:
          instance_type:
            description: The type.
            type: str
            required: true
          zone:
            description: The availability zone.
            type: str
            required: true
          subnet_id:
            description: The subnet, in that zone.
            type: str
            required: true
          market:
            description: How it is paid.
            type: str
            choices: [on-demand, spot]
            default: on-demand
          usd:
            description: What it costs per hour. Not used.
            type: float
      tags:
        description: Further tags of this machine.
        type: dict
        default: {}
  project:
    description: The C(Project) tag.
    type: str
    required: true
  tags:
    description: Tags of the machines and their disks.
    type: dict
    default: {}
  image_id:
    description: The image.
    type: str
    default: ""
  root_device:
    description: The image's name of the root disk.
    type: str
    default: /dev/sda1
  volume_size:
    description: The root disk in GB. It is gp3, encrypted, and goes with the machine.
    type: int
    default: 40
  volume_iops:
    description: Its IOPS.
    type: int
    default: 3000
  volume_throughput:
    description: Its throughput in MiB/s.
    type: int
    default: 125
  key_name:
    description: The key pair.
    type: str
    default: ""
  security_group_ids:
    description: The security groups.
    type: list
    elements: str
    default: []
  public_address:
    description: Whether the machines have a public IPv4 address.
    type: bool
    default: true
  instance_profile:
    description: An instance profile. Empty, none.
    type: str
    default: ""
  max_price:
    description: What spot may cost at the most, in USD per hour. V(0), what it costs on demand.
    type: float
    default: 0
  timeout:
    description: How long the machines may take to run, in seconds.
    type: int
    default: 600
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Says what would be launched and started.
    support: full
  diff_mode:
    description: Shows the states of the machines before and after.
    support: full
author:
  - The gluon-ec2 authors (@d2l-ai)
"""

EXAMPLES = r"""
- name: Have alice and bob running
  ec2_machines:
    region: us-east-1
    project: course
    machines:
      - name: alice
        candidates: "{{ places }}"
      - name: bob
        candidates: "{{ places }}"
    image_id: ami-0123456789abcdef0
    key_name: course
    security_group_ids: [sg-0123456789abcdef0]
  vars:
    places:
      - {instance_type: g4dn.xlarge, zone: us-east-1a, subnet_id: subnet-0aaaaaaaaaaaaaaaa}
      - {instance_type: g5.xlarge, zone: us-east-1b, subnet_id: subnet-0bbbbbbbbbbbbbbbb}
"""

RETURN = r"""
machines:
  description: All machines of the project that are alive, those that are not asked for included.
  type: list
  elements: dict
  returned: always
launched:
  description: The names of those that were launched.
  type: list
  elements: str
  returned: always
started:
  description: The names of those that were started.
  type: list
  elements: str
  returned: always
failed_machines:
  description: Name and reason of those that do not run.
  type: dict
  returned: always
tried:
  description: Each place that was asked, how many machines were asked for and got, and why no more.
  type: list
  elements: dict
  returned: always
lines:
  description: The same, to show.
  type: list
  elements: str
  returned: always
"""

import time
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

from ..module_utils.ec2_errors import sentence
from ..module_utils.ec2_launch import Launch, Stop, give_names, patiently, settle_twins, start, wait
from ..module_utils.ec2_project import ALIVE, by_name, instances, state_of, summaries, tags_of

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:  # AnsibleAWSModule says so, in its own words.
    BotoCoreError = ClientError = Exception

PLACE = {
    "instance_type": {"type": "str", "required": True},
    "zone": {"type": "str", "required": True},
    "subnet_id": {"type": "str", "required": True},
    "market": {"type": "str", "choices": ["on-demand", "spot"], "default": "on-demand"},
    "usd": {"type": "float"},
}
MACHINE = {
    "name": {"type": "str", "required": True},
    "candidates": {"type": "list", "elements": "dict", "default": [], "options": PLACE},
    "tags": {"type": "dict", "default": {}},
}
SPEC = {
    "machines": {"type": "list", "elements": "dict", "required": True, "options": MACHINE},
    "project": {"type": "str", "required": True},
    "tags": {"type": "dict", "default": {}},
    "image_id": {"type": "str", "default": ""},
    "root_device": {"type": "str", "default": "/dev/sda1"},
    "volume_size": {"type": "int", "default": 40},
    "volume_iops": {"type": "int", "default": 3000},
    "volume_throughput": {"type": "int", "default": 125},
    "key_name": {"type": "str", "default": "", "no_log": False},
    "security_group_ids": {"type": "list", "elements": "str", "default": []},
    "public_address": {"type": "bool", "default": True},
    "instance_profile": {"type": "str", "default": ""},
    "max_price": {"type": "float", "default": 0},
    "timeout": {"type": "int", "default": 600},
}
# This module's own patience: botocore's would ask a full zone again and again.
CONFIG = {
    "connect_timeout": 5,
    "read_timeout": 60,
    "max_pool_connections": 32,
    "retries": {"total_max_attempts": 1, "mode": "standard"},
}


def states(found: list[dict[str, Any]], names: list[str]) -> dict[str, str]:
    """Name -> state, of those that are there."""
    alive = by_name(found)
    return {name: state_of(alive[name][0]) for name in names if name in alive}


def lines(launch: Launch) -> list[str]:
    """The walk through the places, when it took more than one step, and what became of it."""
    if len(launch.tried) < 2 and not launch.failed:
        return []
    return [
        f"  {one['instance_type']:<16} {one['zone']:<14} {one['market']:<10} {one['got']} of {one['asked']}"
        f"{'  ' + one['why'] if one['why'] else ''}"
        for one in launch.tried
    ]


class Machines:
    """The work of the module."""

    def __init__(self, module: AnsibleAWSModule) -> None:
        self.module, self.asked = module, module.params
        self.ec2 = module.client("ec2", aws_config=CONFIG)
        self.names = [machine["name"] for machine in self.asked["machines"]]
        self.deadline = time.monotonic() + self.asked["timeout"]

    def find(self) -> list[dict[str, Any]]:
        return patiently(instances, ec2=self.ec2, project=self.asked["project"])

    def run(self) -> dict[str, Any]:
        before = self.find()
        alive = by_name(before)
        missing = [machine for machine in self.asked["machines"] if machine["name"] not in alive]
        asleep = [
            alive[name][0]
            for name in self.names
            if name in alive and state_of(alive[name][0]) in ("stopping", "stopped")
        ]
        unnamed = [
            one
            for one in before
            if state_of(one) in ALIVE and not tags_of(one).get("Name") and tags_of(one).get("Names")
        ]
        result = {
            "changed": bool(missing or asleep or unnamed),
            "launched": [machine["name"] for machine in missing],
            "started": [name for name in self.names if name in alive and alive[name][0] in asleep],
            "failed_machines": {},
            "tried": [],
            "lines": [],
        }
        if self.module.check_mode:
            after = states(before, self.names) | dict.fromkeys([*result["launched"], *result["started"]], "running")
            return result | {"machines": summaries(before)} | self.diff(before, after)
        dead = [one["InstanceId"] for one in before if state_of(one) not in ALIVE]
        launch, stop = Launch(self.ec2, self.asked, dead), None
        try:
            launch.run(missing)
        except Stop as stopped:
            stop = stopped
        found = self.find() if launch.launched else before
        give_names(self.ec2, found)
        lost = settle_twins(self.ec2, self.asked["project"], launch.launched, found)
        if stop:
            self.end(stop, launch)
        failed = launch.failed | self.wake(asleep)
        rising = [name for name in self.names if name not in failed]
        found = (
            wait(self.ec2, self.asked["project"], rising, self.deadline, ("running",)) if result["changed"] else found
        )
        # Twins that were launched in the same second may not have been seen before.
        lost |= settle_twins(self.ec2, self.asked["project"], launch.launched, found)
        now = states(found, self.names)
        for name in [name for name in rising if now.get(name) != "running"]:
            failed[name] = self.why_not(found, launch.launched.get(name), now.get(name, ""))
        for name, whose in lost.items():
            self.module.warn(
                f"Another run launched {name} at the same moment: {whose} is used, and this run's own was terminated."
            )
        launched = [name for name in launch.launched if name not in lost]
        result |= {"launched": launched, "failed_machines": failed, "tried": launch.tried, "lines": lines(launch)}
        result["started"] = [name for name in result["started"] if name not in failed]
        result["changed"] = bool(launched or result["started"] or unnamed or lost)
        return result | {"machines": summaries(found)} | self.diff(before, now)

    def wake(self, asleep: list[dict[str, Any]]) -> dict[str, str]:
        """Start what is stopped, after those that are still stopping have come to rest; name -> why not."""
        names = [name for name in self.names if name in by_name(asleep)]
        if any(state_of(one) == "stopping" for one in asleep):
            found = by_name(wait(self.ec2, self.asked["project"], names, self.deadline, ("stopped",)))
            asleep = [found[name][0] for name in names if name in found and state_of(found[name][0]) == "stopped"]
        try:
            return start(self.ec2, asleep)
        except Stop as stopped:
            self.end(stopped, None)

    def why_not(self, found: list[dict[str, Any]], launched: str | None, state: str) -> str:
        """Why a machine that was launched or started does not run."""
        if state:
            return f"is still {state} after {self.asked['timeout']} s: run this again, or raise ec2_timeout"
        reason = next((one.get("StateReason", {}) for one in found if one["InstanceId"] == launched), {})
        return (
            f"was launched and ended at once ({reason.get('Message') or reason.get('Code') or 'EC2 gives no reason'})"
        )

    def diff(self, before: list[dict[str, Any]], after: dict[str, str]) -> dict[str, Any]:
        def text(now: dict[str, str]) -> str:
            return "".join(f"{name}: {now.get(name, 'absent')}\n" for name in self.names)

        return {"diff": {"before": text(states(before, self.names)), "after": text(after)}}

    def end(self, stop: Stop, launch: Launch | None) -> None:
        """End for what no other place would cure; what was launched stays, and the next run finds it."""
        sts = self.module.client("sts")
        said = sentence(
            stop.cause,
            self.module.region,
            lambda message: sts.decode_authorization_message(EncodedMessage=message),
            stop.doing,
        )
        kept = (
            f" {', '.join(launch.launched)} was launched before that and is kept." if launch and launch.launched else ""
        )
        self.module.fail_json_aws(stop.cause, msg=said + kept, tried=launch.tried if launch else [])


def main() -> None:
    module = AnsibleAWSModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        result = Machines(module).run()
    except (BotoCoreError, ClientError) as error:
        sts = module.client("sts")

        def decode(message: str) -> dict:
            return sts.decode_authorization_message(EncodedMessage=message)

        module.fail_json_aws(error, msg=sentence(error, module.region, decode, "to show or name the machines"))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
