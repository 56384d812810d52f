"""One file from the web: from servers that cut, lie and fail, through a proxy, under a private authority."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
from fault_server import PROXIES, Server, small_disk
from private_network import Authority, Proxy

from plugins.module_utils import download
from plugins.module_utils.failed import Failed

NAME, SIZE = "tool-1.0.run", 300_000
CONTENT = (hashlib.sha256(b"tool").digest() * (SIZE // 32 + 1))[:SIZE]
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Place:
    """A server with one file, and a folder that it is fetched to."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.www = folder / "here", folder / "www"
        self.folder.mkdir()
        self.www.mkdir()
        (self.www / NAME).write_bytes(CONTENT)
        self.server = Server(self.www)
        self.target, self.part = self.folder / NAME, self.folder / f"{NAME}.part"
        self.authority = Authority(folder)

    def fetch(self, url: str = "", folder: Path | None = None, sha256: str = SHA256, ca: bool = False) -> bytes:
        """The content of the file that came."""
        bundle = str(self.authority.bundle) if ca else None
        source = download.Source(url or f"{self.server.url}/files/{NAME}", sha256, bundle)
        return download.fetch(source, folder or self.folder).read_bytes()

    def failure(self, *arguments: Any, **more: Any) -> Failed:
        with pytest.raises(Failed) as caught:
            self.fetch(*arguments, **more)
        return caught.value

    def beside(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(download, "WAITS", (0, 0, 0))
    monkeypatch.setenv("RES_OPTIONS", download.RESOLVER)
    # To read all of this machine's certificates takes a tenth of a second each time.
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    place = Place(tmp_path)
    yield place
    place.server.close()


@contextlib.contextmanager
def tls(place: Place, host: str, days: int = 0) -> Iterator[Server]:
    server = Server(place.www, place.authority.issue(host, days))
    yield server
    server.close()


@contextlib.contextmanager
def proxy_to(port: int, monkeypatch: pytest.MonkeyPatch, **more: Any) -> Iterator[Proxy]:
    proxy = Proxy(port, **more)
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, proxy.url)
    yield proxy
    proxy.close()


def test_each_byte_comes_once(place: Place) -> None:
    assert place.fetch() == place.fetch() == CONTENT
    assert (len(place.server.requests), place.server.sent) == (1, SIZE)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_download_that_is_cut_is_resumed(place: Place, share: float) -> None:
    place.server.faults = [("cut", share)]
    assert place.fetch() == CONTENT
    assert (len(place.server.requests), place.server.sent) == (2, SIZE)


def test_a_server_without_ranges_is_asked_from_the_start(place: Place) -> None:
    place.server.has_ranges, place.server.faults = False, [("cut", 0.5)]
    assert place.fetch() == CONTENT
    assert place.server.sent == SIZE // 2 + SIZE


@pytest.mark.parametrize("fault", [("short", 0.5), ("flip", 0.5), ("flip", 0.01)])
def test_a_wrong_file_is_downloaded_once_more(place: Place, fault: tuple[str, float]) -> None:
    place.server.faults = [fault]
    assert place.fetch() == CONTENT
    assert len(place.server.requests) == 2


@pytest.mark.parametrize("fault", [("short", 0.5), ("flip", 0.5)])
def test_a_file_that_stays_wrong_is_deleted(place: Place, fault: tuple[str, float]) -> None:
    place.server.always = fault
    failure = place.failure()
    assert f"should be {SHA256} and is " in str(failure) and failure.told == {"options": ["sha256"]}
    assert (len(place.server.requests), place.beside()) == (2, [])


@pytest.mark.parametrize("status", [403, 404])
def test_what_is_not_there_is_told_at_once(place: Place, status: int) -> None:
    place.server.always = status
    failure = place.failure()
    assert f"/files/{NAME} cannot be downloaded: the server answered {status}" in str(failure)
    assert (failure.told, len(place.server.requests)) == ({"options": ["url"]}, 1)


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_is_busy_three_times_is_asked_again(place: Place, status: int) -> None:
    place.server.faults = [status] * 3
    assert place.fetch() == CONTENT


def test_a_server_that_stays_busy_is_told_after_four_attempts(place: Place) -> None:
    place.server.always = 503
    assert "the server answered 503 Service Unavailable (4 attempts were made)" in str(place.failure())
    assert len(place.server.requests) == 4


def test_the_waits_grow(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.undo()
    monkeypatch.setattr(download.time, "sleep", waits.append)
    place.server.always = 503
    place.failure()
    assert waits == sorted(waits) and len(waits) == 3 and 0 < sum(waits) < 30


def test_what_came_is_kept_and_the_next_run_goes_on(place: Place) -> None:
    place.server.faults = [("cut", 0.5), ("cut", 0.6), ("cut", 0.7), ("cut", 0.8)]
    assert f"What came is kept in {place.part}" in str(place.failure())
    assert place.fetch() == CONTENT
    assert place.server.sent == SIZE


@pytest.mark.parametrize("left", [b"#!/bin/sh\nexit 0\n", bytes(SIZE + 1)], ids=["other", "longer"])
def test_an_unfinished_file_of_another_content_is_not_trusted(place: Place, left: bytes) -> None:
    place.part.write_bytes(left)
    assert place.fetch() == CONTENT


def test_a_finished_file_of_another_content_is_not_trusted(place: Place) -> None:
    place.target.write_bytes(b"#!/bin/sh\nexit 0\n")
    assert place.fetch() == CONTENT
    assert len(place.server.requests) == 1


@pytest.mark.parametrize("end", ["", ".part"])
def test_a_file_that_is_there_is_used_without_the_network(place: Place, end: str) -> None:
    (place.folder / f"{NAME}{end}").write_bytes(CONTENT)
    assert place.fetch() == CONTENT
    assert (place.server.requests, place.beside()) == ([], [NAME])


def test_a_disk_that_the_download_fills_is_told_and_cleaned(place: Place, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "100k") as small:
        failure = place.failure(folder=small)
        assert str(failure).startswith(f"The disk is full: {NAME} needs 1 MB in {small} and 0 MB are free")
        assert list(small.iterdir()) == []


def test_a_host_without_an_address_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert "cannot resolve repo.example.org" in str(place.failure("https://repo.example.org/tool"))
    monkeypatch.setenv("https_proxy", "http://me:hush@proxy.example.org:3128")
    said = str(place.failure("https://repo.example.org/tool"))
    assert "cannot resolve proxy.example.org (the proxy for repo.example.org)" in said and "hush" not in said


def test_a_host_that_does_not_exist_is_told_in_time(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "WAITS", (2, 5, 10))
    begun = time.monotonic()
    assert "cannot resolve no-such-host.invalid" in str(place.failure("https://no-such-host.invalid/tool"))
    assert time.monotonic() - begun < 30


def test_a_slow_search_for_a_host_is_not_repeated(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "RESOLVING", -1)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: (_ for _ in ()).throw(socket.gaierror(-3, "no")))
    assert "(one attempt was made)" in str(place.failure("https://repo.example.org/tool"))


def test_a_host_that_refuses_is_told(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    failure = place.failure(f"http://127.0.0.1:{port}/tool")
    assert "the connection to 127.0.0.1 failed: Connection refused" in str(failure)


def test_a_host_that_falls_silent_is_asked_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "SILENCE", 0.2)
    place.server.faults = [("stall", 0.5)]
    assert place.fetch() == CONTENT
    assert place.server.sent == SIZE


def test_a_certificate_that_is_not_trusted_is_told_at_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse(url: str, **_: object) -> None:
        asked.append(url)
        raise URLError(ssl.SSLCertVerificationError("it has expired"))

    monkeypatch.setattr(download, "open_url", refuse)
    assert "127.0.0.1 cannot be trusted" in str(place.failure()) and len(asked) == 1


def test_the_proxy_is_used(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"http://repo.example.org/{NAME}"
    with proxy_to(place.server.server_port, monkeypatch) as proxy:
        assert place.fetch(url) == CONTENT
    assert (proxy.asked, place.server.sent) == ([url], SIZE)


def test_the_proxy_is_used_with_tls_and_a_password(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        tls(place, "repo.example.org") as beyond,
        proxy_to(beyond.server_port, monkeypatch, login="me:hush@") as proxy,
    ):
        assert place.fetch(f"https://repo.example.org/{NAME}", ca=True) == CONTENT
    assert (proxy.asked, beyond.sent) == (["repo.example.org:443"], SIZE)


def test_no_proxy_is_used_where_the_environment_says_so(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with proxy_to(1, monkeypatch) as proxy:
        assert place.fetch() == CONTENT
    assert proxy.asked == []


def test_a_proxy_that_refuses_is_told_at_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxy_to(1, monkeypatch, refuses=407) as proxy:
        failure = place.failure("https://repo.example.org/tool")
    assert "(the proxy for repo.example.org) refused the connection: Tunnel connection failed: 407" in str(failure)
    assert (failure.told, len(proxy.asked)) == ({"options": ["proxy"]}, 1)


def test_a_private_authority_is_trusted_where_its_bundle_is_given(place: Place) -> None:
    with tls(place, "127.0.0.1") as server:
        failure = place.failure(f"{server.url}/{NAME}")
        assert "127.0.0.1 cannot be trusted: unable to get local issuer certificate" in str(failure)
        assert "ca_bundle" in failure.told["options"] and server.requests == []
        assert place.fetch(f"{server.url}/{NAME}", ca=True) == CONTENT


def test_a_certificate_of_another_host_is_refused(place: Place) -> None:
    with tls(place, "repo.example.org") as server:
        assert "127.0.0.1 cannot be trusted: IP address mismatch" in str(place.failure(f"{server.url}/x", ca=True))


@pytest.mark.parametrize(("days", "fault"), [(3, "is not yet valid"), (-3, "has expired")])
def test_a_wrong_clock_is_told(place: Place, days: int, fault: str) -> None:
    with tls(place, "127.0.0.1", days) as server:
        said = str(place.failure(f"{server.url}/{NAME}", ca=True))
    now = time.strftime("%Y-%m-%d", time.gmtime())
    assert f"127.0.0.1 cannot be trusted: certificate {fault}, by this machine's clock, where it is {now}" in said
    assert server.requests == []
