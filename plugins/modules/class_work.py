#!/usr/bin/python
# MIT licence
"""Bring a student's work to this computer. About half of this file is its documentation."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: class_work
short_description: Bring what a student wrote to this computer
version_added: 0.1.0
description:
  - Brings the files of a folder on a machine that are new or differ from the tutorial's, over one SSH session.
  - Names and contents are the student's, so nothing is trusted - no link is followed, no file leaves O(destination),
    none replaces another, odd letters in a name become C(%XX), git's own files are left behind, and sizes are bounded.
  - O(destination) is there only when all of it came. A name is given once.
  - Runs on the controller.
options:
  name:
    description: The machine, as O(config) calls it.
    type: str
    required: true
  config:
    description: The ssh_config(5) file that says how to reach it.
    type: path
    required: true
  program:
    description: The Python program that sends the files, the text of C(playbooks/files/their_work.py).
    type: str
    required: true
  folder:
    description: The folder on the machine, from the login user's home.
    type: str
    required: true
  destination:
    description: The folder on this computer. It must not be there yet, and is made when there is something to bring.
    type: path
    required: true
  skip:
    description: Names of files and folders that are left out.
    type: list
    elements: str
    default: [.git, .ipynb_checkpoints, __pycache__]
  file_mb:
    description: The most that one file may have, in MB.
    type: int
    default: 20
  mb:
    description: The most that is brought, in MB.
    type: int
    default: 200
  files:
    description: How many files are looked at.
    type: int
    default: 20000
  timeout:
    description: How long it may take, in seconds.
    type: int
    default: 600
attributes:
  check_mode:
    description: In check mode the files come, and are counted instead of written.
    support: full
author:
  - The gluon-ec2 authors (@d2l-ai)
"""

EXAMPLES = r"""
- name: Bring Li Wei's work here
  class_work:
    name: li-wei
    config: .state/ssh_config
    program: "{{ lookup('ansible.builtin.file', 'their_work.py') }}"
    folder: gluon-tutorials-zh
    destination: collected/li-wei/2026-11-26T0930
  delegate_to: localhost
"""

RETURN = r"""
files:
  description: How many files came.
  type: int
  returned: always
bytes:
  description: How many bytes.
  type: int
  returned: always
left_out:
  description: What was left out, each with its reason. A file beside O(destination), -skipped.txt, has them as well.
  type: list
  elements: str
  returned: always
"""

import json
import shlex
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.class_work import Bounds, Broken, Taken, sentence, take

MB = 1_000_000
SPEC: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "config": {"type": "path", "required": True},
    "program": {"type": "str", "required": True},
    "folder": {"type": "str", "required": True},
    "destination": {"type": "path", "required": True},
    "skip": {"type": "list", "elements": "str", "default": [".git", ".ipynb_checkpoints", "__pycache__"]},
    "file_mb": {"type": "int", "default": 20},
    "mb": {"type": "int", "default": 200},
    "files": {"type": "int", "default": 20000},
    "timeout": {"type": "int", "default": 600},
}


def bring(asked: dict[str, Any], folder: Path | None, bounds: Bounds) -> Taken:
    """Have the machine send, and take in what it does. Raises Broken."""
    question = {key: asked[key] for key in ("folder", "skip")} | vars(bounds)
    command = f"python3 - {shlex.quote(json.dumps(question))}"
    options = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=20"]
    with tempfile.TemporaryFile() as program, tempfile.TemporaryFile() as said:
        program.write(asked["program"].encode())
        program.seek(0)
        ssh = subprocess.Popen(
            ["ssh", "-F", asked["config"], *options, asked["name"], command],
            stdin=program,
            stdout=subprocess.PIPE,
            stderr=said,
        )
        late = threading.Timer(asked["timeout"], ssh.kill)
        late.start()
        try:
            return take(ssh.stdout, folder, bounds)
        except Broken as broken:
            ssh.kill()
            ssh.wait()
            said.seek(0)
            words = sentence(said.read(2000).decode(errors="replace")) if late.is_alive() else "its time was up"
            raise Broken(f"{asked['name']} did not send its files: {broken}{f' ({words})' if words else ''}.") from None
        finally:
            late.cancel()
            ssh.kill()
            ssh.wait()


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    asked, destination = module.params, Path(module.params["destination"])
    bounds = Bounds(asked["file_mb"] * MB, asked["mb"] * MB, asked["files"])
    if destination.exists():
        module.fail_json(msg=f"{destination} is there already, and no collection replaces another. Run this again.")
    draft = None
    try:
        if not module.check_mode:
            destination.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", dir=destination.parent))
        taken = bring(asked, draft, bounds)
        skipped = [f"{name}: {why}" for name, why in taken.skipped]
        if draft and taken.files:
            draft.rename(destination)
        if draft and skipped:
            destination.with_name(f"{destination.name}-skipped.txt").write_text("".join(f"{one}\n" for one in skipped))
    except Broken as broken:
        module.fail_json(msg=str(broken))
    except OSError as error:
        module.fail_json(msg=f"The work of {asked['name']} cannot be written to {destination}: {error.strerror}.")
    finally:
        if draft:
            shutil.rmtree(draft, ignore_errors=True)
    module.exit_json(changed=taken.files > 0, files=taken.files, bytes=taken.bytes, left_out=skipped)


if __name__ == "__main__":
    main()
