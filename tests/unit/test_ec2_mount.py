"""Mounting a data volume, on real file systems in files of this computer."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "roles/ec2/files/mount.py"


def loop_devices() -> bool:
    return os.geteuid() == 0 and bool(shutil.which("losetup")) and bool(shutil.which("mkfs.ext4"))


pytestmark = pytest.mark.skipif(not loop_devices(), reason="file systems are mounted by root")


class Host:
    """The script, with a disk of its own."""

    def __init__(self, script: ModuleType, folder: Path) -> None:
        self.script, self.place = script, folder / "data"
        self.file, self.label = folder / "disk", f"t{uuid.uuid4().hex[:8]}"
        self.file.write_bytes(b"")
        os.truncate(self.file, 64 << 20)
        self.device = run("losetup", "--find", "--show", str(self.file))
        script.NAMES, script.FSTAB, script.NVME = (self.device,), folder / "fstab", f"none-{self.label}"

    def mount(self, **asked: Any) -> list[str]:
        question = {"mount": str(self.place), "user": "root", "label": self.label, "timeout": 0, "check": False}
        return self.script.main(question | asked)

    def close(self) -> None:
        subprocess.run(["umount", str(self.place)], capture_output=True, check=False)
        run("losetup", "--detach", self.device)


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    specification = importlib.util.spec_from_file_location("mount", SCRIPT)
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    act = script.act
    monkeypatch.setattr(script, "act", lambda *command, **more: command[0] == "systemctl" or act(*command, **more))
    host = Host(script, tmp_path)
    yield host
    host.close()


def test_a_blank_disk_gets_a_file_system_and_is_mounted(host: Host) -> None:
    assert host.mount() == ["formatted", "remembered", "mounted"]
    assert host.place.is_mount()
    assert run("blkid", "-p", "-o", "value", "-s", "LABEL", host.device) == host.label
    assert f"LABEL={host.label} {host.place} ext4" in host.script.FSTAB.read_text()


def test_a_second_time_there_is_nothing_to_do(host: Host) -> None:
    host.mount()
    assert host.mount() == []


def test_what_is_on_it_stays(host: Host) -> None:
    host.mount()
    (host.place / "mine").write_text("a notebook")
    run("umount", str(host.place))
    assert host.mount() == ["mounted"]
    assert (host.place / "mine").read_text() == "a notebook"


def may_resize_what_is_mounted() -> bool:
    """Whether this computer's root may (CAP_SYS_RESOURCE); in some sandboxes it may not."""
    status = Path("/proc/self/status").read_text()
    return bool(int(next(line for line in status.splitlines() if line.startswith("CapEff")).split()[1], 16) & 1 << 24)


@pytest.mark.parametrize("while_mounted", [False, True])
def test_it_grows_with_its_disk(host: Host, while_mounted: bool) -> None:
    if while_mounted and not may_resize_what_is_mounted():
        pytest.skip("root may not resize a mounted file system here")
    host.mount()
    before = shutil.disk_usage(host.place).total
    if not while_mounted:
        run("umount", str(host.place))
    os.truncate(host.file, 128 << 20)
    run("losetup", "--set-capacity", host.device)
    assert host.mount() == (["grown"] if while_mounted else ["mounted", "grown"])
    assert shutil.disk_usage(host.place).total > 1.5 * before
    assert host.mount() == []


def test_check_mode_tells_and_does_nothing(host: Host) -> None:
    assert host.mount(check=True) == ["formatted", "remembered", "mounted"]
    assert host.script.blank(host.device) and not host.script.FSTAB.exists()


@pytest.mark.parametrize(
    "maker", [["mkfs.ext4", "-q", "-L", "other"], ["mkswap"], ["sfdisk"]], ids=lambda maker: maker[0]
)
def test_a_disk_with_anything_on_it_is_never_formatted(host: Host, maker: list[str]) -> None:
    if not shutil.which(maker[0]):
        pytest.skip(f"there is no {maker[0]} here")
    subprocess.run([*maker, host.device], input="type=83\n", text=True, check=True, capture_output=True)
    before = host.file.read_bytes()
    with pytest.raises(SystemExit, match="something else on it"):
        host.mount()
    assert host.file.read_bytes() == before


def test_files_on_the_root_disk_are_not_hidden(host: Host) -> None:
    host.place.mkdir()
    (host.place / "mine").touch()
    with pytest.raises(SystemExit, match="would hide"):
        host.mount()
    assert host.script.blank(host.device)


def test_without_a_volume_it_says_so(host: Host) -> None:
    host.script.NAMES = ()
    with pytest.raises(SystemExit, match="No data volume"):
        host.mount()
