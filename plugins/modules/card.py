#!/usr/bin/python
# MIT licence
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: card
short_description: Show where the notebooks are
version_added: 0.1.0
description:
  - Prints the address of each notebook, and what to do next.
  - The token goes to the screen and never to a log file or a task's result; when the output is no terminal,
    only when asked.
options:
  notebooks:
    description: One entry for each machine.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The machine's name.
        type: str
        required: true
      about:
        description: What it is, in a line.
        type: str
        required: true
      port:
        description: The port on this computer that leads to the notebook.
        type: int
        required: true
      token:
        description: The token.
        type: str
        required: true
      token_command:
        description: The command that prints the token, for where it is not shown.
        type: str
        required: true
  hints:
    description: Lines to end with.
    type: list
    elements: str
    default: []
  show_token:
    description: When the token is shown.
    type: str
    choices: [terminal, always, never]
    default: terminal
author:
  - The gluon-ec2 authors
"""

EXAMPLES = r"""
- name: Show the card
  card:
    notebooks:
      - name: reader
        about: c5.xlarge in us-east-1a, d2l-zh-v1
        port: 8888
        token: "{{ jupyter_token }}"
        token_command: ssh -F .state/ssh_config reader sudo cat /etc/jupyter/token
  no_log: true
"""

RETURN = r""" # """
