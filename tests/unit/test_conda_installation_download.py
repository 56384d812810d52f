"""How the conda_installation module downloads: from a server that fails, through a proxy, under a private authority."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator

import pytest
from conda_installation_host import MINICONDA, NEWER, SIZE, Host, host, installers, server
from fault_server import Server, until
from private_network import Authority, Proxy

from plugins.module_utils import download

__all__ = ["host", "installers", "server"]


@pytest.fixture
def authority(host: Host) -> Authority:
    return Authority(host.folder)


@pytest.fixture
def tls(host: Host, authority: Authority) -> Iterator[Server]:
    server = Server(host.server.folder, authority.issue("127.0.0.1"))
    yield server
    server.close()


@pytest.fixture
def proxy(host: Host) -> Iterator[Proxy]:
    proxy = Proxy(host.server.server_port)
    yield proxy
    proxy.close()


def test_each_byte_comes_once_and_none_by_another_run(host: Host) -> None:
    host()
    assert host.server.sent <= 1.02 * SIZE
    host()
    assert (host.server.sent, len(host.server.requests)) == (SIZE, 1)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_download_that_is_cut_is_resumed(host: Host, share: float) -> None:
    host.server.faults = [("cut", share)]
    assert host()["changed"] is True
    assert (len(host.server.requests), host.server.sent) == (2, SIZE)


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


@pytest.mark.parametrize("fault", [("short", 0.5), ("flip", 0.5), ("flip", 0.01)])
def test_a_wrong_file_is_downloaded_once_more(host: Host, fault: tuple[str, float]) -> None:
    host.server.faults = [fault]
    assert host()["changed"] is True
    assert len(host.server.requests) == 2


@pytest.mark.parametrize("fault", [("short", 0.5), ("flip", 0.5)])
def test_a_file_that_stays_wrong_is_never_executed(host: Host, fault: tuple[str, float]) -> None:
    host.server.always = fault
    answer = host()
    assert f"{host.server.url}/miniconda/{MINICONDA} is not the file that was asked for" in answer["msg"]
    assert answer["options"] == ["sha256"]
    assert (host.calls(), host.beside()) == ([], [])


def test_a_file_of_another_checksum_is_told_with_both(host: Host) -> None:
    answer = host(sha256="0" * 64)
    assert f"should be {'0' * 64} and is {host.options(MINICONDA, False, {})['sha256']}" in answer["msg"]
    assert host.calls() == []


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


def test_a_server_that_is_busy_three_times_is_asked_again(host: Host) -> None:
    host.server.faults = [503] * 3
    assert host()["changed"] is True


def test_a_host_that_does_not_exist_is_told(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "WAITS", (2, 5, 10))
    begun = time.monotonic()
    answer = host(url="https://no-such-host.invalid/Miniconda3-x.sh")
    assert time.monotonic() - begun < 30
    assert "cannot resolve no-such-host.invalid" in answer["msg"]


def test_a_proxy_that_does_not_exist_is_told(host: Host) -> None:
    answer = host(proxy="http://proxy.invalid:3128", url="https://repo.example.org/Miniconda3-x.sh")
    assert "cannot resolve proxy.invalid (the proxy for repo.example.org)" in answer["msg"]


@pytest.mark.parametrize("by", ["option", "environment"])
def test_the_proxy_is_used(host: Host, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    if by == "environment":
        monkeypatch.setenv("http_proxy", proxy.url)
    url = f"http://repo.example.org/{MINICONDA}"
    assert host(url=url, **({"proxy": proxy.url} if by == "option" else {}))["changed"] is True
    assert (proxy.asked, host.server.sent) == ([url], SIZE)


def test_the_proxy_is_used_with_tls(host: Host, authority: Authority) -> None:
    beyond = Server(host.server.folder, authority.issue("repo.example.org"))
    proxy = Proxy(beyond.server_port)
    url = f"https://repo.example.org/{MINICONDA}"
    answer = host(url=url, proxy=proxy.url, ca_bundle=str(authority.bundle))
    proxy.close()
    beyond.close()
    assert answer["changed"] is True
    assert (proxy.asked, beyond.sent) == (["repo.example.org:443"], SIZE)


def test_no_proxy_is_used_where_the_environment_says_so(
    host: Host, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert host(proxy=proxy.url)["changed"] is True
    assert proxy.asked == []


def test_a_proxy_that_refuses_is_told_at_once(host: Host) -> None:
    proxy = Proxy(1, refuses=407)
    answer = host(url=f"https://repo.example.org/{MINICONDA}", proxy=proxy.url)
    proxy.close()
    assert "(the proxy for repo.example.org) refused the connection: Tunnel connection failed: 407" in answer["msg"]
    assert (answer["options"], len(proxy.asked)) == (["proxy"], 1)


def test_a_private_authority_is_trusted_where_its_bundle_is_given(
    host: Host, authority: Authority, tls: Server
) -> None:
    url = f"{tls.url}/{MINICONDA}"
    answer = host(url=url)
    assert "127.0.0.1 cannot be trusted: unable to get local issuer certificate" in answer["msg"]
    assert "ca_bundle" in answer["options"] and tls.requests == []
    assert host(url=url, ca_bundle=str(authority.bundle))["changed"] is True
    assert tls.sent == SIZE


def test_a_certificate_of_another_host_is_refused(host: Host, authority: Authority) -> None:
    other = Server(host.server.folder, authority.issue("repo.example.org"))
    answer = host(url=f"{other.url}/{MINICONDA}", ca_bundle=str(authority.bundle))
    other.close()
    assert "127.0.0.1 cannot be trusted: IP address mismatch" in answer["msg"]


@pytest.mark.parametrize(("days", "fault"), [(3, "is not yet valid"), (-3, "has expired")])
def test_a_wrong_clock_is_told(host: Host, authority: Authority, days: int, fault: str) -> None:
    later = Server(host.server.folder, authority.issue("127.0.0.1", days))
    answer = host(url=f"{later.url}/{MINICONDA}", ca_bundle=str(authority.bundle))
    later.close()
    now = time.strftime("%Y-%m-%d", time.gmtime())
    assert (
        f"127.0.0.1 cannot be trusted: certificate {fault}, by this machine's clock, where it is {now}" in answer["msg"]
    )
    assert later.requests == []


def test_a_host_that_refuses_is_told(host: Host) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    answer = host(url=f"http://127.0.0.1:{port}/{MINICONDA}")
    assert "the connection to 127.0.0.1 failed: Connection refused" in answer["msg"]
    assert host.beside() == []
