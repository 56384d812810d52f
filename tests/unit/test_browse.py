"""Opening the browser, with one that keeps what it was given."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plugins.action import browse

TOKEN = "c0ffee" * 8
ONE = [{"name": "reader", "url": f"http://127.0.0.1:8888/tree?token={TOKEN}"}]
TWO = [*ONE, {"name": "<bob>", "url": f"http://127.0.0.1:8889/tree?token={TOKEN}"}]
DISPLAYS = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")


def eventually(what: Callable[[], Any], seconds: float = 120) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A browser that notes the address it was given, and the page and its mode; the folder where it does."""
    script = (
        f'echo "$1" > {tmp_path}/url; page="${{1#file://}}"; stat -c %a "$page" > {tmp_path}/mode\n'
        f'cp "$page" {tmp_path}/copy; ps -A -ww -o args= > {tmp_path}/processes\necho noise; touch {tmp_path}/done\n'
    )
    (tmp_path / "browser").write_text(f"#!/bin/sh\n{script}")
    (tmp_path / "browser").chmod(0o755)
    (tmp_path / "state").mkdir()
    for name in DISPLAYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BROWSER", str(tmp_path / "browser"))
    monkeypatch.setattr(browse, "STAY", 10)
    return tmp_path


def test_the_browser_gets_a_page_that_leads_to_the_notebook(seen: Path) -> None:
    assert browse.opened(ONE, seen / "state") == ""
    eventually((seen / "done").exists)
    assert re.fullmatch(rf"file://{seen}/state/open-\w+\.html\n", (seen / "url").read_text())
    assert f'content="0;url={ONE[0]["url"]}"' in (seen / "copy").read_text()


def test_the_token_is_in_no_command_line_and_nobody_else_can_read_the_page(seen: Path) -> None:
    browse.opened(ONE, seen / "state")
    eventually((seen / "done").exists)
    assert TOKEN not in (seen / "processes").read_text()
    assert "open-" in (seen / "processes").read_text()
    assert (seen / "mode").read_text() == "600\n"


def test_the_page_goes_after_a_while(seen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browse, "STAY", 2)
    browse.opened(ONE, seen / "state")
    eventually(lambda: not list((seen / "state").iterdir()))


def test_the_page_goes_while_a_browser_in_the_foreground_still_runs(
    seen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browse, "PATIENCE", 1)
    (seen / "browser").write_text(f"#!/bin/sh\necho $$ > {seen}/pid\nsleep 30\n")
    assert browse.opened(ONE, seen / "state") == ""
    eventually(lambda: not list((seen / "state").iterdir()))
    subprocess.run(["kill", (seen / "pid").read_text().strip()], check=True)


def test_several_notebooks_are_listed_on_one_page(seen: Path) -> None:
    browse.opened(TWO, seen / "state")
    eventually((seen / "done").exists)
    listed = (seen / "copy").read_text()
    assert "refresh" not in listed
    assert "&lt;bob&gt;</a>" in listed and TWO[1]["url"] in listed


def test_a_browser_that_fails_is_told_and_its_page_goes(seen: Path) -> None:
    (seen / "browser").write_text("#!/bin/sh\nexit 3\n")
    assert browse.opened(ONE, seen / "state") == "no browser was found here that opens it"
    eventually(lambda: not list((seen / "state").iterdir()))


@pytest.mark.skipif(browse.sys.platform == "darwin", reason="macOS always has a display")
def test_without_a_display_nothing_is_started(seen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BROWSER")
    assert "no display" in browse.opened(ONE, seen / "state")
    assert list((seen / "state").iterdir()) == []


def test_a_page_that_was_left_behind_is_taken_away(seen: Path) -> None:
    (seen / "state/open-old.html").touch()
    os.utime(seen / "state/open-old.html", (0, 0))
    browse.opened(ONE, seen / "state")
    assert not (seen / "state/open-old.html").exists()
