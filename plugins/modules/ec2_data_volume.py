#!/usr/bin/python
# MIT licence
"""Have data volumes that outlive the machines they are attached to."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ec2_data_volume
short_description: Have a data volume attached to each machine, whatever became of the machine
version_added: 0.1.0
description:
  - The volume of a machine is found by its tags C(Project), C(Kind=data) and C(Name), which is the machine's name and
    C(-data). When there is none, an encrypted gp3 volume is made, with its tags at birth.
  - It is attached so that it outlives the machine. A machine of the same name that is launched later gets it back.
  - When it lies in another zone than the machine, it is moved by way of a snapshot. The original and the snapshot are
    deleted once the moved volume is attached, never before. A move that was interrupted leaves the original as it
    is, and the next run makes a new copy.
  - It grows when O(size) does. Inside the machine the file system has to follow.
  - When there are several volumes of a name, the one that is on the machine is used, else the newest; the others are
    told by RV(volumes), and left alone.
  - EC2 is asked about all machines at once. When nothing is to do, that is one call.
options:
  machines:
    description: The machines.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      instance_id:
        description: The instance that it is now.
        type: str
        required: true
      zone:
        description: The availability zone it is in.
        type: str
        required: true
  size:
    description: Size of each volume in GB. Less than a volume has is refused.
    type: int
    required: true
  throughput:
    description: Throughput of each volume in MB/s, 125 to 1000.
    type: int
    default: 125
  tags:
    description: Tags of all that is made. C(Project) is one of them.
    type: dict
    required: true
  device:
    description: The name of the device on the instance.
    type: str
    default: /dev/sdf
  timeout:
    description: Seconds that a volume may take to be made, attached or grown. A snapshot takes the time it needs.
    type: int
    default: 600
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: In check mode EC2 is only asked what there is.
    support: full
author:
  - The gluon-ec2 authors (@d2l-ai)
"""

EXAMPLES = r"""
- name: Have a volume of 100 GB on the reader
  ec2_data_volume:
    machines:
      - name: reader
        instance_id: i-0123456789abcdef0
        zone: us-east-1a
    size: 100
    tags:
      Project: gluon-ec2
    region: us-east-1
"""

RETURN = r"""
volumes:
  description: The volume of each machine.
  type: list
  elements: dict
  returned: always
  contains:
    machine:
      description: The machine's name.
      type: str
    name:
      description: The volume's name.
      type: str
    volume_id:
      description: Its id. Empty in check mode when it would be made.
      type: str
    done:
      description:
        - What was done, or in check mode would be. V(created), V(attached), V(moved) to the machine's zone,
          V(modified) in size or throughput, V(kept) from being deleted with the machine, V(cleaned) of what an
          interrupted move left.
      type: list
      elements: str
    spare:
      description: Other volumes of that name, and copies of which nothing is known. They are left alone.
      type: list
      elements: str
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

from ..module_utils.ec2_disk import Refusal
from ..module_utils.ec2_disks import Disks

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:  # AnsibleAWSModule says so, in its own words.
    BotoCoreError = ClientError = Exception


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "machines": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "instance_id": {"type": "str", "required": True},
                    "zone": {"type": "str", "required": True},
                },
            },
            "size": {"type": "int", "required": True},
            "throughput": {"type": "int", "default": 125},
            "tags": {"type": "dict", "required": True},
            "device": {"type": "str", "default": "/dev/sdf"},
            "timeout": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    if not module.params["tags"].get("Project"):
        module.fail_json(msg="tags has no Project, by which the volumes are found again: add it.")
    disks = Disks(module.client("ec2"), module.params)
    try:
        disks.look()
        disks.plan() if module.check_mode else disks.act()
    except Refusal as refusal:
        module.fail_json(msg=str(refusal), volumes=[disk.result() for disk in disks.all])
    except (BotoCoreError, ClientError) as error:
        module.fail_json_aws(
            error,
            msg="EC2 did not do what the data volumes need; nothing is lost, and running this again goes on",
            volumes=[disk.result() for disk in disks.all],
        )
    for disk in disks.all:
        if disk.spare:
            module.warn(
                f"{', '.join(disk.spare)} is called {disk.name} too and is not used: delete what is not wanted."
            )
    volumes = [disk.result() for disk in disks.all]
    module.exit_json(changed=any(volume["done"] for volume in volumes), volumes=volumes)


if __name__ == "__main__":
    main()
