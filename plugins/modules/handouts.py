#!/usr/bin/python
# MIT licence
"""Keep a folder of private files for each student. More than half of this file is its documentation."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: handouts
short_description: Keep a folder of private files for each student
version_added: 0.1.0
description:
  - Has a folder with an SSH key in it for each machine, and writes text files beside the key. The folder is what is
    handed over, so the private key is in it.
  - Folders have mode 0700 and files 0600. What else lies in a folder is left alone, and a key that is there is kept.
  - Runs on the controller.
options:
  directory:
    description: The folder above.
    type: path
    required: true
  machines:
    description: The machines. Each has a folder of its name, with the key C(id_ed25519) in it.
    type: list
    elements: str
    default: []
  files:
    description: For a machine, the name of each file and its text.
    type: dict
    default: {}
  absent:
    description: The machines whose folders are to be gone.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Says what would be made, written and removed. A key that is not there yet has no public half.
    support: full
author:
  - The gluon-ec2 authors (@d2l-ai)
"""

EXAMPLES = r"""
- name: Have a key for each student
  handouts:
    directory: handouts
    machines: [li-wei, chen]
  register: keys

- name: Write a sheet beside it
  handouts:
    directory: handouts
    files:
      li-wei:
        sheet.md: "{{ sheet }}"
  no_log: true
"""

RETURN = r"""
public:
  description: The public key of each of O(machines).
  type: dict
  returned: always
written:
  description: The machines in whose folders something was made or written.
  type: list
  elements: str
  returned: always
removed:
  description: The machines whose folders were removed.
  type: list
  elements: str
  returned: always
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,80}")


def folder_of(above: Path, machine: str, check: bool) -> Path:
    folder = above / machine
    if not check:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    return folder


def make_key(folder: Path, machine: str) -> None:
    """A key under another name first, so that half of one is never taken for it."""
    draft = folder / "new-key"
    for old in (draft, draft.with_suffix(".pub")):
        old.unlink(missing_ok=True)
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", machine, "-f", str(draft)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    draft.with_suffix(".pub").unlink()
    draft.replace(folder / "id_ed25519")


def public_of(key: Path) -> str:
    command = ["ssh-keygen", "-y", "-P", "", "-f", str(key)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def write(path: Path, text: str, check: bool) -> bool:
    """Whether it differed. Written whole or not at all, readable by its owner alone from its first byte."""
    try:
        if path.read_text() == text and not path.is_symlink():
            return False
    except (OSError, UnicodeDecodeError):
        pass
    if not check:
        draft = path.with_name(f".{path.name}.new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        draft.replace(path)
    return True


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "machines": {"type": "list", "elements": "str", "default": []},
            "files": {"type": "dict", "default": {}},
            "absent": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    asked, check = module.params, module.check_mode
    above, public, written, removed = Path(asked["directory"]), {}, [], []
    names = [
        *asked["machines"],
        *asked["files"],
        *asked["absent"],
        *(name for one in asked["files"].values() for name in one),
    ]
    if wrong := [name for name in names if not NAME.fullmatch(name)]:
        module.fail_json(msg=f"{', '.join(map(repr, wrong))} cannot be the name of a folder or file here.")
    try:
        for machine in asked["machines"]:
            key = folder_of(above, machine, check) / "id_ed25519"
            if not key.exists():
                written.append(machine)
                if check:
                    continue
                make_key(key.parent, machine)
            public[machine] = public_of(key)
        for machine, texts in asked["files"].items():
            folder = folder_of(above, machine, check)
            if any([write(folder / name, text, check) for name, text in texts.items()]):
                written.append(machine)
        for machine in asked["absent"]:
            if (above / machine).is_dir():
                removed.append(machine)
                if not check:
                    shutil.rmtree(above / machine)
    except subprocess.CalledProcessError as error:
        module.fail_json(msg=f"ssh-keygen could not do it: {error.stderr.strip()}")
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}. The hand-outs are kept in {above}.")
    written = list(dict.fromkeys(written))
    module.exit_json(changed=bool(written or removed), public=public, written=written, removed=removed)


if __name__ == "__main__":
    main()
