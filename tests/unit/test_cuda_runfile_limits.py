"""What the cuda_runfile module needs, waits for and refuses: disks, another run, folders to remove, options."""

from __future__ import annotations

import fcntl
import json
import os
import signal
from pathlib import Path

import pytest
from cuda_runfile_host import CUDA_8, CUDA_11, Host, host, runfiles, server
from fault_server import small_disk, until

from plugins.module_utils import folders

__all__ = ["host", "runfiles", "server"]


def test_a_disk_that_is_said_to_be_full_is_told_and_cleaned(host: Host) -> None:
    answer = host(fault="full", disk_mb={"path": 3})
    assert answer["msg"].startswith("The disk is full: ") and "MB are free" in answer["msg"]
    assert host.beside() == [] and [file.name for file in host.cache.iterdir()] == [CUDA_8.file]
    assert host()["changed"] is True


def test_a_disk_that_the_installer_fills_is_told_and_cleaned(host: Host) -> None:
    with small_disk(host.folder / "small", "2m") as small:
        answer = host(fault="full", tmpdir=str(small), disk_mb={"tmpdir": 2})
        assert answer["msg"].startswith(f"The disk is full: {CUDA_8.file} was at work in {small}, where ")
        assert list(small.iterdir()) == []
        assert host(tmpdir=str(small))["changed"] is True


def test_a_disk_that_the_toolkit_fills_is_told_and_cleaned(host: Host) -> None:
    with small_disk(host.folder / "opt", "100k") as small:
        answer = host()
        assert answer["msg"].startswith(f"The disk is full: {CUDA_8.file} was at work in {small}, where ")
        assert host.beside() == []


def test_too_little_space_is_told_before_anything_is_downloaded(host: Host) -> None:
    answer = host(disk_mb={"path": 1 << 40})
    assert f"too little space for {host.path()}: {1 << 40} MB are needed and " in answer["msg"]
    assert host.server.requests == [] and not host.cache.exists()


def test_what_is_needed_on_one_disk_is_added_up(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "free_mb", lambda folder: 5)
    assert "6 MB are needed and 5 MB are free" in host(disk_mb={"cache": 2, "tmpdir": 2, "path": 2})["msg"]
    assert host(disk_mb={"cache": 2, "tmpdir": 2, "path": 1})["changed"] is True


def test_disks_are_looked_at_apart(host: Host) -> None:
    with small_disk(host.folder / "small", "4m") as small:
        answer = host(tmpdir=str(small), disk_mb={"cache": 3, "tmpdir": 5, "path": 3})
        assert f"too little space for {small}: 5 MB are needed and 4 MB are free" in answer["msg"]
        assert host(tmpdir=str(small), disk_mb={"cache": 3, "tmpdir": 3, "path": 3})["changed"] is True


def test_a_folder_from_which_nothing_can_be_executed_is_told(host: Host) -> None:
    with small_disk(host.folder / "small", "4m", "noexec") as small:
        answer = host(tmpdir=str(small))
        assert f"{small} is mounted noexec" in answer["msg"] and host.server.requests == []


def test_another_run_is_waited_for_and_named(host: Host) -> None:
    with (host.root / "lock").open("w") as lock:
        lock.write("process 4711, on /usr/local/cuda-8.0\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        answer = host(lock_timeout=0)
        assert answer["failed"] and "process 4711, on /usr/local/cuda-8.0" in answer["msg"]
    assert host()["changed"] is True


def test_of_two_runs_at_once_one_installs(host: Host) -> None:
    runs = [host.start() for _ in range(2)]
    answers = [json.loads(run.communicate(timeout=30)[0]) for run in runs]
    assert sorted(answer["changed"] for answer in answers) == [False, True], answers
    assert len(host.calls()) == 2 and len(host.server.requests) == 1


def test_an_installer_whose_module_was_killed_is_waited_for_and_named(host: Host) -> None:
    run = host.start(fault="kill")
    until(Path(f"{host.record}.halfway").exists)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    told = host(lock_timeout=0)["msg"]
    installer = int(told.partition("process ")[2].partition(",")[0])
    assert installer != run.pid
    os.killpg(installer, signal.SIGKILL)
    assert host(lock_timeout=5)["diff"]["before"] == "unfinished\n"
    assert host.beside() == ["cuda-8.0"] and not host.cache.exists()


def test_absent_removes_everything_once(host: Host) -> None:
    host(CUDA_11)
    conf = host.root / "etc/ld.so.conf.d/cuda-11-8.conf"
    assert conf.exists()
    assert host(version="11.8", state="absent")["changed"] is True
    assert host.beside() == [] and not conf.exists()
    assert host(version="11.8", state="absent")["changed"] is False


def test_absent_leaves_what_the_linker_knows_of_another_folder(host: Host) -> None:
    host(CUDA_11)
    conf = host.root / "etc/ld.so.conf.d/cuda-11-8.conf"
    conf.write_text("/usr/local/cuda-11.8/lib64\n")
    host(version="11.8", state="absent")
    assert conf.exists()


def test_absent_removes_what_is_unfinished(host: Host) -> None:
    host(fault="half")
    assert host(state="absent")["changed"] is True
    assert host.beside() == []


def test_absent_removes_a_toolkit_of_somebody_else(host: Host) -> None:
    host()
    (host.path() / ".cuda_runfile.json").unlink()
    assert host(state="absent")["changed"] is True
    assert host.beside() == []


def test_absent_leaves_a_folder_that_has_more_than_the_compiler_of_that_release(host: Host) -> None:
    host()
    (host.path() / ".cuda_runfile.json").unlink()
    (host.path() / "version.txt").unlink()
    for check in (True, False):
        assert host(state="absent", check=check)["failed"]
    assert (host.path() / "bin/nvcc").exists()


def test_absent_leaves_a_link(host: Host) -> None:
    host()
    (host.path() / ".cuda_runfile.json").unlink()
    link = host.path().with_name("cuda")
    link.symlink_to(host.path())
    assert "is a link to" in host(state="absent", path=str(link))["msg"]
    assert (host.path() / "bin/nvcc").exists()


def test_absent_leaves_what_a_package_owns(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host()
    (host.path() / ".cuda_runfile.json").unlink()
    dpkg = host.folder / "bin/dpkg-query"
    dpkg.parent.mkdir()
    dpkg.write_text('#!/bin/sh\necho "cuda-nvcc-8-0: $2"\n')
    dpkg.chmod(0o755)
    monkeypatch.setenv("PATH", f"{dpkg.parent}:{os.environ['PATH']}")
    assert "belongs to the package cuda-nvcc-8-0" in host(state="absent")["msg"]
    assert (host.path() / "bin/nvcc").exists()


WRONG = {
    "three numbers": ({"version": "8.0.61"}, "'8.0.61' is no release of CUDA"),
    "a command": ({"version": "$(reboot)"}, "is no release of CUDA"),
    "a relative path": ({"path": "opt/cuda"}, "absolute"),
    "a newline": ({"path": "/opt/cuda\n"}, "control characters"),
    "above": ({"path": "/opt/../usr/x"}, "without '..'"),
    "everything": ({"path": "/usr/local"}, "a folder of the toolkit's own"),
    "a cache inside": ({"path": "/opt/cuda", "cache": "/opt/cuda/cache"}, "inside the toolkit's own folder"),
    "a file": ({"url": "file:///etc/passwd"}, "no address of a file"),
    "a short sum": ({"sha256": "abc"}, "64 hexadecimal digits"),
    "a name twice": (
        {"patches": [{"url": f"https://example.org/{name}", "sha256": "0" * 64} for name in ("a/x", "b/x")]},
        "Two of the files are called x",
    ),
    "a patch without a sum": ({"patches": [{"url": "https://example.org/a"}]}, "sha256"),
}


@pytest.mark.parametrize(("options", "reason"), WRONG.values(), ids=WRONG)
def test_a_wrong_option_is_refused_in_a_sentence(host: Host, options: dict, reason: str) -> None:
    answer = host(**options)
    assert answer["failed"] and reason in answer["msg"]
    assert host.server.requests == [] and not os.path.lexists(host.path())
