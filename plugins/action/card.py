# MIT licence
"""Show where the notebooks are, and the token to whoever sits at the terminal."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

TERMINALS = ("/dev/pts/", "/dev/tty")
TEXTS = ("about", "page", "trouble", "command", "instance_type", "market")
NOTEBOOK = {
    "name": {"type": "str", "required": True},
    "port": {"type": "int"},
    "usd_hour": {"type": "float"},
    "token": {"type": "str", "default": "", "no_log": True},
    **{name: {"type": "str", "default": ""} for name in TEXTS},
}
SPEC = {
    "notebooks": {"type": "list", "elements": "dict", "required": True, "options": NOTEBOOK},
    "hints": {"type": "dict", "default": {}},
    "hint_without_token": {"type": "str", "default": "", "no_log": False},
    "show_token": {"type": "str", "choices": ["terminal", "always", "never"], "default": "terminal", "no_log": False},
    "region": {"type": "str", "default": ""},
    "price_table": {"type": "path"},
}


def ours(name: str) -> types.ModuleType:
    """One of this collection's module_utils, as in ec2_preflight.py."""
    package = sys.modules.setdefault("gluon_ec2_plugins", types.ModuleType("gluon_ec2_plugins"))
    package.__path__ = [str(Path(__file__).absolute().parents[1])]
    return importlib.import_module(f"gluon_ec2_plugins.module_utils.{name}")


def nobody(service: str, region: str) -> Any:
    """In place of boto3's clients: the card asks nobody."""
    raise LookupError(service)


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
    """Documented in plugins/modules/card.py."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        _, asked = self.validate_argument_spec(argument_spec=SPEC)
        tokens = {one["name"]: one.pop("token") for one in asked["notebooks"]}
        show = asked["show_token"] == "always" or (asked["show_token"] == "terminal" and at_a_terminal())
        hints = asked["hints"]
        if asked["hint_without_token"] and not show:
            hints = {"token": asked["hint_without_token"], **hints}
        table = asked["price_table"]
        prices = ours("ec2_prices").Prices(nobody, asked["region"], Path(table)) if table else None
        screen = Display()
        for line in ours("card").lines(asked["notebooks"], hints, prices):
            token = tokens.get(line.notebook) if show else ""
            # A log file outlives the run: it gets the address alone.
            if token:
                screen.display(f"{line.text}?token={token}", color=line.color, screen_only=True)
            screen.display(line.text, color=line.color or None, log_only=bool(token))
        return {"changed": False}
