#!/usr/bin/python
# MIT licence
"""Read a class's roster. More than half of this file is its documentation."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: roster
short_description: Read a class's roster
version_added: 0.1.0
description:
  - Reads who gets a machine, and gives each machine its name. All that is wrong with the list is said at once.
  - A machine is called C(machine) if the student has one, or else as the student in ASCII letters (C(Li Wei) has
    C(li-wei)). A name without such letters gives C(student-) and eight digits that are always the same for it. So no
    machine's name depends on who else is on the list.
  - Runs on the controller.
options:
  path:
    description:
      - The file. YAML, a list with an entry for each student - C(name), and if wanted C(email), C(type), C(machine).
    type: path
  students:
    description: The list itself, in place of a file.
    type: list
    elements: raw
attributes:
  check_mode:
    description: It changes nothing either way.
    support: full
author:
  - The gluon-ec2 authors (@d2l-ai)
"""

EXAMPLES = r"""
- name: Read the roster
  roster:
    path: roster.yml
  register: class_roster
"""

RETURN = r"""
students:
  description: The students, each with name, email, type (both may be empty) and machine.
  type: list
  elements: dict
  returned: always
machines:
  description: The machines as the ec2 role takes them.
  type: list
  elements: dict
  returned: always
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.class_roster import Refused, read, students


def main() -> None:
    module = AnsibleModule(
        argument_spec={"path": {"type": "path"}, "students": {"type": "list", "elements": "raw"}},
        required_one_of=[("path", "students")],
        mutually_exclusive=[("path", "students")],
        supports_check_mode=True,
    )
    path, listed = module.params["path"], module.params["students"]
    try:
        found = students(read(Path(path)) if path else listed)
    except Refused as refused:
        module.fail_json(msg="\n".join(refused.args), refusals=list(refused.args))
    # What is empty is left to the role's defaults.
    machines = [{"name": one["machine"]} | ({"instance_type": one["type"]} if one["type"] else {}) for one in found]
    module.exit_json(changed=False, students=found, machines=machines)


if __name__ == "__main__":
    main()
