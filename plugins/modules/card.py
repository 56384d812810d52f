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
  - Prints a table with the address of each notebook, what they cost, and what to do next.
  - The token goes to the screen and never to a log file or a task's result; when the output is no terminal,
    only when asked. It never reaches another process.
  - Runs on the controller.
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
        description: What it is, in a few words.
        type: str
        default: ""
      port:
        description: The port on this computer that leads to the notebook.
        type: int
      token:
        description: The token, where it is known.
        type: str
        default: ""
      page:
        description: The page that the address leads to, V(tree) if it is empty. JupyterLab's is V(lab).
        type: str
        default: ""
      trouble:
        description: Why there is no way to the notebook. Empty, there is one.
        type: str
        default: ""
      command:
        description: A line for a shell that opens the way.
        type: str
        default: ""
      instance_type:
        description: The type of a machine in EC2.
        type: str
        default: ""
      market:
        description: V(on-demand) or V(spot).
        type: str
        default: ""
      usd_hour:
        description: USD per hour, where that is known better than O(price_table) has it.
        type: float
  hints:
    description: What to do next, by its short name. Empty ones are left out.
    type: dict
    default: {}
  hint_without_token:
    description: How to get the token, shown where that is not.
    type: str
    default: ""
  show_token:
    description: When the token is shown.
    type: str
    choices: [terminal, always, never]
    default: terminal
  region:
    description: The region of the machines in EC2.
    type: str
    default: ""
  price_table:
    description: The file of prices.
    type: path
attributes:
  check_mode:
    description: It only shows, in check mode as well.
    support: full
author:
  - The gluon-ec2 authors (@d2l-ai)
"""

EXAMPLES = r"""
- name: Show the card
  card:
    notebooks:
      - name: reader
        about: c5.xlarge in us-east-1a
        port: 8888
        token: "{{ jupyter_token }}"
    hints:
      stop: ansible-playbook playbooks/stop.yml
  delegate_to: localhost
  no_log: true
"""

RETURN = r""" # """
