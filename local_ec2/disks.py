"""Disks of volumes: sparse files, each a loop device while a machine has it."""

import json
import os
import re
import subprocess
from pathlib import Path

from local_ec2.podman import PodmanError

GIB = 1 << 30
# The kernel's number for loop devices.
LOOP = 7


class DiskError(PodmanError):
    """A disk could not be made, plugged in or copied; the message is the program's own."""


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DiskError(f"{command[0]}: {done.stderr.strip() or f'exit status {done.returncode}'}")
    return done.stdout


class Disks:
    """The disks of one data folder, by the id of their volume or snapshot. A file is made when it is first needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        return self.folder / name

    def exists(self, name: str) -> bool:
        return self.path(name).exists()

    def copy(self, source: str, name: str) -> None:
        """Copy the bytes of a volume into a snapshot, or the other way round."""
        new = self.path(f"{name}.new")
        run("cp", "--sparse=always", "--reflink=auto", str(self.path(source)), str(new))
        new.rename(self.path(name))

    def resize(self, name: str, gib: int) -> None:
        """Make a disk that is there so large; a machine that has it sees that."""
        if not self.exists(name):
            return
        os.truncate(self.path(name), gib * GIB)
        if device := self.device(name):
            run("losetup", "--set-capacity", device)

    def plug(self, name: str, gib: int, snapshot: str | None = None) -> str:
        """The loop device of a disk, which is made if it is not there, from the snapshot if that holds something."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if snapshot and self.exists(snapshot) and not self.exists(name):
            self.copy(snapshot, name)
        if not self.exists(name):
            with self.path(name).open("wb") as file:
                file.truncate(gib * GIB)
        elif self.path(name).stat().st_size < gib * GIB:
            self.resize(name, gib)
        return self.device(name) or run("losetup", "--find", "--show", str(self.path(name))).strip()

    def device(self, name: str) -> str | None:
        """The loop device that a disk has now."""
        return loops(self.folder).get(self.path(name)) if self.exists(name) else None

    def unplug(self, name: str) -> bool:
        """Take the loop device away; whether it is gone. One that is mounted goes as soon as it no longer is."""
        if device := self.device(name):
            run("losetup", "--detach", device)
        return self.device(name) is None

    def remove(self, name: str) -> None:
        if self.exists(name):
            self.unplug(name)
            self.path(name).unlink()


def loops(folder: Path) -> dict[Path, str]:
    """The loop devices of files in a folder, by file."""
    listed = run("losetup", "--list", "--json", "--output", "NAME,BACK-FILE")
    devices = json.loads(listed)["loopdevices"] if listed.strip() else []
    # of a file that was deleted, the kernel says so
    files = {Path(re.sub(r" \(deleted\)$", "", one["back-file"])): one["name"] for one in devices if one["back-file"]}
    return {file: name for file, name in files.items() if file.parent == folder}


def release(folder: Path) -> int:
    """Take all loop devices of a folder away; how many there were."""
    found = loops(folder)
    for device in found.values():
        run("losetup", "--detach", device)
    return len(found)


def names(attached_as: str) -> set[str]:
    """Under which names a machine sees a volume: the one that the attachment has, and Xen's."""
    name = attached_as.removeprefix("/dev/")
    return {name, re.sub("^sd", "xvd", name)}
