"""How the cuda_runfile module downloads: from a server that cuts, lies and fails."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import threading
import time
from pathlib import Path
from urllib.error import URLError

import pytest
from cuda_runfile_host import CUDA_8, CUDA_11, PATCH, Host, host, runfiles, server
from fault_server import small_disk, until

from local_ec2 import upstream
from local_ec2.upstream import runfile
from plugins.module_utils import download

__all__ = ["host", "runfiles", "server"]


def size(host: Host) -> int:
    return (host.server.folder / CUDA_8.file).stat().st_size


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_download_that_is_cut_is_resumed(host: Host, share: float) -> None:
    host.server.faults = [("cut", share)]
    assert host()["changed"] is True
    assert (len(host.server.requests), host.server.sent) == (2, size(host))


def test_a_server_without_ranges_is_asked_from_the_start(host: Host) -> None:
    host.server.has_ranges, host.server.faults = False, [("cut", 0.5)]
    assert host()["changed"] is True
    assert host.server.sent == size(host) // 2 + size(host)


@pytest.mark.parametrize("fault", [("short", 0.5), ("flip", 0.5), ("flip", 0.01)])
def test_a_wrong_file_is_downloaded_once_more(host: Host, fault: tuple[str, float]) -> None:
    host.server.faults = [fault]
    assert host()["changed"] is True
    assert len(host.server.requests) == 2


@pytest.mark.parametrize("fault", [("short", 0.5), ("flip", 0.5)])
def test_a_file_that_stays_wrong_is_never_executed(host: Host, fault: tuple[str, float]) -> None:
    host.server.always = fault
    answer, right = host(), host.file(CUDA_8)
    assert answer["failed"] and right["url"] in answer["msg"] and "nothing of it was executed" in answer["msg"]
    assert f"should be {right['sha256']} and is " in answer["msg"]
    assert len(host.server.requests) == 2
    assert host.calls() == [] and not host.cache.exists()


def test_nothing_is_executed_before_the_patches_are_there(host: Host) -> None:
    answer = host(patches=[{**host.file(PATCH), "sha256": "0" * 64}])
    assert answer["failed"] and host.calls() == [] and not host.path().parent.exists()


@pytest.mark.parametrize("status", [403, 404])
def test_what_is_not_there_is_told_at_once(host: Host, status: int) -> None:
    host.server.always = status
    answer = host()
    assert f"{host.file(CUDA_8)['url']} cannot be downloaded: the server answered {status}" in answer["msg"]
    assert len(host.server.requests) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_is_busy_three_times_is_asked_again(host: Host, status: int) -> None:
    host.server.faults = [status] * 3
    assert host()["changed"] is True


def test_a_server_that_stays_busy_is_told_after_four_attempts(host: Host) -> None:
    host.server.always = 503
    answer = host()
    assert "the server answered 503 Service Unavailable (4 attempts were made)" in answer["msg"]
    assert len(host.server.requests) == 4


def test_the_waits_grow(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.undo()
    monkeypatch.setattr(download.time, "sleep", waits.append)
    host.server.always = 503
    host.cache.mkdir()
    with pytest.raises(download.Failed):
        download.fetch(download.Source(**host.file(CUDA_8)), host.cache)
    assert waits == sorted(waits) and len(waits) == 3 and 0 < sum(waits) < 30


def test_what_came_is_kept_and_the_next_run_goes_on(host: Host) -> None:
    host.server.faults = [("cut", 0.5), ("cut", 0.6), ("cut", 0.7), ("cut", 0.8)]
    assert f"What came is kept in {host.cache}" in host()["msg"]
    assert host()["changed"] is True
    assert host.server.sent == size(host)


def test_a_run_that_was_killed_at_half_is_continued(host: Host) -> None:
    host.server.faults = [("stall", 0.5)]
    run, part = host.start(), host.cache / f"{CUDA_8.file}.part"
    until(lambda: part.is_file() and part.stat().st_size >= size(host) // 2)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert host()["changed"] is True
    assert host.server.sent <= 1.5 * size(host)


def test_an_unfinished_file_of_another_content_is_not_trusted(host: Host) -> None:
    host.cache.mkdir(mode=0o700)
    (host.cache / f"{CUDA_8.file}.part").write_bytes(b"#!/bin/sh\nexit 0\n")
    assert host()["changed"] is True
    assert len(host.server.requests) == 2


def test_an_unfinished_file_that_is_too_long_is_not_trusted(host: Host) -> None:
    host.cache.mkdir(mode=0o700)
    (host.cache / f"{CUDA_8.file}.part").write_bytes(bytes(size(host) + 1))
    assert host()["changed"] is True


@pytest.mark.parametrize("end", ["", ".part"])
def test_a_file_that_is_there_is_used_without_the_network(host: Host, end: str) -> None:
    host.cache.mkdir(mode=0o700)
    (host.cache / f"{CUDA_8.file}{end}").write_bytes((host.server.folder / CUDA_8.file).read_bytes())
    assert host()["changed"] is True
    assert host.server.requests == []


def test_a_finished_file_of_another_content_is_not_trusted(host: Host) -> None:
    host.cache.mkdir(mode=0o700)
    (host.cache / CUDA_8.file).write_bytes(b"#!/bin/sh\nexit 0\n")
    assert host()["changed"] is True
    assert len(host.server.requests) == 1


def test_a_cache_that_others_can_write_to_is_refused(host: Host) -> None:
    host.cache.mkdir()
    host.cache.chmod(0o777)
    answer = host()
    assert f"Others than root can write to {host.cache}" in answer["msg"] and host.server.requests == []


def test_a_disk_that_the_download_fills_is_told_and_cleaned(host: Host) -> None:
    with small_disk(host.folder / "small", "100k") as small:
        answer = host(cache=str(small))
        assert answer["msg"].startswith(f"The disk is full: {CUDA_8.file} needs 1 MB in {small} and 0 MB are free")
        assert list(small.iterdir()) == []


def test_what_was_downloaded_already_is_not_needed_again(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugins.module_utils.folders.free_mb", lambda folder: 0)
    host.cache.mkdir(mode=0o700)
    with (host.cache / f"{CUDA_8.file}.part").open("wb") as part:
        part.truncate(3 << 20)
    assert "1 MB are needed" in host(disk_mb={"cache": 4})["msg"]
    assert host(disk_mb={"cache": 3})["changed"] is True


def test_a_host_without_an_address_is_told(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    answer = host(url="https://developer.example.org/cuda-run")
    assert "cannot resolve developer.example.org" in answer["msg"]
    monkeypatch.setenv("https_proxy", "http://proxy.example.org:3128")
    answer = host(url="https://developer.example.org/cuda-run")
    assert "cannot resolve proxy.example.org (the proxy for developer.example.org)" in answer["msg"]


def test_a_slow_search_for_a_host_is_not_repeated(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "RESOLVING", -1)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: (_ for _ in ()).throw(socket.gaierror(-3, "no")))
    assert "(one attempt was made)" in host(url="https://developer.example.org/cuda-run")["msg"]


def test_a_host_that_refuses_is_told(host: Host) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    begun = time.monotonic()
    answer = host(url=f"http://127.0.0.1:{port}/cuda-run")
    assert "the connection to 127.0.0.1 failed: Connection refused" in answer["msg"]
    assert time.monotonic() - begun < 5


def test_a_host_that_falls_silent_is_told(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "SILENCE", 0.2)
    host.server.faults = [("stall", 0.5)]
    assert host()["changed"] is True
    assert host.server.sent == size(host)


def test_a_certificate_that_is_not_trusted_is_told_at_once(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse(url: str, **_: object) -> None:
        asked.append(url)
        raise URLError(ssl.SSLCertVerificationError("it has expired"))

    monkeypatch.setattr(download, "open_url", refuse)
    assert "127.0.0.1 cannot be trusted" in host()["msg"] and len(asked) == 1


def test_the_proxy_is_used(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", host.server.url)
    url = f"http://far.example.org/cuda/{CUDA_8.file}"
    assert host(url=url)["changed"] is True
    assert host.server.requests == [url]


def test_from_the_server_of_the_local_ec2_each_byte_comes_once(host: Host) -> None:
    folder = host.folder / "www"
    folder.mkdir()
    runfile.write(folder, CUDA_11)
    served = upstream.make_server(("127.0.0.1", 0), folder)
    threading.Thread(target=served.serve_forever, args=[0.05], daemon=True).start()
    for _ in range(2):
        host(CUDA_11, url=f"http://127.0.0.1:{served.server_port}/{CUDA_11.file}")
    served.shutdown()
    served.server_close()
    log = [json.loads(line) for line in Path(host.folder / "upstream.log").read_text().splitlines()]
    assert [line["bytes"] for line in log] == [(folder / CUDA_11.file).stat().st_size]
