"""The cuda_runfile module on runfiles that behave like NVIDIA's: what it installs, keeps, repairs and tells."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cuda_runfile_host import CUDA_8, CUDA_11, PATCH, Host, host, runfiles, server

from local_ec2.upstream import runfile
from plugins.module_utils import installer

__all__ = ["host", "runfiles", "server"]


def test_installs_and_then_leaves_it_alone(host: Host) -> None:
    first = host()
    assert (first["changed"], first["nvcc"], first["path"]) == (True, "8.0", str(host.path()))
    calls, requests = len(host.calls()), len(host.server.requests)
    assert host()["changed"] is False
    assert (len(host.calls()), len(host.server.requests)) == (calls, requests)


def test_the_perl_installer_gets_its_flags_and_its_module(host: Host) -> None:
    host()
    work = f"{host.cache}/unpacked-cuda-8.0"
    prepared, installed = host.calls()
    assert prepared["argv"] == ["--tar", "mxvf", "./InstallUtils.pm"]
    assert installed["argv"] == [
        "--silent",
        "--toolkit",
        f"--toolkitpath={host.path()}",
        "--override",
        "--no-opengl-libs",
        "--verbose",
        f"--tmpdir={work}",
    ]
    assert (installed["PERL5LIB"], installed["TMPDIR"]) == (work, work)


def test_the_binary_installer_gets_its_flags(host: Host) -> None:
    assert host(CUDA_11, tmpdir=str(host.folder / "tmp"))["nvcc"] == "11.8"
    assert [call["argv"] for call in host.calls()] == [
        [
            "--silent",
            "--toolkit",
            f"--toolkitpath={host.path('11.8')}",
            "--override",
            "--no-opengl-libs",
            "--no-man-page",
            "--no-drm",
            f"--tmpdir={host.folder}/tmp/unpacked-cuda-11.8",
        ]
    ]


def test_patches_follow_in_their_order(host: Host) -> None:
    assert host(patches=[host.file(PATCH)])["changed"] is True
    assert host.calls()[-1]["argv"] == ["--silent", "--accept-eula", f"--installdir={host.path()}"]
    assert "8.0.61.2" in (host.path() / "version.txt").read_text()
    assert host(patches=[host.file(PATCH)])["changed"] is False


@pytest.mark.parametrize("wanted", [CUDA_8, CUDA_11], ids=lambda wanted: wanted.release)
def test_no_driver_is_installed(host: Host, wanted: object) -> None:
    host(wanted)
    assert not Path(f"{host.record}.driver").exists()


def test_installers_see_no_display_and_speak_english(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    host()
    assert {(call["DISPLAY"], call["LC_ALL"]) for call in host.calls()} == {("", "C")}


def test_leaves_nothing_but_the_toolkit(host: Host) -> None:
    host(tmpdir=str(host.folder / "tmp"))
    assert host.beside() == ["cuda-8.0"]
    assert not host.cache.exists() and not any((host.folder / "tmp").iterdir())


def test_only_root_may_write_to_the_toolkit(host: Host) -> None:
    host()
    for path in (host.path(), *host.path().rglob("*")):
        status = path.lstat()
        assert status.st_uid == os.geteuid()
        assert path.is_symlink() or not status.st_mode & 0o022, path


@pytest.mark.parametrize("state", ["present", "absent"])
def test_check_mode_tells_and_touches_nothing(host: Host, state: str) -> None:
    if state == "absent":
        host()
    requests, before = len(host.server.requests), sorted(host.folder.rglob("*"))
    assert host(check=True, state=state)["changed"] is True
    assert (len(host.server.requests), sorted(host.folder.rglob("*"))) == (requests, before)


def test_shows_the_difference(host: Host) -> None:
    first = host(fault="half")
    assert first["failed"]
    assert {key: host(check=True)["diff"][key] for key in ("before", "after")} == {
        "before": "unfinished\n",
        "after": "8.0\n",
    }
    host()
    assert host(state="absent")["diff"]["after"] == "absent\n"
    assert host()["diff"]["before"] == "absent\n"


def test_a_toolkit_of_somebody_else_counts_and_is_left_alone(host: Host) -> None:
    host()
    (host.path() / ".cuda_runfile.json").unlink()
    before = sorted(host.path().rglob("*"))
    assert host(patches=[host.file(PATCH)])["changed"] is False
    assert sorted(host.path().rglob("*")) == before


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_folder_that_is_no_toolkit_is_refused(host: Host, state: str) -> None:
    host.path().mkdir(parents=True)
    (host.path() / "thesis.tex").write_text("mine")
    answer = host(state=state)
    assert answer["failed"] and "it has no bin/nvcc that works. Nothing was touched." in answer["msg"]
    assert str(host.path()) in answer["msg"] and (host.path() / "thesis.tex").read_text() == "mine"
    assert host.server.requests == []


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_toolkit_of_another_release_is_refused(host: Host, state: str) -> None:
    host(CUDA_11)
    answer = host(path=str(host.path("11.8")), state=state)
    assert answer["failed"] and "its bin/nvcc is of release 11.8" in answer["msg"]
    assert host(CUDA_11)["changed"] is False


def test_a_file_in_the_place_is_refused(host: Host) -> None:
    host.path().parent.mkdir()
    host.path().write_text("mine")
    assert "it is not a folder" in host()["msg"]


def test_an_empty_folder_is_taken(host: Host) -> None:
    host.path().mkdir(parents=True)
    assert host()["changed"] is True


@pytest.mark.parametrize("wanted", [CUDA_8, CUDA_11], ids=lambda wanted: wanted.release)
def test_a_half_made_toolkit_is_made_anew_though_its_compiler_works(host: Host, wanted: object) -> None:
    assert host(wanted, fault="half")["failed"]
    left = host.path(wanted.release) / "left"
    left.touch()
    assert (host.path(wanted.release) / "bin/nvcc").exists()
    assert host(wanted)["changed"] is True
    assert not left.exists() and host.beside() == [f"cuda-{wanted.release}"]


def test_a_failed_installation_is_not_downloaded_again(host: Host) -> None:
    host(fault="half")
    host()
    assert len(host.server.requests) == 1


def test_a_failed_patch_leaves_the_toolkit_unfinished(host: Host) -> None:
    bad = host.server.folder / "cuda_bad_linux-run"
    bad.write_text("echo 'ERROR: this patch is for another toolkit'; exit 3\n")
    patch = {"url": f"{host.server.url}/{bad.name}", "sha256": runfile.sha256(bad)}
    answer = host(patches=[patch])
    assert f"{bad.name} ended with status 3: ERROR: this patch is for another toolkit." in answer["msg"]
    assert host.beside() == [".cuda-8.0.unfinished", "cuda-8.0"]
    assert host()["changed"] is True


def test_other_patches_make_it_anew(host: Host) -> None:
    host()
    told = host(patches=[host.file(PATCH)])
    assert (told["changed"], told["diff"]["before"]) == (True, "8.0 (of other runfiles)\n")
    assert (host.path() / "lib64/libcublas.so.8.0.88").exists()


def test_one_of_ours_without_its_compiler_is_made_anew(host: Host) -> None:
    host()
    (host.path() / "bin/nvcc").unlink()
    assert host()["diff"]["before"] == "damaged\n"
    assert host()["changed"] is False


def test_old_logs_do_not_make_the_binary_installer_crash(host: Host) -> None:
    (host.root / "tmp/cuda-installer.log").touch()
    assert host(CUDA_11)["changed"] is True


def test_a_crash_is_called_one(host: Host) -> None:
    answer = host(CUDA_11, fault="segv")
    assert "was killed by signal 11 (Segmentation fault)" in answer["msg"] and answer["rc"] == -11


def test_a_crash_below_a_shell_is_called_one() -> None:
    assert installer.ending(139) == "was killed by signal 11 (Segmentation fault)"
    assert installer.ending(2) == "ended with status 2"


def test_a_failure_is_told_in_the_words_of_the_log(host: Host) -> None:
    answer = host(CUDA_11, fault="half")
    assert answer["msg"].startswith("cuda_11.8.0_520.61.05_linux.run ended with status 1: ERROR: could not copy ")
    assert "[ERROR]: Install of 11.8.0 failed, quitting. The log is" in answer["msg"]
    assert answer["log"] == str(host.root / "var/log/cuda-installer.log") and answer["log"] in answer["msg"]
    assert answer["version"] == "11.8" and answer["path"] == str(host.path("11.8"))


def test_the_log_of_the_perl_installer_is_found(host: Host) -> None:
    log = host(fault="half")["log"]
    assert log.startswith(f"{host.root}/tmp/cuda_install_") and Path(log).exists()


def test_what_was_unpacked_is_removed_after_a_failure(host: Host) -> None:
    host(fault="half")
    assert [file.name for file in host.cache.iterdir()] == [CUDA_8.file]


def test_a_runfile_of_another_release_is_told(host: Host) -> None:
    answer = host(CUDA_11, version="11.7")
    assert answer["failed"] and "bin/nvcc is of release 11.8, not 11.7: check version and url" in answer["msg"]
    assert host.beside() == [".cuda-11.7.unfinished", "cuda-11.7"]


def test_an_installer_that_hangs_is_stopped(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installer, "SECONDS", 1)
    assert "did not end within 1 s and was stopped" in host(fault="kill")["msg"]
