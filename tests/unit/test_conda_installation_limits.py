"""What the conda_installation module needs and waits for: disks, another run, what a killed one left."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from conda_installation_host import MINICONDA, NEWER, Host, host, installers, server
from fault_server import small_disk, until

from plugins.module_utils import conda_installation

__all__ = ["host", "installers", "server"]


def killed_at_half(host: Host, name: str = MINICONDA) -> int:
    """Kill the module while the installer is at work; the installer's process."""
    run = host.start(name, fault="sleep")
    until((host.folder / "halfway").exists)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    (host.folder / "halfway").unlink()
    return int((host.work / "lock").read_text().split()[1].rstrip(","))


def test_too_little_space_is_told_before_anything_is_downloaded(host: Host) -> None:
    for check in (True, False):
        answer = host(free_space=1 << 40, check=check)
        assert f"too little space for {host.prefix}: {1 << 40} MB are needed and " in answer["msg"]
    assert host.server.requests == [] and not host.prefix.parent.exists()
    host()
    assert host(free_space=1 << 40)["changed"] is False


def test_a_disk_that_the_download_fills_is_told_and_cleaned(host: Host) -> None:
    with small_disk(host.folder / "opt", "600k") as small:
        answer = host()
        assert answer["msg"].startswith(f"The disk is full: {MINICONDA} needs 1 MB in {host.work} and 0 MB are free")
        assert list(small.iterdir()) == []


def test_a_disk_that_the_installer_fills_is_told_and_cleaned(host: Host) -> None:
    with small_disk(host.folder / "opt", "4m"):
        answer = host(fault="full", free_space=3)
        assert answer["msg"].startswith(f"The disk is full: {MINICONDA} needs ") and "MB are free now" in answer["msg"]
        assert host.beside() == [".miniconda3.download", "miniconda3"] and list(host.prefix.iterdir()) == []
        requests = len(host.server.requests)
        assert (host()["changed"], len(host.server.requests)) == (True, requests)


def test_an_installation_whose_update_fills_the_disk_keeps_its_environments(host: Host) -> None:
    with small_disk(host.folder / "opt", "5m"):
        host()
        (host.prefix / "envs/mine").mkdir()
        assert "The disk is full" in host(NEWER, fault="full")["msg"]
        assert (host.prefix / "envs/mine").is_dir()
        (host.prefix / "pkgs/fill").unlink()
        assert host(NEWER)["before"] == "damaged"


def test_a_disk_of_the_installations_own_is_emptied_and_not_removed(host: Host) -> None:
    host.prefix.parent.mkdir()
    with small_disk(host.prefix, "4m"):
        host(fault="half")
        assert host()["before"] == "begun"


def test_a_disk_from_which_nothing_can_be_executed_is_told(host: Host) -> None:
    with small_disk(host.folder / "opt", "4m", "noexec") as small:
        answer = host()
        assert f"{host.work} would be on a disk that is mounted noexec" in answer["msg"]
        assert host.server.requests == [] and list(small.iterdir()) == []


def test_a_tmp_from_which_nothing_can_be_executed_is_not_used(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    with small_disk(host.folder / "tmp", "1m", "noexec") as small:
        monkeypatch.setenv("TMPDIR", str(small))
        assert host()["changed"] is True


def test_of_two_runs_at_once_one_installs(host: Host) -> None:
    runs = [host.start() for _ in range(2)]
    answers = [json.loads(run.communicate(timeout=60)[0]) for run in runs]
    assert sorted(answer["changed"] for answer in answers) == [False, True], answers
    assert (len(host.installs()), len(host.server.requests)) == (1, 1)
    assert host.beside() == ["miniconda3"]


def test_an_installer_whose_module_was_killed_is_waited_for_and_named(host: Host) -> None:
    installer = killed_at_half(host)
    told = host(lock_timeout=0)["msg"]
    assert f"Another run (process {installer}, on {host.prefix}) is still at work after 0 s" in told
    assert host(check=True)["changed"] is True
    os.killpg(installer, signal.SIGKILL)
    (host.prefix / "bin/half").touch()
    requests = len(host.server.requests)
    answer = host(lock_timeout=5)
    assert (answer["before"], len(host.server.requests)) == ("begun", requests)
    assert not (host.prefix / "bin/half").exists()
    assert host.beside() == ["miniconda3"] and host()["changed"] is False


def test_an_update_whose_module_was_killed_is_finished(host: Host) -> None:
    host()
    (host.prefix / "envs/mine").mkdir()
    os.killpg(killed_at_half(host, NEWER), signal.SIGKILL)
    answer = host(NEWER, lock_timeout=5)
    assert (answer["before"], answer["changed"]) == ("damaged", True)
    assert (host.prefix / "envs/mine").is_dir() and host(NEWER)["changed"] is False


def test_what_a_run_left_that_was_killed_at_its_end_is_removed(host: Host) -> None:
    host()
    host.work.mkdir(mode=0o700)
    (host.work / MINICONDA).write_bytes(b"#!/bin/sh\n")
    assert host()["changed"] is False
    assert host.beside() == ["miniconda3"]


def test_a_download_folder_that_others_can_write_to_is_refused(host: Host) -> None:
    host.work.mkdir(parents=True)
    host.work.chmod(0o777)
    assert f"Others than root can write to {host.work}" in host()["msg"]
    assert host.server.requests == []


@pytest.mark.parametrize("moment", ["begin", "run", "prove", "finish"])
def test_a_run_that_breaks_off_at_any_moment_is_made_whole(
    host: Host, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(conda_installation.Installation, moment, interrupted)
        host()
    answer = host()
    assert (answer["changed"], Path(host.prefix / "bin/conda").is_file()) == (True, True)
    assert host.beside() == ["miniconda3"] and host()["changed"] is False
