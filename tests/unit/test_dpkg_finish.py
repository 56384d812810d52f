"""The dpkg_finish module: dpkg and apt are the real ones, at work in a folder."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from ansible.module_utils.testing import patch_module_args

from local_ec2.upstream.debs import Key, Package, deb, publish_flat
from plugins.modules import dpkg_finish

BASE = Package("base", "1", files={"/opt/base": "1"})
TOP = Package("top", "1", depends="base", files={"/etc/top": "as it came\n"}, conffiles=("/etc/top",))
APT = """\
Dir "{root}";
Dir::Bin::Methods "/usr/lib/apt/methods";
Dir::Bin::dpkg "/usr/bin/dpkg";
APT::Architecture "amd64";
APT::Sandbox::User "root";
"""
HALF, UNPACKED = "install reinstreq half-installed", "install reinstreq unpacked"


class Machine:
    """A folder with packages of its own; an archive beside it has them all."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.root, self.archive = folder, folder / "root", folder / "archive"
        self.dpkg = self.root / "var/lib/dpkg"
        for path in (
            "var/lib/apt/lists/partial",
            "var/cache/apt/archives/partial",
            "var/log/apt",
            "etc/apt/apt.conf.d",
        ):
            (self.root / path).mkdir(parents=True)
        for path in ("info", "updates", "triggers"):
            (self.dpkg / path).mkdir(parents=True)
        (self.dpkg / "status").touch()
        (folder / "apt.conf").write_text(APT.format(root=self.root))
        monkeypatch.setenv("APT_CONFIG", str(folder / "apt.conf"))
        monkeypatch.setenv("DPKG_ROOT", str(self.root))
        monkeypatch.setenv("DPKG_ADMINDIR", str(self.dpkg))
        monkeypatch.setattr(dpkg_finish, "JOURNAL", self.dpkg / "updates")
        monkeypatch.setattr(dpkg_finish, "POLL", 0.1)

    def publish(self, *packages: Package) -> None:
        key = Key.make(self.folder / "key", "key")
        publish_flat(self.archive, packages, key, "tests", "tests")
        trusted = self.root / "etc/apt/key.gpg"
        trusted.write_bytes(key.public(armored=False))
        (self.root / "etc/apt/sources.list").write_text(f"deb [signed-by={trusted}] file:{self.archive} /\n")

    def dpkg_does(self, verb: str, *packages: Package) -> None:
        files = []
        for package in packages:
            files.append(self.folder / package.file)
            files[-1].write_bytes(deb(package))
        subprocess.run(["dpkg", "--force-depends", verb, *files], check=True, capture_output=True)

    def cut_off(self, name: str, status: str, journal: bool = False) -> None:
        """Have it be in a state of dpkg's, by its status or by its journal."""
        whole = (self.dpkg / "status").read_text()
        stanza = re.search(rf"^Package: {name}$.*?\n(?=\n|\Z)", whole, re.M | re.S)[0]
        other = re.sub(r"^Status:.*$", f"Status: {status}", stanza, flags=re.M)
        if journal:
            (self.dpkg / "updates/0000").write_text(f"{other}\n")
        else:
            (self.dpkg / "status").write_text(whole.replace(stanza, other))

    def states(self) -> dict[str, str]:
        listed = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Package} ${Status}\n"], capture_output=True, text=True, check=False
        )
        return dict(line.split(" ", 1) for line in listed.stdout.splitlines())

    def __call__(self, check: bool = False, **options: Any) -> dict[str, Any]:
        said = io.StringIO()
        given = {"_ansible_check_mode": check, "_ansible_remote_tmp": str(self.folder / "tmp"), **options}
        with patch_module_args(given), contextlib.redirect_stdout(said), pytest.raises(SystemExit):
            dpkg_finish.main()
        return json.loads(said.getvalue())


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


WHOLE = {"base": "install ok installed", "top": "install ok installed"}


def test_where_nothing_is_unfinished_nothing_is_done(machine: Machine) -> None:
    machine.dpkg_does("--install", BASE)
    assert machine()["changed"] is False


def test_what_is_unpacked_is_configured(machine: Machine) -> None:
    machine.dpkg_does("--unpack", BASE, TOP)
    assert machine(check=True)["changed"] is True and machine.states()["top"] == "install ok unpacked"
    told = machine()
    assert (told["changed"], told["unpacked"], machine.states()) == (True, [], WHOLE)
    assert machine()["changed"] is False


@pytest.mark.parametrize("status", [HALF, UNPACKED])
@pytest.mark.parametrize("journal", [False, True], ids=["status", "journal"])
def test_what_is_half_unpacked_is_unpacked_anew(machine: Machine, status: str, journal: bool) -> None:
    machine.publish(BASE, TOP)
    machine.dpkg_does("--install", BASE, TOP)
    (machine.root / "opt/base").unlink()
    machine.cut_off("base", status, journal)
    told = machine()
    assert (told["changed"], told["unpacked"], machine.states()) == (True, ["base"], WHOLE)
    assert (machine.root / "opt/base").read_text() == "1" and not list((machine.dpkg / "updates").glob("0*"))
    assert machine()["changed"] is False


def test_a_hold_stays(machine: Machine) -> None:
    """The cuda role holds drivers, and one may have been cut off while it was upgraded."""
    machine.publish(Package("base", "2", files={"/opt/base": "2"}))
    machine.dpkg_does("--install", BASE)
    machine.cut_off("base", HALF.replace("install", "hold", 1))
    assert machine()["unpacked"] == ["base"]
    assert machine.states() == {"base": "hold ok installed"} and (machine.root / "opt/base").read_text() == "2"


@pytest.mark.parametrize("status", [HALF, UNPACKED, "install ok unpacked"])
def test_what_it_depends_on_comes_along(machine: Machine, status: str) -> None:
    machine.publish(BASE, TOP)
    machine.dpkg_does("--unpack", TOP)
    machine.cut_off("top", status)
    assert machine()["changed"] is True
    assert machine.states() == WHOLE


def test_a_file_of_its_admin_s_stays(machine: Machine) -> None:
    newer = Package("top", "2", depends="base", files={"/etc/top": "as it comes now\n"}, conffiles=("/etc/top",))
    machine.publish(BASE, newer)
    machine.dpkg_does("--install", BASE, TOP)
    (machine.root / "etc/top").write_text("mine\n")
    machine.cut_off("top", HALF)
    assert machine()["unpacked"] == ["top"]
    assert (machine.root / "etc/top").read_text() == "mine\n"


def test_what_no_archive_has_is_named(machine: Machine) -> None:
    machine.publish(TOP)
    machine.dpkg_does("--install", BASE)
    machine.cut_off("base", HALF)
    told = machine()
    assert told["failed"] and "base" in told["msg"] and "run this again" in told["msg"]


def test_nothing_is_removed(machine: Machine) -> None:
    """apt's way out of what cannot be had would be to remove what wants it."""
    machine.publish(BASE)
    machine.dpkg_does("--unpack", Package("lonely", "1", depends="nowhere"))
    told = machine()
    assert told["failed"] and "remove" in told["msg"]
    assert machine.states() == {"lonely": "install ok unpacked"}


@contextlib.contextmanager
def locked(machine: Machine) -> Iterator[IO[str]]:
    """Have it locked as by another program: locks are a process's own, so dpkg meets that of the test."""
    with (machine.dpkg / "lock-frontend").open("a") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        yield lock


def test_another_program_is_waited_for(machine: Machine) -> None:
    machine.dpkg_does("--unpack", BASE)
    with locked(machine) as lock:
        ending = threading.Timer(1, fcntl.lockf, (lock, fcntl.LOCK_UN))
        ending.start()
        told = machine(lock_timeout=60)
        assert not ending.is_alive()
    assert told["changed"] is True and machine.states() == {"base": "install ok installed"}


def test_one_that_does_not_end_is_named(machine: Machine) -> None:
    machine.dpkg_does("--unpack", BASE)
    with locked(machine):
        told = machine(lock_timeout=1)
    assert told["failed"] and f"lock was locked by another process with pid {os.getpid()}" in told["msg"]
    assert machine.states() == {"base": "install ok unpacked"}
