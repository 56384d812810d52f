# MIT licence
"""Run a script by the target's Python, which reads it from its standard input."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Documented in plugins/modules/python_script.py."""

    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        _, asked = self.validate_argument_spec(
            argument_spec={
                "src": {"type": "str", "required": True},
                "question": {"type": "dict", "default": {}},
                "executable": {"type": "str"},
            },
        )
        if self._task.check_mode:
            return {"skipped": True, "msg": "A script does not know of check mode."}
        found = (task_vars.get("ansible_facts") or {}).get("python") or {}
        python = asked["executable"] or found.get("executable") or "/usr/bin/python3"
        # Isolated from variables and folders of whoever runs it.
        command = [python, "-I", "-", json.dumps(asked["question"])]
        source = Path(self._find_needle("files", asked["src"])).read_text(encoding="utf-8")
        code, said = self._done(command, source, task_vars)
        if code:
            return {"failed": True, "rc": code, "msg": said.strip() or f"{asked['src']} ended with {code}."}
        try:
            return {"changed": False, "rc": 0, "answer": json.loads(said.strip().splitlines()[-1])}
        except (IndexError, ValueError):
            raise AnsibleActionFail(f"{asked['src']} did not end with JSON: {said.strip()[-500:]}") from None

    def _done(self, command: list[str], source: str, task_vars: dict[str, Any]) -> tuple[int, str]:
        """Exit status, and what was said last: the script's answer, or else why there is none."""
        if self._is_pipelining_enabled("new"):
            # As modules are sent, without what makes a module, which is half a second of most visits' work.
            words = " ".join(filter(None, (self._compute_environment_string(), shlex.join(command), "2>&1")))
            done = self._low_level_execute_command(words, in_data=source.encode())
            return done["rc"], done["stdout"]
        arguments = {"argv": command, "stdin": source, "expand_argument_vars": False}
        done = self._execute_module("ansible.builtin.command", module_args=arguments, task_vars=task_vars)
        said = done.get("stderr", "") + done.get("stdout", "")
        return done.get("rc", 1), said or f"{command[0]}: {done.get('msg', '')}"
