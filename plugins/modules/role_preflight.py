#!/usr/bin/python
# MIT licence
"""Documentation of the action plugin of the same name, which runs on the controller alone."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: role_preflight
short_description: Refuse values that a role could do nothing with, before it begins
version_added: 0.1.0
description:
  - Says all at once what is wrong with the variables of this collection's roles, and what is allowed. Nothing is asked
    of a machine.
  - It is the first task of each role. A play may have it check several roles before the first of them begins; that is
    before a machine is launched, too, where nothing is known yet of what the machine's facts decide.
  - Where the play registers that answer as C(role_preflight_ahead), a role of which all could be told asks only what is
    of its machine.
  - Which variables a role has, and of which types, its F(meta/argument_specs.yml) says, so that a play with this task
    can import the roles with C(rolespec_validate=false).
  - What such a spec cannot say is in F(meta/preflight.yml), under these keys.
  - C(root) is whether the role has to be root on the machine, which it says where the play does not become it.
  - C(sets) are variables of the role's name that it sets itself.
  - C(ranges) are the lowest and the highest number that a variable may be.
  - C(patterns) are a regular expression for all of a variable's text, and what is said of one that does not match.
  - C(forms) are such patterns that several roles share, by their names in this plugin.
  - C(values) is a list of what must hold (C(that), an expression), and of what is said if it does not (C(msg)).
  - C(machine) is such a list of what can only be told in the role, of the machine that it works on.
options:
  roles:
    description: Roles of this collection. If there are none, the role that the task is in.
    type: list
    elements: str
attributes:
  check_mode:
    description: It changes nothing.
    support: full
author:
  - The gluon-ec2 authors (@d2l-ai)
"""

EXAMPLES = r"""
- name: Refuse unknown variables and impossible values, in a role's tasks
  d2l.gluon_ec2.role_preflight:

- name: Refuse what either of the roles would refuse, in a play's first task
  d2l.gluon_ec2.role_preflight:
    roles: [miniconda, jupyter]
  register: role_preflight_ahead
"""

RETURN = r"""
settled:
  description: The roles of which nothing was left open but what is of their machine.
  returned: success
  type: list
  elements: str
msg:
  description: What is wrong, all of it.
  returned: failure
  type: str
"""
