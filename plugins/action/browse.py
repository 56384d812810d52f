# MIT licence
"""Open the notebooks in the browser of whoever sits here."""

from __future__ import annotations

import html
import os
import selectors
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# It answers with a line. The page goes when its time is over, whatever the browser does meanwhile, and what the browser
# says goes nowhere.
OPENER = """
import os, pathlib, sys, threading, webbrowser
page, seconds = pathlib.Path(sys.argv[1]), float(sys.argv[2])
end = threading.Timer(seconds, lambda: page.unlink(missing_ok=True))
end.start()
with os.fdopen(os.dup(1), "w") as answer:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if webbrowser.open(page.as_uri()):
        answer.write("opened\\n")
    else:
        end.cancel()
        page.unlink(missing_ok=True)
"""
# Seconds: until a browser has to have been found, and that the page stays.
PATIENCE = 10
STAY = 60
PAGE = """<!DOCTYPE html>
<meta charset="utf-8"><meta name="referrer" content="no-referrer"><title>Notebooks</title>{refresh}
<ul>{links}</ul>
"""


def page(notebooks: list[dict[str, str]]) -> str:
    """A page that leads on to the only notebook, or lists them."""
    links = "".join(f'<li><a href="{html.escape(one["url"])}">{html.escape(one["name"])}</a></li>' for one in notebooks)
    url = html.escape(notebooks[0]["url"])
    return PAGE.format(
        links=links, refresh=f'<meta http-equiv="refresh" content="0;url={url}">' if len(notebooks) == 1 else ""
    )


def has_display() -> bool:
    """Whether a browser could be seen. Without one, Python would take a browser for terminals, and wait for it."""
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"))


def opened(notebooks: list[dict[str, str]], directory: Path) -> str:
    """Open them; "" or why that was not possible."""
    if not has_display():
        return "this computer shows no display (DISPLAY, WAYLAND_DISPLAY and BROWSER are not set)"
    for old in directory.glob("open-*.html"):
        # Of an opener that was ended before its time.
        if time.time() - old.stat().st_mtime > STAY:
            old.unlink(missing_ok=True)
    # Its mode is 0600.
    handle, name = tempfile.mkstemp(".html", "open-", directory)
    with os.fdopen(handle, "w") as file:
        file.write(page(notebooks))
    opener = subprocess.Popen(
        [sys.executable, "-c", OPENER, str(Path(name).absolute()), str(STAY)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    return answer(opener)


def answer(opener: subprocess.Popen[str]) -> str:
    """What the opener found; a browser that still runs in the foreground is one that was found."""
    with selectors.DefaultSelector() as ready:
        ready.register(opener.stdout, selectors.EVENT_READ)
        if not ready.select(PATIENCE):
            return ""
    return "" if opener.stdout.readline() == "opened\n" else "no browser was found here that opens it"


class ActionModule(ActionBase):
    """Documented in plugins/modules/browse.py."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(
            argument_spec={
                "notebooks": {"type": "list", "elements": "dict", "required": True},
                "directory": {"type": "path", "required": True},
            },
        )
        if args["notebooks"] and not self._task.check_mode:
            try:
                trouble = opened(args["notebooks"], Path(args["directory"]))
            except OSError as error:
                trouble = str(error)
            said = f"not opened: {trouble}. Open the address yourself." if trouble else "opened"
            Display().display(f"  {'browser':<12} {said}")
        return {"changed": False}
