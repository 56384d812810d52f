# MIT licence
"""Keep the garbage collector away from what a run has loaded."""

from __future__ import annotations

DOCUMENTATION = r"""
name: gc_freeze
type: aggregate
short_description: Keep the garbage collector away from what a run has loaded
version_added: 0.1.0
description:
  - Ansible forks a process for each task and machine. Python's garbage collector goes over all that the run had loaded
    by then, in each of them again, and the kernel copies the pages that it touches.
  - This has it leave alone what is there when a play begins, as nearly all of that is needed to the end.
  - It shows nothing, and a play does the same with it.
"""

import gc

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """Between plays there is no worker whose garbage it could be."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "gc_freeze"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_play_start(self, play: object) -> None:
        gc.freeze()
