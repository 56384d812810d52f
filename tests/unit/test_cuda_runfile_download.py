"""What the cuda_runfile module makes of its downloads; how files come at all is in test_download.py."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path

import pytest
from cuda_runfile_host import CUDA_8, CUDA_11, PATCH, Host, host, runfiles, server
from fault_server import Server, until
from private_network import Authority, Proxy

from local_ec2 import upstream
from local_ec2.upstream import runfile

__all__ = ["host", "runfiles", "server"]


def size(host: Host) -> int:
    return (host.server.folder / CUDA_8.file).stat().st_size


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


def test_a_run_that_was_killed_at_half_is_continued(host: Host) -> None:
    host.server.faults = [("stall", 0.5)]
    run, part = host.start(), host.cache / f"{CUDA_8.file}.part"
    until(lambda: part.is_file() and part.stat().st_size >= size(host) // 2)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert host()["changed"] is True
    assert host.server.sent <= 1.5 * size(host)


def test_a_cache_that_others_can_write_to_is_refused(host: Host) -> None:
    host.cache.mkdir()
    host.cache.chmod(0o777)
    answer = host()
    assert f"Others than root can write to {host.cache}" in answer["msg"] and host.server.requests == []


def test_what_was_downloaded_already_is_not_needed_again(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugins.module_utils.folders.free_mb", lambda folder: 0)
    host.cache.mkdir(mode=0o700)
    with (host.cache / f"{CUDA_8.file}.part").open("wb") as part:
        part.truncate(3 << 20)
    assert "1 MB are needed" in host(disk_mb={"cache": 4})["msg"]
    assert host(disk_mb={"cache": 3})["changed"] is True


def test_the_proxy_and_the_authority_are_used(host: Host) -> None:
    authority = Authority(host.folder)
    beyond = Server(host.server.folder, authority.issue("far.example.org"))
    proxy = Proxy(beyond.server_port, login="me:hush@")
    url = f"https://far.example.org/cuda/{CUDA_8.file}"
    answer = host(url=url, proxy=proxy.url, ca_bundle=str(authority.bundle))
    proxy.close()
    beyond.close()
    assert answer["changed"] is True and "hush" not in str(answer)
    assert (proxy.asked, beyond.requests) == (["far.example.org:443"], [f"/cuda/{CUDA_8.file}"])


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
