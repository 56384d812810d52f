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
  alive:
    description:
      - The ids of all instances there are. Lines about any other instance are removed, so that the file follows
        machines that are replaced. Empty, none is removed.
    type: list
    elements: str
    default: []
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
  - The gluon-ec2 authors (@d2l-ai)
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
silent:
  description: The ids that showed no keys in time. Those of the others are known all the same.
  type: list
  elements: str
  returned: on failure
"""

import fcntl
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:  # AnsibleAWSModule says so, in its own words.
    BotoCoreError = ClientError = Exception

KEYS = re.compile(r"-----BEGIN SSH HOST KEY KEYS-----(.*?)-----END SSH HOST KEY KEYS-----", re.DOTALL)
INSTANCE = re.compile(r"i-[0-9a-f]+")
KEY = re.compile(r"((?:ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/=]+)")


def keys_on(console: str) -> list[str]:
    """The host keys of the newest block on a console, as `type base64`; none while it is not all there."""
    blocks = KEYS.findall(console)
    return KEY.findall(blocks[-1]) if blocks else []


def console_of(ec2: Any, instance: str) -> str:
    """What an instance has on its console now."""
    try:
        return ec2.get_console_output(InstanceId=instance, Latest=True).get("Output", "")
    except ClientError as error:
        # Only Nitro instances have a live console; the others' appears some minutes after the boot.
        if error.response["Error"]["Code"] not in ("UnsupportedOperation", "InvalidParameterCombination"):
            raise
        return ec2.get_console_output(InstanceId=instance).get("Output", "")


def learn(module: AnsibleAWSModule, instances: list[str]) -> tuple[list[str], list[str]]:
    """The known_hosts lines of the instances, and those that showed no keys in time."""
    ec2 = module.client("ec2", aws_config={"max_pool_connections": 32})
    deadline = time.monotonic() + module.params["timeout"]
    lines: list[str] = []
    waiting = list(instances)
    while waiting:
        try:
            # Side by side: a class takes no longer than one machine.
            with ThreadPoolExecutor(32) as pool:
                consoles = dict(zip(waiting, pool.map(lambda one: console_of(ec2, one), waiting), strict=True))
        except (BotoCoreError, ClientError) as error:
            module.fail_json_aws(error, msg=f"EC2 did not show the console of {', '.join(waiting[:5])}")
        shown = {instance: found for instance, console in consoles.items() if (found := keys_on(console))}
        lines += [f"{instance} {key}" for instance, found in shown.items() for key in found]
        waiting = [instance for instance in waiting if instance not in shown]
        if waiting and time.monotonic() > deadline:
            break
        if waiting:
            time.sleep(2)
    return lines, waiting


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "instances": {"type": "list", "elements": "str", "required": True},
            "alive": {"type": "list", "elements": "str", "default": []},
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "timeout": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    path, wanted, alive = Path(module.params["path"]), module.params["instances"], module.params["alive"]
    if module.check_mode and not path.parent.is_dir():
        module.exit_json(changed=bool(wanted), learned=wanted, forgotten=[])
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Two runs at once must not lose each other's lines.
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lines = path.read_text().splitlines() if path.exists() else []
        known = {line.split(" ", 1)[0] for line in lines if line.strip()}
        learned, forgotten, silent = [], [], []
        if module.params["state"] == "absent":
            forgotten = sorted(known.intersection(wanted))
        else:
            learned = [instance for instance in wanted if instance not in known]
            if alive:
                forgotten = sorted(name for name in known.difference(alive, wanted) if INSTANCE.fullmatch(name))
            if learned and not module.check_mode:
                found, silent = learn(module, learned)
                lines += found
                learned = [instance for instance in learned if instance not in silent]
        lines = [line for line in lines if line.split(" ", 1)[0] not in forgotten]
        if (learned or forgotten) and not module.check_mode:
            draft = path.with_suffix(".new")
            draft.write_text("".join(line + "\n" for line in lines))
            draft.chmod(0o600)
            draft.replace(path)
    if silent:
        module.fail_json(
            msg=f"{', '.join(silent)} showed no SSH host keys on the console within {module.params['timeout']} s. "
            "Without them the first connection could be to anyone. Look at the console (aws ec2 "
            "get-console-output --latest --instance-id ID): does the machine boot, and does its image run "
            "cloud-init? Then run this again.",
            changed=bool(learned or forgotten),
            learned=learned,
            forgotten=forgotten,
            silent=silent,
        )
    module.exit_json(changed=bool(learned or forgotten), learned=learned, forgotten=forgotten)


if __name__ == "__main__":
    main()
