"""The way to the notebook: open in the background, by a command of one's own, in the browser, and closed."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import STATE, on_machine, playbook

from plugins.module_utils.tunnels import Tunnels

TUNNEL = "playbooks/tunnel.yml"
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/tree")


def pid() -> int | None:
    """The ssh that is open to the machine."""
    return Tunnels(STATE).pids.get("reader")


def port_in(output: str) -> int:
    (found,) = ADDRESS.findall(output)
    return int(found)


def status_of(url: str) -> int:
    try:
        return urllib.request.urlopen(url, timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.fixture
def token(address: str) -> str:
    return address.partition("?token=")[2]


@pytest.fixture
def port(address: str) -> Iterator[int]:
    """The port of the tunnel. It is open there again after the test."""
    port = port_in(address)
    yield port
    if Tunnels(STATE).notes.get("reader", {}).get("port") != port or not pid():
        playbook(TUNNEL, "-e", "tunnel=closed")
        assert port_in(playbook(TUNNEL, "-e", f"notebook_port={port}").output) == port


def test_a_second_call_uses_the_tunnel_that_is_open(port: int) -> None:
    before = pid()
    again = playbook(TUNNEL)
    assert (again.changed, pid(), port_in(again.output)) == (0, before, port)
    assert before


def test_one_that_was_killed_is_open_again_on_its_port(port: int) -> None:
    os.kill(pid(), signal.SIGKILL)
    assert port_in(playbook(TUNNEL).output) == port
    assert status_of(f"http://127.0.0.1:{port}/api") == 200


def test_a_port_that_is_taken_is_said_and_the_next_one_is_used(port: int) -> None:
    """FAULTS B13."""
    assert "closed       reader" in playbook(TUNNEL, "-e", "tunnel=closed").output
    assert pid() is None
    with socket.create_server(("127.0.0.1", port)):
        shown = playbook(TUNNEL, "-e", f"notebook_port={port}").output
    assert re.search(rf"port +taken by something else on this computer: .*\b{port}\b", shown)
    assert status_of(f"http://127.0.0.1:{port_in(shown)}/api") == 200


def test_the_command_that_is_shown_leads_to_the_notebook(port: int, token: str) -> None:
    before = pid()
    shown = playbook(TUNNEL, "-e", "tunnel=command", "-e", "show_token=always").output
    (line,) = re.findall(r"^ +reader +(ssh -N .*)$", shown, re.MULTILINE)
    assert pid() == before
    assert not re.search(r"-F|ssh_config", line)
    typed = subprocess.Popen(["sh", "-c", f"exec {line}"], stdin=subprocess.DEVNULL, cwd="/")
    try:
        other = port_in(shown)
        deadline = time.monotonic() + 30
        while socket.socket().connect_ex(("127.0.0.1", other)):
            assert typed.poll() is None and time.monotonic() < deadline, line
            time.sleep(0.1)
        assert other != port
        assert status_of(f"http://127.0.0.1:{other}/api/status?token={token}") == 200
    finally:
        typed.terminate()
        typed.wait()


def test_the_browser_is_opened_at_the_notebook(
    port: int, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\ncp "${{1#file://}}" {tmp_path}/page.html\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))
    shown = playbook(TUNNEL, "-e", "browser=yes").output
    assert "browser      opened" in shown
    assert token not in shown
    (url,) = re.findall(r'content="0;url=([^"]*)"', (tmp_path / "page.html").read_text())
    assert url == f"http://127.0.0.1:{port}/tree?token={token}"
    assert status_of(url) == 200


def test_without_a_display_that_is_said(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert "browser      not opened: this computer shows no display" in playbook(TUNNEL, "-e", "browser=yes").output


def test_status_shows_the_address_and_no_token(port: int, token: str) -> None:
    shown = playbook("playbooks/status.yml").output
    assert port_in(shown) == port
    assert token not in shown


def test_a_notebook_that_does_not_answer_is_said(port: int) -> None:
    on_machine("sudo systemctl stop jupyter")
    try:
        with pytest.raises(AssertionError, match="is open, but nothing answers there") as failed:
            playbook(TUNNEL)
        assert "not ready: The tunnel to port 8888 is open" in str(failed.value)
    finally:
        on_machine("sudo systemctl start jupyter")


def test_another_word_is_refused_at_once(port: int) -> None:
    for choice in ("tunnel=maybe", "show_token=sometimes", "browser=firefox"):
        with pytest.raises(AssertionError, match=f"{choice} is unknown: set it to"):
            playbook(TUNNEL, "-e", choice)
