# MIT licence
"""Run a module of this collection in the worker that has its task. The links beside this file are for other modules.

These modules run on the controller, where Ansible would start one more Python for each, and have it compile Ansible's
and boto3's code once again: more work than most of them have. A worker has that code in memory, and lives for one
task, so what the module does to its process concerns nobody else. The module itself is the same either way.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import sys
import types
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

try:
    from ansible.module_utils.testing import patch_module_args
except ImportError:  # ansible-core before 2.19
    patch_module_args = None


def ours(name: str) -> types.ModuleType:
    """One of this collection's modules: those of a checkout are in no package, so both get one of this name."""
    package = sys.modules.setdefault("gluon_ec2_plugins", types.ModuleType("gluon_ec2_plugins"))
    package.__path__ = [str(Path(__file__).absolute().parents[1])]
    return importlib.import_module(f"gluon_ec2_plugins.modules.{name}")


def run(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The result of a module that is given these arguments, as they would be sent to it."""
    main = ours(name).main
    told = io.StringIO()
    with patch_module_args(arguments), contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
        main()
    return json.loads(told.getvalue().strip().splitlines()[-1])


class ActionModule(ActionBase):
    """Documented with the module of the task."""

    TRANSFERS_FILES = False
    _supports_async = True

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        name = self._task.action.rpartition(".")[2]
        if not self._here(task_vars):
            return self._execute_module(task_vars=task_vars, wrap_async=bool(self._task.async_val))
        arguments = dict(self._task.args)
        self._update_module_args(self._task.action, arguments, task_vars)
        return run(name, arguments)

    def _here(self, task_vars: dict[str, Any]) -> bool:
        """Whether the module would run on this computer, with this Python, as this user, and in this environment."""
        host = task_vars["ansible_delegated_vars"][self._task.delegate_to] if self._task.delegate_to else task_vars
        return bool(
            patch_module_args
            and self._connection.transport == "local"
            and self._connection.become is None
            and self._templar.template(host.get("ansible_python_interpreter", "")) == sys.executable
            and not self._task.async_val
            and not any(self._task.environment or [])
        )
