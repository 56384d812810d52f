#!/usr/bin/python
# MIT licence
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: browse
short_description: Open the notebooks in the browser
version_added: 0.1.0
description:
  - Opens one page in this computer's browser, C($BROWSER) if that is set. It leads to the notebook, or lists them all.
  - The token is no part of a command line, which others could read. It is in a page that only its owner can read, as
    Jupyter itself does it, and which is removed after a minute.
  - Where there is no display or no browser it says so, and does not fail.
options:
  notebooks:
    description: One entry for each notebook.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The machine's name.
        type: str
        required: true
      url:
        description: The address, with the token.
        type: str
        required: true
  directory:
    description: Where the page lies for this minute.
    type: path
    required: true
attributes:
  check_mode:
    description: In check mode nothing is opened.
    support: full
author:
  - The gluon-ec2 authors (@d2l-ai)
"""

EXAMPLES = r"""
- name: Open the notebook
  browse:
    notebooks:
      - name: reader
        url: http://127.0.0.1:8888/tree?token={{ jupyter_token }}
    directory: .state
  no_log: true
"""

RETURN = r""" # """
