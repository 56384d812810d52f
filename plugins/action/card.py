# MIT licence
"""Show where the notebooks are, and the token to whoever sits at the terminal."""

from __future__ import annotations

import os
from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display


def at_a_terminal() -> bool:
    """Whether what ansible-playbook prints is read by a person.

    A worker's own standard output may be detached, so its parent's is asked where the system shows it.
    """
    theirs = Path(f"/proc/{os.getppid()}/fd/1")
    try:
        return str(theirs.readlink()).startswith(("/dev/pts/", "/dev/tty"))
    except OSError:
        return os.isatty(1)


class ActionModule(ActionBase):
    """Documented in plugins/modules/card.py."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(
            argument_spec={
                "notebooks": {"type": "list", "elements": "dict", "required": True},
                "hints": {"type": "list", "elements": "str", "default": []},
                "show_token": {"type": "str", "choices": ["terminal", "always", "never"], "default": "terminal"},
            },
        )
        if not args["notebooks"]:
            raise AnsibleActionFail(
                "No machine has a notebook to show: is one running? start.yml starts those that are stopped."
            )
        show = args["show_token"] == "always" or (args["show_token"] == "terminal" and at_a_terminal())
        screen = Display()
        screen.display("")
        for notebook in args["notebooks"]:
            address = f"http://127.0.0.1:{notebook['port']}/tree"
            screen.display(f"  {notebook['name']:<12} {notebook['about']}")
            if show:
                # The screen alone: a log file outlives the run.
                screen.display(f"  {'open':<12} {address}?token={notebook['token']}", color="green", screen_only=True)
            else:
                screen.display(f"  {'open':<12} {address}   token: {notebook['token_command']}", color="green")
        for hint in args["hints"]:
            screen.display(f"  {hint}")
        result.update(changed=False)
        return result
