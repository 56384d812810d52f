#!/usr/bin/python
# MIT licence
"""Documentation of the action plugin of the same name, which sends the script."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: python_script
short_description: Ask the target something by a Python script
version_added: 0.1.0
description:
  - Has the target's Python run a script that is never a file there, and takes the JSON that it prints as its answer.
  - Where connections are pipelined the script is sent as it is, which takes a fraction of the time of a module;
    elsewhere M(ansible.builtin.command) runs it.
  - The script gets its question as JSON in C(sys.argv[1]), prints the answer as its last line, and refuses by an exit
    status other than 0, with a sentence on its standard error, such as by C(sys.exit(sentence)).
  - It counts as having changed nothing. Of one that does, C(changed_when) tells.
options:
  src:
    description: The script, which is looked for in the role's files.
    type: str
    required: true
  question:
    description: What the script is asked.
    type: dict
    default: {}
  executable:
    description: The Python that runs it. If there is none, that of the facts, or else F(/usr/bin/python3).
    type: str
attributes:
  check_mode:
    description: The script does not run, unless the task has C(check_mode=false).
    support: none
author:
  - The gluon-ec2 authors (@d2l-ai)
"""

EXAMPLES = r"""
- name: Look which of the folders are there
  python_script:
    src: look.py
    question:
      folders: [/data, /srv]
  register: looked
  check_mode: false

- name: Say what is missing
  ansible.builtin.debug:
    msg: "{{ looked.answer.missing | join(', ') }}"
"""

RETURN = r"""
answer:
  description: What the script printed, read as JSON.
  returned: success
  type: raw
rc:
  description: The script's exit status.
  returned: always
  type: int
"""
