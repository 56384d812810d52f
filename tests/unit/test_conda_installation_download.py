"""What the conda_installation module makes of its download; how files come at all is in test_download.py."""

from __future__ import annotations

import signal
import time

import pytest
from conda_installation_host import MINICONDA, NEWER, SIZE, Host, host, installers, server
from fault_server import Server, until
from private_network import Authority, Proxy

from plugins.module_utils import download

__all__ = ["host", "installers", "server"]


def test_each_byte_comes_once_and_none_by_another_run(host: Host) -> None:
    host()
    assert host.server.sent <= 1.02 * SIZE
    host()
    assert (host.server.sent, len(host.server.requests)) == (SIZE, 1)


def test_a_run_that_was_killed_at_half_is_continued(host: Host) -> None:
    host.server.faults = [("stall", 0.5)]
    run, part = host.start(), host.work / f"{MINICONDA}.part"
    until(lambda: part.is_file() and part.stat().st_size >= SIZE // 2)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert not host.prefix.exists()
    assert host()["changed"] is True
    assert host.server.sent <= 1.5 * SIZE
    assert host.beside() == ["miniconda3"]


@pytest.mark.parametrize("fault", [("short", 0.5), ("flip", 0.5)])
def test_a_file_that_stays_wrong_is_never_executed(host: Host, fault: tuple[str, float]) -> None:
    host.server.always = fault
    answer = host()
    assert f"{host.server.url}/miniconda/{MINICONDA} is not the file that was asked for" in answer["msg"]
    assert answer["options"] == ["sha256"]
    assert (host.calls(), host.beside()) == ([], [])


def test_a_partial_file_is_verified_and_not_trusted(host: Host) -> None:
    host.work.mkdir(parents=True, mode=0o700)
    (host.work / f"{MINICONDA}.part").write_bytes(b"#!/bin/sh\ntouch /canary\n")
    assert host()["changed"] is True
    assert len(host.server.requests) == 2


def test_what_is_left_of_another_version_is_removed(host: Host) -> None:
    host.server.always = ("cut", 0.5)
    assert "What came is kept in" in host()["msg"]
    host.server.always = None
    host(NEWER)
    assert host.beside() == ["miniconda3"]


def test_a_version_that_is_not_there_is_told_at_once(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "WAITS", (2, 5, 10))
    host.server.always = 404
    begun = time.monotonic()
    answer = host()
    assert time.monotonic() - begun < 5
    assert f"{MINICONDA} cannot be downloaded: the server answered 404" in answer["msg"]
    assert (answer["options"], len(host.server.requests)) == (["url", "version"], 1)


@pytest.mark.parametrize("login", ["", "me:hush@"])
def test_the_proxy_is_used_with_tls(host: Host, login: str) -> None:
    authority = Authority(host.folder)
    beyond = Server(host.server.folder, authority.issue("repo.example.org"))
    proxy = Proxy(beyond.server_port, login=login)
    answer = host(
        url=f"https://repo.example.org/{MINICONDA}",
        proxy=proxy.url,
        no_proxy=".example.com",
        ca_bundle=str(authority.bundle),
    )
    proxy.close()
    beyond.close()
    assert answer["changed"] is True and "hush" not in str(answer)
    assert (proxy.asked, beyond.sent) == (["repo.example.org:443"], SIZE)
    # Every user reads it.
    assert ("proxy_servers" in host.condarc.read_text(), "hush" in host.condarc.read_text()) == (not login, False)


def test_a_host_that_is_reached_without_the_proxy(host: Host) -> None:
    proxy = Proxy(1)
    assert host(proxy=proxy.url, no_proxy="repo.example.org,127.0.0.1")["changed"] is True
    proxy.close()
    assert proxy.asked == []


def test_what_a_failure_is_about_is_told(host: Host) -> None:
    proxy = Proxy(1, refuses=403)
    answer = host(url=f"https://repo.example.org/{MINICONDA}", proxy=proxy.url)
    proxy.close()
    assert "(the proxy for repo.example.org) refused the connection" in answer["msg"] and answer["options"] == ["proxy"]
