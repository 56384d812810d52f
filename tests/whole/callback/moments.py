"""Tell whoever listens when each task begins and ends, and go on when that is answered."""

from __future__ import annotations

import json
import os
import socket
from collections import Counter

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: moments
type: aggregate
short_description: Wait before and after each task until somebody says to go on
description:
  - For tests that end a run at a certain moment.
  - E(MOMENTS) is the number of an open socket. At each moment a line goes out, in JSON, V(before) or V(after), the
    task's name, and how many of this name there were; and a line has to come back.
options: {}
"""


class CallbackModule(CallbackBase):
    """Of plays with one host, where each task has one result."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "moments"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._listener = socket.socket(fileno=int(os.environ["MOMENTS"])).makefile("rw")
        self._counts: Counter[str] = Counter()
        self._task = ""

    def _tell(self, event: str) -> None:
        self._listener.write(json.dumps([event, self._task, self._counts[self._task]]) + "\n")
        self._listener.flush()
        self._listener.readline()

    def v2_playbook_on_task_start(self, task, is_conditional: bool) -> None:
        self._task = task.get_name()
        self._counts[self._task] += 1
        self._tell("before")

    def v2_playbook_on_handler_task_start(self, task) -> None:
        self.v2_playbook_on_task_start(task, False)

    def v2_runner_on_ok(self, result) -> None:
        self._tell("after")

    def v2_runner_on_skipped(self, result) -> None:
        self._tell("after")

    def v2_runner_on_failed(self, result, ignore_errors: bool = False) -> None:
        self._tell("after")

    def v2_runner_on_unreachable(self, result) -> None:
        self._tell("after")
