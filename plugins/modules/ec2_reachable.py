#!/usr/bin/python
# MIT licence
"""Wait until EC2 machines answer SSH, and say why one does not."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ec2_reachable
short_description: Wait until EC2 machines answer SSH, and say why one does not
version_added: 0.1.0
description:
  - Logs in to each machine by C(ssh -F), all at once, again and again until it is let in.
  - A machine that does not let it in until time is up is diagnosed from EC2, its security groups, its route to the
    internet, its key pair, its status checks and the end of its console, and the module fails with what it found.
    Nothing is removed.
  - A host key that is not the known one ends it at once; nothing is sent to such a host.
  - A machine that answered a run before and was not started again since is not asked, where that is noted.
  - Runs on the controller.
options:
  machines:
    description: The machines, their names in O(config) with their instance ids.
    type: dict
    required: true
  config:
    description: The ssh_config(5) file that says how to reach them.
    type: path
    required: true
  launched:
    description: When each machine was launched, or started last, by name.
    type: dict
  noted:
    description: A file of this module's own, where it notes those that answered, with what O(launched) says of them.
    type: path
  ssh_from:
    description: The CIDR that this run comes from, for the diagnosis.
    type: str
    default: ""
  timeout:
    description: How long they may take, in seconds.
    type: int
    default: 600
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: It changes nothing but its note either way.
    support: full
author:
  - The gluon-ec2 authors (@d2l-ai)
"""

EXAMPLES = r"""
- name: Wait for reader
  ec2_reachable:
    machines:
      reader: i-0123456789abcdef0
    config: .state/ssh_config
    region: us-east-1

- name: Wait for reader, unless it has answered before
  ec2_reachable:
    machines:
      reader: i-0123456789abcdef0
    launched:
      reader: "2026-11-27T11:53:09+00:00"
    noted: .state/answered.json
    config: .state/ssh_config
    region: us-east-1
"""

RETURN = r"""
unanswered:
  description: Name and diagnosis of the machines that did not let it in.
  type: dict
  returned: on failure
"""

import contextlib
import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

from ..module_utils.ec2_reach import diagnosis


def attempt(config: str, name: str) -> str:
    """Log in once; what ssh complained of, empty when it was let in."""
    options = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", "ControlPath=none"]
    try:
        done = subprocess.run(
            ["ssh", "-F", config, *options, name, "true"],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=30,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "Connection timed out"
    # The command's own exit status says that somebody was let in.
    return "" if done.returncode != 255 else done.stderr.strip() or "Connection closed"


def reach(config: str, name: str, deadline: float) -> str:
    """Try until let in or time is up; the last complaint, empty when let in."""
    while complaint := attempt(config, name):
        if "Host key verification failed" in complaint or time.monotonic() > deadline:
            return complaint
        time.sleep(1)
    return ""


def read(note: Path) -> dict[str, list[str]]:
    """Which machines have answered: of each name, the instance and its launch. Empty where the note cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        noted = json.loads(note.read_text())
        return noted if isinstance(noted, dict) else {}
    return {}


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "machines": {"type": "dict", "required": True},
            "config": {"type": "path", "required": True},
            "launched": {"type": "dict"},
            "noted": {"type": "path"},
            "ssh_from": {"type": "str", "default": ""},
            "timeout": {"type": "int", "default": 600},
        },
        required_together=[("launched", "noted")],
        supports_check_mode=True,
    )
    machines: dict[str, str] = module.params["machines"]
    launched = module.params["launched"] or {}
    note = Path(module.params["noted"]) if launched else None
    answered = read(note) if note else {}
    starts = {name: [machines[name], launched[name]] for name in machines if name in launched}
    asked = [name for name in machines if name not in starts or answered.get(name) != starts[name]]
    deadline = time.monotonic() + module.params["timeout"]
    with ThreadPoolExecutor(20) as pool:
        complaints = pool.map(lambda name: reach(module.params["config"], name, deadline), asked)
        lost = {name: complaint for name, complaint in zip(asked, complaints, strict=True) if complaint}
    if lost:
        ec2 = module.client("ec2")
        ssh_from = module.params["ssh_from"]
        found = {name: diagnosis(ec2, machines[name], complaint, ssh_from) for name, complaint in lost.items()}
        said = "\n".join(f"{name} does not let SSH in: {why}" for name, why in found.items())
        module.fail_json(
            msg=f"{said}\nThe machines are kept, and cost money; run this again when it is mended.", unanswered=found
        )
    if note and asked:
        # Whoever reads half of it, as a run beside this one may, asks once more.
        note.write_text(json.dumps(answered | starts))
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
