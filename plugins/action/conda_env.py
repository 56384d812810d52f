# MIT licence
"""Run a module of this collection on the machine only where it has something to do. The links beside this file are for
other modules.

Whether it has, is asked by its own code in a lighter way, see module_utils/ahead.py; that takes half the time.
"""

from __future__ import annotations

import base64
import importlib
import json
import shlex
import sys
import types
import zlib
from pathlib import Path
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.action import ActionBase

PACKAGE = "gluon_ec2_plugins"


class ActionModule(ActionBase):
    """Documented with the module of the task."""

    TRANSFERS_FILES = False
    _supports_async = True

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        if not self._task.check_mode and not self._task.async_val and self._is_pipelining_enabled("new"):
            answer = self._ahead(self._task.action.rpartition(".")[2], task_vars)
            if answer.get("changed") is False:
                return answer
        return self._execute_module(task_vars=task_vars, wrap_async=bool(self._task.async_val))

    def _ahead(self, name: str, task_vars: dict[str, Any]) -> dict[str, Any]:
        """What the module says of a machine on which there is nothing to do; else anything without `changed` false."""
        package = sys.modules.setdefault(PACKAGE, types.ModuleType(PACKAGE))
        package.__path__ = [str(Path(__file__).absolute().parents[1])]
        importlib.import_module(f"{PACKAGE}.module_utils.ahead")
        module = importlib.import_module(f"{PACKAGE}.modules.{name}")
        read = ArgumentSpecValidator(**module.OPTIONS).validate(dict(self._task.args))
        paths = [key for key, option in module.OPTIONS["argument_spec"].items() if option["type"] == "path"]
        # What a machine would make of these is not known here.
        if read.error_messages or any(mark in str(self._task.args.get(key)) for key in paths for mark in "~$"):
            return {}
        found = (task_vars.get("ansible_facts") or {}).get("python") or {}
        command = shlex.join([found.get("executable") or "/usr/bin/python3", "-I", "-"])
        words = f"{self._compute_environment_string()} {command}".strip()
        done = self._low_level_execute_command(words, in_data=self._program(name, read.validated_parameters))
        try:
            answer = json.loads(done["stdout"].strip().splitlines()[-1]) if not done["rc"] else {}
        except (IndexError, ValueError):
            return {}
        return remove_values({**answer, "invocation": {"module_args": read.validated_parameters}}, read._no_log_values)

    def _program(self, name: str, options: dict[str, Any]) -> bytes:
        """All in one text for Python's standard input, so that an option with a password is in no command line."""
        texts = {
            key: Path(module.__file__).read_text(encoding="utf-8")
            for key, module in sys.modules.items()
            if key.startswith(f"{PACKAGE}.") and getattr(module, "__file__", None)
        }
        text = (
            f"{texts.pop(f'{PACKAGE}.module_utils.ahead')}\nask(*json.loads({json.dumps([name, texts, options])!r}))\n"
        )
        packed = base64.b64encode(zlib.compress(text.encode())).decode()
        return f"import base64, zlib\nexec(zlib.decompress(base64.b64decode('{packed}')))\n".encode()
