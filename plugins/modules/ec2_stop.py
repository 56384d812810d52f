#!/usr/bin/python
# MIT licence
"""Stop or terminate named machines of a project."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ec2_stop
short_description: Stop or terminate machines of a project
version_added: 0.1.0
description:
  - Stops the machines that are meant, or terminates them, all in one call, and waits until they are.
  - Before a spot machine is terminated its request is cancelled, since EC2 would launch another one for it.
  - A spot machine whose request allows no stop does not keep the others from being stopped. It is told in
    RV(refused).
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
  state:
    description: What becomes of them.
    type: str
    choices: [stopped, terminated]
    default: stopped
  timeout:
    description: How long that may take, in seconds.
    type: int
    default: 600
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: In check mode it tells which machines would be stopped or terminated.
    support: full
author:
  - The gluon-ec2 authors (@d2l-ai)
"""

EXAMPLES = r"""
- name: Stop one machine of the class
  ec2_stop:
    project: gluon-ec2
    only: [bob]
    region: us-east-1

- name: Terminate all of them
  ec2_stop:
    project: gluon-ec2
    all: true
    state: terminated
    region: us-east-1
"""

RETURN = r"""
names:
  description: The names of those that this run stopped or terminated.
  type: list
  elements: str
  returned: always
instance_ids:
  description: The ids of the machines that are meant.
  type: list
  elements: str
  returned: always
dead_ids:
  description: The ids of the project's machines that EC2 remembers as terminated, with those of this run.
  type: list
  elements: str
  returned: always
others:
  description: The names of the project's living machines that are not meant.
  type: list
  elements: str
  returned: always
machines:
  description: The project's machines that are alive afterwards, each as M(d2l.gluon_ec2.ec2_machines) returns it.
  type: list
  elements: dict
  returned: always
refused:
  description: Name and reason of those that EC2 does not stop.
  type: dict
  returned: always
"""

import time
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

from ..module_utils.ec2_choice import CHOICE, UnknownNames, chosen, label
from ..module_utils.ec2_errors import code_of, sentence, words_of
from ..module_utils.ec2_holdings import CLIENT, REST
from ..module_utils.ec2_launch import patiently
from ..module_utils.ec2_project import ALIVE, instances, name_of, state_of, summaries, tags_of

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:  # AnsibleAWSModule says so, in its own words.
    BotoCoreError = ClientError = Exception

# What EC2 answers for a machine that cannot be stopped: a one-time spot request, or a root disk that is no volume.
NO_STOP = ("UnsupportedOperation", "IncorrectSpotRequestState", "UnsupportedHibernationConfiguration")
PAUSE = 1.0


def stop(ec2: Any, machines: list[dict[str, Any]]) -> dict[str, str]:
    """Stop them, one by one when one of them stands in the others' way; name -> why not, of those that cannot be."""
    if not machines:
        return {}
    try:
        patiently(ec2.stop_instances, InstanceIds=[one["InstanceId"] for one in machines])
        return {}
    except ClientError as error:
        if code_of(error) not in NO_STOP:
            raise
        if len(machines) > 1:
            return {name: why for one in machines for name, why in stop(ec2, [one]).items()}
        return {label(machines[0]): words_of(error)}


def cancel_requests(ec2: Any, project: str, machines: list[dict[str, Any]]) -> list[str]:
    """Cancel the spot requests of these machines, and those under their names that wait to launch another; the ids."""
    requests = REST["requests"](ec2, project) if any(one.get("InstanceLifecycle") == "spot" for one in machines) else []
    ids, names = {one["InstanceId"] for one in machines}, {name_of(one) for one in machines}
    theirs = [
        one["SpotInstanceRequestId"]
        for one in requests
        if one["State"] in ("open", "active", "disabled")
        and (one.get("InstanceId") in ids or tags_of(one).get("Name") in names)
    ]
    theirs += [one["SpotInstanceRequestId"] for one in machines if one.get("SpotInstanceRequestId")]
    theirs = list(dict.fromkeys(theirs))
    if theirs:
        patiently(ec2.cancel_spot_instance_requests, SpotInstanceRequestIds=theirs)
    return theirs


class Run:
    """One run of the module: which machines are meant, and what becomes of them."""

    def __init__(self, module: AnsibleAWSModule) -> None:
        self.module, self.asked = module, module.params
        self.ec2 = module.client("ec2", aws_config=CLIENT)
        self.deadline = time.monotonic() + self.asked["timeout"]
        self.dead = self.asked["state"] == "terminated"

    def find(self) -> list[dict[str, Any]]:
        return patiently(instances, ec2=self.ec2, project=self.asked["project"])

    def run(self) -> dict[str, Any]:
        found = self.find()
        meant = chosen(found, self.asked)
        todo = [one for one in meant if self.dead or state_of(one) not in ("stopping", "stopped")]
        refused: dict[str, str] = {}
        after = found
        if not self.module.check_mode:
            if self.dead and todo:
                cancel_requests(self.ec2, self.asked["project"], todo)
                patiently(self.ec2.terminate_instances, InstanceIds=[one["InstanceId"] for one in todo])
            elif todo:
                refused = stop(self.ec2, todo)
            after = self.wait(found, [one["InstanceId"] for one in meant if label(one) not in refused])
        done = [label(one) for one in todo if label(one) not in refused]
        return {
            "changed": bool(done),
            "names": done,
            "instance_ids": [one["InstanceId"] for one in meant],
            "dead_ids": [
                one["InstanceId"] for one in found if state_of(one) not in ALIVE or (self.dead and one in meant)
            ],
            "others": [label(one) for one in found if state_of(one) in ALIVE and one not in meant],
            "machines": summaries(after),
            "refused": refused,
            "diff": {
                "before": "".join(f"{label(one)}: {state_of(one)}\n" for one in meant),
                "after": "".join(f"{label(one)}: {self.after(one, refused)}\n" for one in meant),
            },
        }

    def after(self, one: dict[str, Any], refused: dict[str, str]) -> str:
        return state_of(one) if label(one) in refused else self.asked["state"]

    def wait(self, found: list[dict[str, Any]], ids: list[str]) -> list[dict[str, Any]]:
        """The machines of the project once all of these are at their end. Ends the module when that takes too long."""
        ends = ("terminated",) if self.dead else ("stopped", "terminated")
        while True:
            slow = [one for one in found if one["InstanceId"] in ids and state_of(one) not in ends]
            if not slow:
                return found
            if time.monotonic() > self.deadline:
                self.module.fail_json(
                    msg=f"After {self.asked['timeout']} s "
                    f"{', '.join(f'{label(one)} is still {state_of(one)}' for one in slow)}: "
                    "run this again, or raise ec2_timeout."
                )
            time.sleep(PAUSE)
            found = self.find()


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            **CHOICE,
            "state": {"type": "str", "choices": ["stopped", "terminated"], "default": "stopped"},
            "timeout": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**Run(module).run())
    except UnknownNames as unknown:
        module.fail_json(msg=str(unknown))
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(error, msg=sentence(error, module.region))


if __name__ == "__main__":
    main()
