# MIT licence
"""Show where the notebooks are, and the token to whoever sits at the terminal."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

TERMINALS = ("/dev/pts/", "/dev/tty")


def at_a_terminal() -> bool:
    """Whether what ansible-playbook prints is read by a person.

    A worker's own standard output may be detached, so its parent's is looked up: where there is no /proc, by lsof.
    """
    parent = os.getppid()
    try:
        theirs = str(Path(f"/proc/{parent}/fd/1").readlink())
    except OSError:
        asked = ["lsof", "-a", "-p", str(parent), "-d", "1", "-F", "n"]
        try:
            told = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=False).stdout
        except (OSError, subprocess.TimeoutExpired):
            return os.isatty(1)
        theirs = next((line[1:] for line in told.splitlines() if line.startswith("n")), "")
    return theirs.startswith(TERMINALS)


class ActionModule(ActionBase):
    """Documented in plugins/modules/card.py, which makes the lines."""

    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        args = dict(self._task.args)
        wish, how = args.pop("show_token", "terminal"), args.pop("hint_without_token", "")
        if wish not in ("terminal", "always", "never"):
            return {"failed": True, "msg": f"show_token is {wish!r}: set it to terminal, always or never."}
        entries = [dict(one) for one in args["notebooks"]]
        tokens = {one["name"]: one.pop("token", "") for one in entries}
        show = wish == "always" or (wish == "terminal" and at_a_terminal())
        hints = dict(args.get("hints", {}))
        if how and not show:
            hints = {"token": how, **hints}
        made = self._execute_module("card", args | {"notebooks": entries, "hints": hints}, task_vars=task_vars)
        if made.get("failed"):
            return made
        screen = Display()
        for line in made["lines"]:
            token = tokens.get(line["notebook"]) if show else ""
            # A log file outlives the run: it gets the address alone.
            if token:
                screen.display(f"{line['text']}?token={token}", color=line["color"], screen_only=True)
            screen.display(line["text"], color=line["color"] or None, log_only=bool(token))
        return {"changed": False}
