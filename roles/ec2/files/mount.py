"""Mount the data volume, with a file system on it if it has nothing on it yet; prints as JSON what was done.

mount.py QUESTION, where QUESTION is JSON: mount, user, label, timeout (seconds that it may take to appear), check.
Exits 1 with a sentence when that would hide or destroy anything.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

FSTAB = Path("/etc/fstab")
NVME = "nvme-Amazon_Elastic_Block_Store_vol"
# What the device /dev/sdf is called where it is no NVMe disk.
NAMES = ("/dev/sdf", "/dev/xvdf")
SUPERBLOCK = 1024


def output(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()


def act(*command: str, most: int = 0) -> None:
    """Run a command; exit with what it said when its status is above `most`."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode > most:
        sys.exit(f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()}")


def on(device: str) -> dict[str, str]:
    """What is on a disk: TYPE and LABEL of a file system, PTTYPE of a partition table; empty if nothing at all."""
    lines = output("blkid", "-p", "-o", "export", device).splitlines()
    return {
        key: value for key, _, value in (line.partition("=") for line in lines) if key in ("TYPE", "LABEL", "PTTYPE")
    }


def blank(device: str) -> bool:
    return not on(device) and not output("wipefs", "--no-act", "--noheadings", device)


def attached() -> list[str]:
    """The disks that a data volume may be: EBS's NVMe disks, which name themselves, and the names that others have."""
    by_id = Path("/dev/disk/by-id")
    nvme = [path.resolve() for path in by_id.glob(f"{NVME}*") if "-part" not in path.name]
    named = [Path(name).resolve() for name in NAMES if Path(name).is_block_device()]
    # One disk may have several names.
    return sorted({path.stat().st_rdev: str(path) for path in nvme + named}.values())


def find(label: str, seconds: int) -> tuple[str, list[str]]:
    """The volume: the disk with our label, else the only one that is blank; and what else was looked at."""
    end = time.monotonic() + seconds
    while True:
        known = [device for device in attached() if on(device).get("LABEL") == label]
        known = known or [found for found in [output("blkid", "-L", label)] if found]
        empty = [device for device in attached() if blank(device)]
        if len(known) == 1:
            return known[0], []
        if known or len(empty) > 1:
            sys.exit(f"{', '.join(known or empty)} could each be the data volume: detach what is not.")
        if empty:
            return empty[0], []
        if time.monotonic() > end:
            return "", attached()
        time.sleep(1)


def size_of(device: str) -> int:
    """Bytes of a disk."""
    with Path(device).open("rb") as disk:
        return disk.seek(0, os.SEEK_END)


def room_to_grow(device: str) -> bool:
    """Whether an ext4 file system ends before its disk does."""
    with Path(device).open("rb") as disk:
        disk.seek(SUPERBLOCK)
        block = disk.read(1024)
    low, log_size = struct.unpack_from("<I", block, 4)[0], struct.unpack_from("<I", block, 24)[0]
    size, high = 1024 << log_size, struct.unpack_from("<I", block, 0x150)[0]
    return size_of(device) - ((high << 32) + low) * size >= size


def mounted(device: str, place: Path) -> bool:
    """Whether the disk is what is mounted there. Exits when it is another, or files would be hidden."""
    if place.is_mount():
        if place.stat().st_dev == Path(device).stat().st_rdev:
            return True
        sys.exit(
            f"Something else than the data volume is mounted on {place}: unmount it, or set ec2_data_volume_mount."
        )
    if place.exists() and any(place.iterdir()):
        sys.exit(f"{place} has files on the root disk, which the data volume would hide: move them away first.")
    return False


def main(asked: dict) -> list[str]:
    """Do what is missing, or in check mode nothing; tell it."""
    place, label, check, done = Path(asked["mount"]), asked["label"], asked["check"], []
    device, others = find(label, 0 if check else asked["timeout"])
    if not device:
        if check:
            return ["mounted"]
        seen = f" ({', '.join(others)} has something else on it)" if others else ""
        sys.exit(f"No data volume shows up on this machine{seen}: provision.yml attaches it.")
    line = f"LABEL={label} {place} ext4 defaults,nofail,x-systemd.device-timeout=30s 0 2"
    lines = FSTAB.read_text().splitlines() if FSTAB.exists() else []
    there = mounted(device, place)
    todo = {
        "formatted": blank(device),
        "remembered": line not in lines,
        "mounted": not there,
        "grown": not blank(device) and room_to_grow(device),
    }
    if check:
        return [word for word, needed in todo.items() if needed]
    if todo["formatted"]:
        act("mkfs.ext4", "-q", "-m", "0", "-L", label, device)
    if todo["remembered"]:
        kept = [one for one in lines if not one.startswith(f"LABEL={label} ")]
        draft = FSTAB.with_name("fstab.new")
        draft.write_text("".join(f"{one}\n" for one in [*kept, line]))
        draft.chmod(0o644)
        draft.replace(FSTAB)
        act("systemctl", "daemon-reload")
    if todo["grown"] and todo["mounted"]:
        # What is not mounted grows without the kernel's help, once it was checked; 1 is that an error was mended.
        act("e2fsck", "-f", "-p", device, most=1)
        act("resize2fs", device)
    if todo["mounted"]:
        place.mkdir(parents=True, exist_ok=True)
        act("mount", "--fstab", str(FSTAB), str(place))
    if todo["grown"] and there:
        act("resize2fs", device)
    done = [word for word, needed in todo.items() if needed]
    if place.owner() != asked["user"]:
        user = pwd.getpwnam(asked["user"])
        shutil.chown(place, user.pw_uid, user.pw_gid)
        done.append("owned")
    return done


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
