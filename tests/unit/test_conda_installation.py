"""The conda_installation module: what it installs, updates, repairs, keeps, refuses and tells."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

import pytest
from conda_installation_host import MINICONDA, MINIFORGE, NEW, NEWER, OLD, Host, host, installers, server

from plugins.module_utils import installer

__all__ = ["host", "installers", "server"]


def own_conda(host: Host) -> Path:
    """A conda that the module did not install, where the installation is to be."""
    for name in ("bin/conda", "conda-meta/history", "etc/profile.d/conda.sh", ".condarc"):
        (host.prefix / name).parent.mkdir(parents=True, exist_ok=True)
        (host.prefix / name).write_text("channels: [mine]\n")
    return host.prefix


def test_installs_and_then_leaves_it_alone(host: Host) -> None:
    first = host()
    assert (first["changed"], first["before"], first["version"], first["prefix"]) == (
        True,
        "absent",
        OLD,
        str(host.prefix),
    )
    tree, requests = host.tree(), len(host.server.requests)
    second = host()
    assert (second["changed"], second["before"], second["version"]) == (False, "complete", OLD)
    assert (host.tree(), len(host.server.requests)) == (tree, requests)


def test_the_installer_gets_its_flags(host: Host) -> None:
    host()
    host(NEWER)
    assert host.installs() == [f"-b -f -p {host.prefix}", f"-b -u -p {host.prefix}"]


def test_installers_see_nothing_of_the_users_own_conda(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDARC", "/home/me/.condarc")
    monkeypatch.setenv("PYTHONPATH", "/home/me/lib")
    monkeypatch.setenv("CONDA_PREFIX", "/home/me/env")
    host()
    scratch = f"{host.work}/tmp"
    assert (host.folder / "environment").read_text().split() == [scratch, scratch, *["unset"] * 3]


def test_leaves_nothing_but_the_installation(host: Host) -> None:
    host()
    assert host.beside() == ["miniconda3"]
    assert sorted(path.name for path in host.prefix.iterdir() if path.name.startswith(".")) == [
        ".condarc",
        ".miniconda_version",
    ]
    assert [path.name for path in host.profile.parent.iterdir()] == ["miniconda.sh"]


def test_another_version_updates_in_place_and_keeps_the_environments(host: Host) -> None:
    host()
    mine = host.prefix / "envs/mine/file"
    mine.parent.mkdir()
    mine.write_text("mine")
    mine.parent.chmod(0o2775)
    answer = host(NEWER)
    assert (answer["changed"], answer["before"], answer["version"]) == (True, "complete", NEW)
    assert (mine.read_text(), oct(mine.parent.stat().st_mode)) == ("mine", oct(0o42775))
    assert (host.prefix / "pkgs/log").read_text() == "updated\n"
    assert {"before": f"complete {OLD}", "after": f"complete {NEW}"}.items() <= answer["diff"][0].items()
    assert host(NEWER)["changed"] is False


@pytest.mark.parametrize("lost", ["bin/conda", "conda-meta/history"])
def test_a_damaged_installation_is_repaired_and_keeps_the_environments(host: Host, lost: str) -> None:
    host()
    (host.prefix / "envs/mine").mkdir()
    (host.prefix / lost).unlink()
    answer = host()
    assert (answer["changed"], answer["before"]) == (True, "damaged")
    assert (host.prefix / lost).is_file() and (host.prefix / "envs/mine").is_dir()
    assert host()["changed"] is False


def test_a_folder_that_is_no_conda_is_refused(host: Host) -> None:
    host.prefix.mkdir(parents=True)
    (host.prefix / "thesis.tex").write_text("mine")
    tree = host.tree()
    for check in (True, False):
        answer = host(check=check, adopt=True)
        assert f"{host.prefix} exists and is no conda, so nothing was touched" in answer["msg"]
        assert answer["options"] == ["prefix"]
    assert (host.tree(), host.server.requests) == (tree, [])


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_folder_is_refused(host: Host, kind: str) -> None:
    host.prefix.parent.mkdir()
    host.prefix.write_text("mine") if kind == "file" else host.prefix.symlink_to("nowhere")
    assert "is no conda" in host()["msg"]
    assert host.beside() == ["miniconda3"]


def test_an_empty_folder_is_taken(host: Host) -> None:
    host.prefix.mkdir(parents=True)
    assert host()["changed"] is True


def test_a_conda_of_somebody_else_is_refused(host: Host) -> None:
    own_conda(host)
    tree = host.tree()
    answer = host()
    assert f"{host.prefix} holds a conda that somebody else installed, so nothing was touched" in answer["msg"]
    assert answer["options"] == ["adopt", "prefix"]
    assert (host.tree(), host.server.requests) == (tree, [])


def test_a_conda_of_somebody_else_is_adopted_as_it_is_when_told_so(host: Host) -> None:
    own_conda(host)
    answer = host(adopt=True)
    assert (answer["changed"], answer["before"], answer["version"]) == (True, "other", "")
    assert (host.condarc.read_text().splitlines()[-1], host.profile.is_symlink()) == ('channels: ["conda-forge"]', True)
    assert "-channels: [mine]" in "".join(f"-{one['before']}" for one in answer["diff"])
    assert (host.server.requests, host.calls()) == ([], [])
    assert host(adopt=True)["changed"] is False
    assert "adopted" in host()["msg"]


def test_one_distribution_is_not_mixed_into_another(host: Host) -> None:
    host()
    answer = host(MINIFORGE)
    assert "holds Miniconda3, and Miniforge3 is not to be mixed into it" in answer["msg"]
    assert host()["changed"] is False


def test_an_installation_of_before_names_were_noted_is_known(host: Host) -> None:
    host()
    (host.prefix / ".miniconda_version").write_text(f"{OLD}\n")
    assert host()["changed"] is False


def test_miniforge_is_installed_likewise(host: Host) -> None:
    assert host(MINIFORGE)["version"] == "26.3.2-3"
    assert host(MINIFORGE)["changed"] is False


def test_check_mode_tells_and_touches_nothing(host: Host) -> None:
    tree = host.tree()
    told = host(check=True)
    assert told["changed"] is True
    assert (host.tree(), host.server.requests) == (tree, [])
    assert [one["after"] for one in told["diff"]] == [one["after"] for one in host()["diff"]]
    tree, requests = host.tree(), len(host.server.requests)
    assert host(check=True)["changed"] is False
    assert host(NEWER, check=True)["changed"] is True
    assert host(check=True, condarc={})["changed"] is True
    assert (host.tree(), len(host.server.requests)) == (tree, requests)


def test_only_the_owner_may_write_to_it(host: Host) -> None:
    host(fault="writable")
    for path in (host.prefix, *host.prefix.rglob("*")):
        status = path.lstat()
        assert status.st_uid == os.geteuid(), path
        assert path.is_symlink() or not status.st_mode & 0o022, path


def test_another_user_finds_nothing_to_write_to_and_all_to_read(host: Host) -> None:
    if os.geteuid():
        pytest.skip("only root can become another user")
    host(fault="writable")
    for folder in (host.folder, *host.folder.parents):
        if not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)
    nobody = pwd.getpwnam("nobody").pw_uid
    command = ["find", host.folder / "opt", host.folder / "etc", "!", "-type", "l"]
    for test in (["-writable"], ["!", "-readable"]):
        walk = subprocess.run(
            [*command, *test], user=nobody, group=nobody, extra_groups=[], capture_output=True, text=True
        )
        assert (walk.returncode, walk.stdout, walk.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("half", "ended with status 1: ERROR: the payload cannot be read. Run again to begin anew."),
        ("nothing", "ended well, but left no "),
        ("broken", "bin/conda does not work: ImportError: cannot import name x. Check the url."),
    ],
)
@pytest.mark.parametrize("first", [None, NEWER], ids=["install", "update"])
def test_a_failed_installation_is_told_and_made_whole_by_the_next_run(
    host: Host, fault: str, reason: str, first: str | None
) -> None:
    if first:
        host(first)
        (host.prefix / "envs/mine").mkdir()
    if first and fault == "nothing":
        (host.prefix / "bin/conda").unlink()
    answer = host(fault=fault)
    assert answer["failed"] and reason in answer["msg"] and MINICONDA in answer["msg"]
    requests = len(host.server.requests)
    assert host(check=True)["changed"] is True
    again = host()
    assert (again["changed"], again["before"]) == (True, "damaged" if first else "begun")
    assert (again["version"], len(host.server.requests)) == (OLD, requests)
    assert host.beside() == ["miniconda3"] and (host.prefix / "envs/mine").is_dir() is bool(first)
    assert host()["changed"] is False


def test_an_installer_that_never_ends_is_stopped(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installer, "SECONDS", 0.5)
    assert "did not end within 0.5 s and was stopped" in host(fault="sleep")["msg"]
    assert host()["before"] == "begun"


WRONG = {
    "a relative prefix": ({"prefix": "opt/conda"}, "absolute", "prefix"),
    "a prefix with a space": ({"prefix": "/opt/mini conda"}, "without spaces", "prefix"),
    "a top folder": ({"prefix": "/conda"}, "two folders deep", "prefix"),
    "a file": ({"url": "file:///etc/passwd.sh"}, "no address of a file", "url"),
    "no script": ({"url": "https://example.org/latest"}, "does not end in .sh", "url"),
    "a short sum": ({"sha256": "abc"}, "64 hexadecimal digits", "sha256"),
    "two versions": ({"version": "a b"}, "has to be a word", "version"),
    "a setting with a colon": ({"condarc": {"a: b": 1}}, "'a: b' is no setting of conda", "condarc"),
    "no port": ({"proxy": "http://me:secret@proxy"}, "proxy is no http:", "proxy"),
    "no proxy": ({"proxy": "proxy:3128"}, "proxy is no http:", "proxy"),
    "no bundle": ({"ca_bundle": "/nowhere.pem"}, "there is no such file", "ca_bundle"),
    "an empty bundle": ({"ca_bundle": "/dev/null"}, "it holds no certificates", "ca_bundle"),
}


@pytest.mark.parametrize(("options", "reason", "about"), WRONG.values(), ids=WRONG)
def test_a_wrong_option_is_refused_in_a_sentence(host: Host, options: dict, reason: str, about: str) -> None:
    answer = host(**options)
    assert answer["failed"] and reason in answer["msg"] and about in answer["options"]
    assert "secret" not in answer["msg"]
    assert host.server.requests == [] and not host.prefix.parent.exists()
