#!/usr/bin/python
# MIT licence
"""Tell what the machines of a project are, what they cost, and what stays to be paid for."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ec2_status
short_description: Tell what the machines of a project are and cost
version_added: 0.1.0
description:
  - Lists the machines of a project with their price per hour and what this start of theirs has cost so far, then what
    stopped machines still cost, and the data volumes, images and snapshots that are paid for beside them.
  - Makes five calls to EC2, whatever the number of machines, and one more for prices. It changes nothing.
  - Where AWS does not tell a price, that of O(price_table) is used, and what has none is told as unknown.
options:
  project:
    description: The C(Project) tag by which the machines are found.
    type: str
    required: true
  names:
    description: The names of the machines that are meant when neither O(only) nor O(all) says otherwise.
    type: list
    elements: str
    default: []
  only:
    description: Names given by hand. One of which the project has no machine, and never had, is refused.
    type: list
    elements: str
    default: []
  all:
    description: Whether all machines of the project are meant.
    type: bool
    default: false
  price_table:
    description: The file of prices for where AWS does not tell them.
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
- name: Look at all machines of the project
  ec2_status:
    project: gluon-ec2
    all: true
    price_table: roles/ec2/files/prices.json
    region: us-east-1
  register: now

- name: Show them
  show:
    lines: "{{ now.lines }}"
"""

RETURN = r"""
machines:
  description: The machines that are meant, the oldest start first.
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: Its name, or its id while it has none.
      type: str
    instance_id:
      description: Its id.
      type: str
    state:
      description: pending, running, stopping or stopped.
      type: str
    instance_type:
      description: Its type.
      type: str
    market:
      description: on-demand or spot.
      type: str
    zone:
      description: Its availability zone.
      type: str
    usd_hour:
      description: USD per hour while it runs, without its disks. None if unknown.
      type: float
    price_source:
      description: Where that price comes from and of when it is.
      type: str
    up_since:
      description: When it was last started, in the local time of this computer. Empty while it does not run.
      type: str
    hours:
      description: Hours since then.
      type: float
    usd_so_far:
      description: USD for these hours, for the machine, its disks and its public address. None if unknown.
      type: float
    address:
      description: Its public address, or else its private one.
      type: str
    disk_gb:
      description: GB of all its disks.
      type: int
    addresses:
      description: How many elastic addresses it has.
      type: int
    usd_month_stopped:
      description: USD per month while it is stopped, for its disks and elastic addresses.
      type: float
others:
  description: The project's other machines that run. RV(lines) tells of them, unless O(only) left them out.
  type: list
  elements: str
  returned: always
kept:
  description: What is paid for beside the machines, each as M(d2l.gluon_ec2.ec2_leftovers) tells it.
  type: list
  elements: dict
  returned: always
usd_month_stopped:
  description: USD per month for those of the machines that do not run. None if unknown.
  type: float
  returned: always
usd_month_kept:
  description: USD per month for RV(kept). None if unknown.
  type: float
  returned: always
notes:
  description: Why AWS did not tell a price itself.
  type: list
  elements: str
  returned: always
lines:
  description: All of it, for a terminal.
  type: list
  elements: str
  returned: always
"""

from pathlib import Path

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

from ..module_utils.ec2_choice import CHOICE, UnknownNames, chosen
from ..module_utils.ec2_errors import sentence
from ..module_utils.ec2_holdings import CLIENT, Holdings
from ..module_utils.ec2_prices import Prices, client_of
from ..module_utils.ec2_status import status

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:  # AnsibleAWSModule says so, in its own words.
    BotoCoreError = ClientError = Exception


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={**CHOICE, "price_table": {"type": "path", "required": True}}, supports_check_mode=True
    )
    asked, region = module.params, module.region
    prices = Prices(client_of(module), region, Path(asked["price_table"]))
    try:
        holdings = Holdings(
            module.client("ec2", aws_config=CLIENT), asked["project"], prices, f"aws ec2 --region {region}"
        )
        meant = chosen(holdings.instances, asked)
        module.exit_json(changed=False, **status(holdings, meant, region, narrowed=bool(asked["only"])))
    except UnknownNames as unknown:
        module.fail_json(msg=str(unknown))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=sentence(error, region))


if __name__ == "__main__":
    main()
