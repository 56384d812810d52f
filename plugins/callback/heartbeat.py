# MIT licence
"""Say that a long task is still alive."""

from __future__ import annotations

DOCUMENTATION = r"""
name: heartbeat
type: aggregate
short_description: Say that a long task is still alive
version_added: 0.1.0
description:
  - Prints a line when a task has been silent for a while, and again each time as long has passed.
options:
  interval:
    description: Seconds of silence before a line.
    type: int
    default: 15
    env:
      - name: GLUON_HEARTBEAT
    ini:
      - section: callback_heartbeat
        key: interval
"""

import threading
import time

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """A thread of the main process, which knows only what the last callback told it."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "heartbeat"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._task: str | None = None
        self._started = 0.0
        self._over = threading.Event()

    def v2_playbook_on_start(self, playbook: object) -> None:
        threading.Thread(target=self._beat, args=(self.get_option("interval"),), daemon=True).start()

    def v2_playbook_on_task_start(self, task, is_conditional: bool) -> None:
        self._task, self._started = task.get_name(), time.monotonic()

    def v2_playbook_on_handler_task_start(self, task) -> None:
        self.v2_playbook_on_task_start(task, False)

    def v2_playbook_on_stats(self, stats: object) -> None:
        self._over.set()

    def _beat(self, interval: int) -> None:
        told = 0.0
        while not self._over.wait(1):
            now = time.monotonic()
            if self._task and now - max(self._started, told) >= interval:
                told = now
                self._display.display(f"    ... {now - self._started:.0f} s: {self._task}", color="dark gray")
