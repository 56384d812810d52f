#!/usr/bin/python
# MIT licence
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: show
short_description: Show lines to whoever reads along
version_added: 0.1.0
description:
  - Prints lines as they are, a table say, where M(ansible.builtin.debug) would print a data structure.
options:
  lines:
    description: The lines.
    type: list
    elements: str
    required: true
  color:
    description: A color as Ansible's configuration names it. Empty, none.
    type: str
author:
  - The gluon-ec2 authors (@d2l-ai)
"""

EXAMPLES = r"""
- name: Show what there is
  show:
    lines:
      - "reader   running   us-east-1a"
"""

RETURN = r""" # """
