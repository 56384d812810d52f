#!/usr/bin/python
# MIT licence
"""Wait until a machine or an image of EC2 has come to a state."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ec2_wait
short_description: Wait until a machine or an image of EC2 has come to a state
version_added: 0.1.0
description:
  - Asks EC2 again and again, and is silent meanwhile, where a task with C(until) calls each time that it is too early a
    failure.
  - A machine that EC2 does not know any more counts as C(terminated), an image that it does not show yet as C(pending).
options:
  instance_id:
    description: The machine.
    type: str
  image_name:
    description: The name of an image of this account.
    type: str
  states:
    description: The states that end the wait.
    type: list
    elements: str
    required: true
  timeout:
    description: How long it may take, in seconds.
    type: int
    default: 600
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: In check mode it looks once and does not wait.
    support: full
author:
  - The gluon-ec2 authors (@d2l-ai)
"""

EXAMPLES = r"""
- name: Wait until the machine is off
  ec2_wait:
    instance_id: i-0123456789abcdef0
    states: [stopped, terminated]
    region: us-east-1

- name: Wait until the image is there, or cannot be made
  ec2_wait:
    image_name: notebooks
    states: [available, failed]
    timeout: 7200
    region: us-east-1
"""

RETURN = r"""
state:
  description: The state that it has.
  type: str
  returned: success
  sample: stopped
"""

import time
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

from ..module_utils.ec2_errors import code_of, sentence
from ..module_utils.ec2_holdings import CLIENT
from ..module_utils.ec2_launch import patiently

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:  # AnsibleAWSModule says so, in its own words.
    BotoCoreError = ClientError = Exception

# Seconds between two questions. A machine takes a minute, a snapshot of its disk many.
OF_MACHINES = 1.0
OF_IMAGES = 5.0


def of_machine(ec2: Any, instance_id: str) -> str:
    try:
        answer = patiently(ec2.describe_instances, InstanceIds=[instance_id])
    except ClientError as error:
        if code_of(error) != "InvalidInstanceID.NotFound":
            raise
        return "terminated"
    found = [one["State"]["Name"] for each in answer["Reservations"] for one in each["Instances"]]
    return found[0] if found else "terminated"


def of_image(ec2: Any, name: str) -> str:
    filters = [{"Name": "name", "Values": [name]}]
    found = patiently(ec2.describe_images, Owners=["self"], Filters=filters)["Images"]
    return found[0]["State"] if found else "pending"


def wait(module: AnsibleAWSModule) -> str:
    """The state at the end. Ends the module when that takes too long."""
    asked, ec2 = module.params, module.client("ec2", aws_config=CLIENT)
    deadline = time.monotonic() + asked["timeout"]
    ask, what, pause = (
        (of_machine, asked["instance_id"], OF_MACHINES)
        if asked["instance_id"]
        else (of_image, asked["image_name"], OF_IMAGES)
    )
    while (state := ask(ec2, what)) not in asked["states"] and not module.check_mode:
        if time.monotonic() > deadline:
            module.fail_json(msg=f"After {asked['timeout']} s {what} is still {state}. Run this again to wait on.")
        time.sleep(pause)
    return state


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "instance_id": {"type": "str"},
            "image_name": {"type": "str"},
            "states": {"type": "list", "elements": "str", "required": True},
            "timeout": {"type": "int", "default": 600},
        },
        mutually_exclusive=[("instance_id", "image_name")],
        required_one_of=[("instance_id", "image_name")],
        supports_check_mode=True,
    )
    try:
        module.exit_json(changed=False, state=wait(module))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=sentence(error, module.region))


if __name__ == "__main__":
    main()
