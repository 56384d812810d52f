#!/usr/bin/python
# MIT licence
"""List what a project has in EC2 that nobody uses any more."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ec2_leftovers
short_description: List what a project has left in EC2
version_added: 0.1.0
description:
  - Lists all that is tagged C(Project) as the project and C(ManagedBy=gluon-ec2) beside living machines. That is
    volumes, addresses, images, snapshots, key pairs, security groups, spot requests and network interfaces.
  - Once the project has no machine any more, all of it is left over but what is to be kept. While it has some, only
    what none of them uses is. That is volumes without a machine that are no data volumes, addresses without a
    machine, snapshots of no image, spot requests and network interfaces without a machine.
  - EC2 takes some seconds to remove what goes with a machine; that is waited for.
  - Makes nine calls to EC2, side by side, and changes nothing.
options:
  project:
    description: The C(Project) tag of what is looked for.
    type: str
    required: true
  keep:
    description: What is kept on purpose. The data volumes and their snapshots, the images and theirs.
    type: list
    elements: str
    choices: [data, images]
    default: [data]
  gone:
    description: The ids of machines that are to be gone. A living one is left over, and so is one of the same name.
    type: list
    elements: str
    default: []
  timeout:
    description: How long to wait for what EC2 is about to remove by itself, in seconds.
    type: int
    default: 60
  price_table:
    description: The file of prices.
    type: path
    required: true
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: It only reads, in check mode as well.
    support: full
author:
  - The gluon-ec2 authors (@d2l-ai)
"""

EXAMPLES = r"""
- name: Prove that nothing is left that costs
  ec2_leftovers:
    project: gluon-ec2
    price_table: roles/ec2/files/prices.json
    region: us-east-1
  register: rest
  failed_when: rest.left | length > 0
"""

RETURN = r"""
left:
  description: What is left over.
  type: list
  elements: dict
  returned: always
  contains:
    kind:
      description: What it is, as instance, volume, address, snapshot, spot request or security group.
      type: str
    id:
      description: Its id.
      type: str
    name:
      description: Its name; empty if it has none.
      type: str
    usd_month:
      description: USD per month. None if unknown.
      type: float
    why:
      description: What it is, or why nobody uses it.
      type: str
    command:
      description: The command that removes it.
      type: str
    belongs:
      description: data or images, for what may be kept on purpose.
      type: str
    orphan:
      description: Whether no machine uses it.
      type: bool
    gb:
      description: Its size; 0 where it has none.
      type: int
kept:
  description: What is kept on purpose, in the same words.
  type: list
  elements: dict
  returned: always
things:
  description: All that the project has beside its machines, in the same words.
  type: list
  elements: dict
  returned: always
machines:
  description: The names of the project's living machines.
  type: list
  elements: str
  returned: always
lines:
  description: What is left and what is kept, with the command that removes each, for a terminal.
  type: list
  elements: str
  returned: always
"""

import time
from pathlib import Path
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

from ..module_utils.ec2_choice import label
from ..module_utils.ec2_errors import sentence
from ..module_utils.ec2_holdings import CLIENT, Holdings, Thing
from ..module_utils.ec2_prices import Prices, client_of
from ..module_utils.ec2_text import money, table

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:  # AnsibleAWSModule says so, in its own words.
    BotoCoreError = ClientError = Exception

KINDS = ["data", "images"]
PAUSE = 2


def sort(holdings: Holdings, keep: list[str], gone: list[str]) -> tuple[list[Thing], list[Thing]]:
    """What is left over, and what is kept on purpose."""
    names = {label(one) for one in holdings.instances if one["InstanceId"] in gone}
    risen = [one for one in holdings.machines() if one.id in gone or one.name in names]
    things = holdings.things()
    attached = {disk["VolumeId"] for id in holdings.alive for disk in holdings.disks_of(id)}
    kept = [one for one in things if one.belongs in keep and one.id not in attached]
    if holdings.alive:
        return risen + [one for one in things if one.orphan], kept
    return [one for one in things if one not in kept], kept


def settled(module: AnsibleAWSModule, aws: str) -> tuple[Holdings, list[Thing], list[Thing]]:
    """What is left and kept, once nothing more is about to go by itself or the time for that is over."""
    asked, region = module.params, module.region
    prices = Prices(client_of(module), region, Path(asked["price_table"]))
    ec2, deadline = module.client("ec2", aws_config=CLIENT), time.monotonic() + asked["timeout"]
    while True:
        holdings = Holdings(ec2, asked["project"], prices, aws, rest=True)
        left, kept = sort(holdings, asked["keep"], asked["gone"])
        if not any(one.transient for one in left) or time.monotonic() > deadline:
            return holdings, left, kept
        time.sleep(PAUSE)


def lines(left: list[Thing], kept: list[Thing]) -> list[str]:
    """Each thing with its cost, and below what is left the commands that remove it."""

    def rows(things: list[Thing]) -> list[str]:
        cells = [[one.kind, one.name or "-", one.id, f"{money(one.usd_month)} USD/month", one.why] for one in things]
        return table(cells, right=(3,), indent="    ")

    told = ["  Left over:", *rows(left), "", "  Each is removed by:"] if left else []
    told += [f"    {one.command}" for one in left]
    told += [""] if left and kept else []
    return told + (["  Kept on purpose:", *rows(kept)] if kept else [])


def result(holdings: Holdings, left: list[Thing], kept: list[Thing]) -> dict[str, Any]:
    return {
        "left": [one.told() for one in left],
        "kept": [one.told() for one in kept],
        "things": [one.told() for one in holdings.things()],
        "machines": sorted(label(one) for one in holdings.alive.values()),
        "lines": lines(left, kept),
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "project": {"type": "str", "required": True},
            "keep": {"type": "list", "elements": "str", "choices": KINDS, "default": ["data"]},
            "gone": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 60},
            "price_table": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    profile = module.params.get("profile")
    aws = f"aws ec2 --region {module.region}" + (f" --profile {profile}" if profile else "")
    try:
        module.exit_json(changed=False, **result(*settled(module, aws)))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=sentence(error, module.region))


if __name__ == "__main__":
    main()
