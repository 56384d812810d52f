#!/usr/bin/python
# MIT licence
"""Know EC2 instances by the SSH host keys that they print on their console."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ec2_known_hosts
short_description: Keep a known_hosts file of EC2 instances, from their consoles
version_added: 0.1.0
description:
  - At first boot an instance prints its SSH host keys on its console, and EC2 hands the console out over its API.
    This module writes them to a known_hosts file, so that the very first connection is a verified one.
  - A line is named by the instance's id. With C(-o HostKeyAlias=i-0123456789abcdef0) it does not
    matter which address the instance has today, nor which instance had that address before.
  - EC2 is asked only about instances that the file does not know yet.
options:
  instances:
    description: The ids of the instances.
    type: list
    elements: str
    required: true
  path:
    description: The known_hosts file, on the controller. Lines about other hosts are left alone.
    type: path
    required: true
  state:
    description: Whether the instances are to be known or forgotten.
    type: str
    choices: [present, absent]
    default: present
  timeout:
    description: How long to wait for all consoles to show their keys, in seconds.
    type: int
    default: 600
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: In check mode EC2 is not asked, and nothing is written.
    support: full
author:
  - The gluon-ec2 authors
"""

EXAMPLES = r"""
- name: Know the machines that were launched
  ec2_known_hosts:
    instances: "{{ launched.instance_ids }}"
    path: ~/.ssh/known_hosts.ec2
    region: us-east-1
  delegate_to: localhost
"""

RETURN = r"""
learned:
  description: The ids whose keys were added.
  type: list
  elements: str
  returned: always
forgotten:
  description: The ids whose keys were removed.
  type: list
  elements: str
  returned: always
"""

import fcntl
import re
import time
from pathlib import Path

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:  # AnsibleAWSModule says so, in its own words.
    BotoCoreError = ClientError = Exception

KEYS = re.compile(r"-----BEGIN SSH HOST KEY KEYS-----(.*?)-----END SSH HOST KEY KEYS-----", re.DOTALL)
KEY = re.compile(r"((?:ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/=]+)")


def keys_on(console: str) -> list[str]:
    """The host keys of the newest block on a console, as `type base64`; none while it is not all there."""
    blocks = KEYS.findall(console)
    return KEY.findall(blocks[-1]) if blocks else []


def learn(module: AnsibleAWSModule, instances: list[str]) -> list[str]:
    """The known_hosts lines of the instances. Ends the module when one shows no keys in time."""
    ec2 = module.client("ec2")
    deadline = time.monotonic() + module.params["timeout"]
    lines: list[str] = []
    waiting = list(instances)
    latest = True
    while waiting:
        for instance in list(waiting):
            try:
                answer = ec2.get_console_output(InstanceId=instance, **({"Latest": True} if latest else {}))
            except ClientError as error:
                # Only Nitro instances have a live console; the others' appears some minutes after the boot.
                if error.response["Error"]["Code"] in ("UnsupportedOperation", "InvalidParameterCombination"):
                    latest = False
                    break
                module.fail_json_aws(error, msg=f"EC2 did not show the console of {instance}")
            except BotoCoreError as error:
                module.fail_json_aws(error, msg=f"EC2 did not show the console of {instance}")
            found = keys_on(answer.get("Output", ""))
            if found:
                lines += [f"{instance} {key}" for key in found]
                waiting.remove(instance)
        if waiting and time.monotonic() > deadline:
            module.fail_json(
                msg=f"{', '.join(waiting)} showed no SSH host keys on the console within "
                f"{module.params['timeout']} s. "
                "Without them the first connection could be to anyone. Look at the console (aws ec2 "
                "get-console-output --latest --instance-id ID): does the machine boot, and does its image run "
                "cloud-init? Then run this again."
            )
        if waiting:
            time.sleep(2)
    return lines


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "instances": {"type": "list", "elements": "str", "required": True},
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "timeout": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    path, wanted = Path(module.params["path"]), module.params["instances"]
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Two runs at once must not lose each other's lines.
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lines = path.read_text().splitlines() if path.exists() else []
        known = {line.split(" ", 1)[0] for line in lines if line.strip()}
        learned, forgotten = [], []
        if module.params["state"] == "absent":
            forgotten = sorted(known.intersection(wanted))
            lines = [line for line in lines if line.split(" ", 1)[0] not in forgotten]
        else:
            learned = [instance for instance in wanted if instance not in known]
            if not module.check_mode:
                lines += learn(module, learned)
        if (learned or forgotten) and not module.check_mode:
            draft = path.with_suffix(".new")
            draft.write_text("".join(line + "\n" for line in lines))
            draft.chmod(0o600)
            draft.replace(path)
    module.exit_json(changed=bool(learned or forgotten), learned=learned, forgotten=forgotten)


if __name__ == "__main__":
    main()
