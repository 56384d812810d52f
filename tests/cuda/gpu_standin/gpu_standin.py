#!/usr/bin/python3 -I
"""A GPU for a machine that has none: what the kernel shows of it in /sys and /proc, and what it says to modprobe.

`gpu-standin boot` gives the state that a boot gives; its unit runs it. `gpu-standin now` gives the same without a boot,
for a GPU that a test puts in. Called as modprobe, rmmod or update-initramfs it does for NVIDIA's modules and nouveau
what these would do, and leaves all else to them.

What the machine has is in /etc/gpu-standin:

pci             the PCI bus, a device a line: slot, vendor, class, device, such as 0000:00:1e.0 10de 030200 1eb8
nouveau         if it exists, a boot gives the GPU to nouveau, unless nouveau is kept out of the initramfs and the rest
secure_boot     if it exists, the firmware has Secure Boot on
instance_type   what the firmware says that this is, such as g4dn.xlarge
loaded_at_boot  version of a driver that the image brings and a boot loads, then `open` for the open modules

What happened is in /var/log/gpu-standin.log, an event a line: boot, load VERSION, unload, call COMMAND.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

NAME = "gpu-standin"
HAS = Path("/etc/gpu-standin")
RUN = Path("/run/gpu-standin")
LOG = Path("/var/log/gpu-standin.log")
INITRAMFS = Path("/var/lib/gpu-standin/nouveau-is-not-in-the-initramfs")
DEVICES = Path("/sys/bus/pci/devices")
MODULES = Path("/sys/module")
VIRTUAL = Path("/sys/devices/virtual")
FIRMWARE = Path("/sys/firmware")
DRIVER = Path("/proc/driver")
VERSION = DRIVER / "nvidia/version"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SECURE_BOOT = "efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

DRIVERS = ("nvidia", "nvidia-current", "nvidia-current-open", "nvidia-tesla-470")
NVIDIA = re.compile(r"nvidia([-_].*)?")
BESIDE = re.compile(r"[-_](uvm|drm|modeset|peermem)$")
ONLY_ASKS = {"-n", "--dry-run", "--show", "-D", "--show-depends", "-c", "--showconfig", "-R", "--resolve-alias"}
# The first device ids of Turing, older than which no open module knows, and of Blackwell, which only open ones know.
TURING, BLACKWELL = 0x1E00, 0x2900
FORMS = {
    False: "NVRM version: NVIDIA UNIX x86_64 Kernel Module  {}  Wed Jul  1 21:03:43 UTC 2026\n",
    True: "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {}  Release Build  (builder@host)\n",
}


@dataclass(frozen=True)
class Device:
    """A device on the PCI bus, in hexadecimal digits."""

    slot: str
    vendor: str
    kind: str
    model: str


def log(*words: str) -> None:
    with LOG.open("a") as file:
        file.write(" ".join(words) + "\n")


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def devices() -> list[Device] | None:
    """The devices to be shown; None for those of the host."""
    file = HAS / "pci"
    return [Device(*line.split()) for line in file.read_text().splitlines() if line] if file.exists() else None


def gpus() -> list[int]:
    """Device ids of the NVIDIA GPUs."""
    found = [one for one in devices() or [] if one.vendor == "10de" and one.kind.startswith(("0300", "0302"))]
    return [int(one.model, 16) for one in found]


def cover(target: Path) -> None:
    """Lay an empty folder of our own over one of the kernel's."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", NAME, target], check=True)


def uncover() -> None:
    """Take away all that was laid over the kernel's folders."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        source, target, *_ = line.split()
        if source == NAME:
            subprocess.run(["umount", "--lazy", target], check=True)


def copy(target: Path) -> None:
    """Lay a folder of our own, in which the entries are links to the kernel's, over one of the kernel's."""
    real = RUN / target.name
    if not real.is_mount():
        real.mkdir(parents=True, exist_ok=True)
        # Private: else what is laid over the kernel's folder would lie over this, too.
        subprocess.run(["mount", "--bind", "--make-private", target, real], check=True)
    cover(target)
    for entry in real.iterdir():
        (target / entry.name).symlink_to(entry)


def show_instance_type(name: str) -> None:
    copy(VIRTUAL)
    (VIRTUAL / "dmi").unlink(missing_ok=True)
    firmware = VIRTUAL / "dmi/id"
    firmware.mkdir(parents=True)
    (firmware / "sys_vendor").write_text("Amazon EC2\n")
    (firmware / "product_name").write_text(f"{name}\n")


def show_devices(shown: list[Device]) -> None:
    cover(DEVICES)
    for one in shown:
        (DEVICES / one.slot).mkdir()
        for name, value in (("vendor", one.vendor), ("class", one.kind), ("device", one.model)):
            (DEVICES / one.slot / name).write_text(f"0x{value}\n")


def show_secure_boot() -> None:
    cover(FIRMWARE)
    variable = FIRMWARE / SECURE_BOOT
    variable.parent.mkdir(parents=True)
    # Four bytes of attributes, then the value.
    variable.write_bytes(b"\6\0\0\0\1")


def show_boot_id() -> None:
    """A boot id of this boot's own, as systemd-nspawn gives its containers: a reboot is known by it."""
    RUN.mkdir(parents=True, exist_ok=True)
    mine = RUN / "boot_id"
    mine.write_text(f"{uuid.uuid4()}\n")
    subprocess.run(["mount", "--bind", mine, BOOT_ID], check=True)


def show_driver(version: str, is_open: bool) -> None:
    VERSION.parent.mkdir(exist_ok=True)
    VERSION.write_text(FORMS[is_open].format(version) + "GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n")
    module = MODULES / "nvidia"
    module.mkdir()
    (module / "version").write_text(f"{version}\n")
    log("load", version)


def hide_driver() -> None:
    for path in (VERSION, MODULES / "nvidia/version"):
        path.unlink()
        path.parent.rmdir()
    log("unload")


def settle() -> None:
    """Show what the kernel shows after a boot."""
    uncover()
    cover(DRIVER)
    copy(MODULES)
    if (shown := devices()) is not None:
        show_devices(shown)
    if (HAS / "secure_boot").exists():
        show_secure_boot()
    if (HAS / "instance_type").exists():
        show_instance_type((HAS / "instance_type").read_text().strip())
    if not gpus():
        return
    if (HAS / "nouveau").exists() and not (nouveau_is_blacklisted() and INITRAMFS.exists()):
        (MODULES / "nouveau").mkdir()
    elif (HAS / "loaded_at_boot").exists():
        version, *form = (HAS / "loaded_at_boot").read_text().split()
        show_driver(version, form == ["open"])
    else:
        # udev would look by the device's id, and these modules claim it.
        for driver in DRIVERS:
            if modprobe(["-q", "-b", driver]) == 0 and VERSION.exists():
                break


def nouveau_is_blacklisted() -> bool:
    """Whether modprobe's configuration keeps nouveau from being loaded for a device."""
    return re.search(r"^(blacklist|install) nouveau\b", run(real("modprobe"), "--showconfig").stdout, re.M) is not None


def real(name: str) -> str:
    return f"/usr/sbin/{name}"


def modprobe(arguments: list[str]) -> int:
    """modprobe for one of NVIDIA's modules; its exit status. The real one finds the module."""
    quiet = {"-q", "--quiet"} & set(arguments)
    planned = run(real("modprobe"), "--show-depends", *arguments)
    sys.stderr.write(planned.stderr)
    for line in planned.stdout.splitlines():
        what, _, rest = line.partition(" ")
        if what == "install":
            # Debian's configuration has modprobe call itself with another name.
            return subprocess.run(["sh", "-c", rest], env=os.environ | {"CMDLINE_OPTS": ""}, check=False).returncode
        if what == "insmod" and (complaint := insert(Path(rest.split()[0]))):
            if not quiet:
                print(f"modprobe: ERROR: could not insert '{named(arguments)}': {complaint}", file=sys.stderr)
            return 1
    return planned.returncode


def named(arguments: list[str]) -> str:
    """The module that a command names; empty if it names none."""
    return next((one for one in arguments if not one.startswith("-")), "")


def insert(module: Path) -> str:
    """Load a module; the kernel's complaint, empty if there is none."""
    name = module.name.partition(".ko")[0]
    if not NVIDIA.fullmatch(name) or BESIDE.search(name) or VERSION.exists():
        return ""
    is_open = modinfo(module, "license") != "NVIDIA"
    if complaint := refusal(module, is_open):
        return complaint
    show_driver(modinfo(module, "version"), is_open)
    return ""


def modinfo(module: Path, field: str) -> str:
    return run(real("modinfo"), "-F", field, module).stdout.strip()


def refusal(module: Path, is_open: bool) -> str:
    """Why the kernel does not take the driver; empty if it does."""
    if (HAS / "secure_boot").exists() and "/updates/" in str(module):
        return "Key was rejected by service"
    known = [one for one in gpus() if (one >= TURING if is_open else one < BLACKWELL)]
    return "" if known and not (MODULES / "nouveau").exists() else "No such device"


def rmmod(arguments: list[str]) -> int:
    """rmmod for one of NVIDIA's modules, or for nouveau while it has the GPU; its exit status."""
    name = named(arguments)
    if name != "nouveau" and VERSION.exists():
        if not BESIDE.search(name):
            hide_driver()
        return 0
    complaint = "is in use" if name == "nouveau" else "is not currently loaded"
    print(f"rmmod: ERROR: Module {name} {complaint}", file=sys.stderr)
    return 1


def update_initramfs() -> None:
    """Keep nouveau out of the initramfs from now on, or let it in, as modprobe's configuration has it."""
    INITRAMFS.parent.mkdir(exist_ok=True)
    if nouveau_is_blacklisted():
        INITRAMFS.touch()
    else:
        INITRAMFS.unlink(missing_ok=True)


def main(name: str, arguments: list[str]) -> int:
    if name == NAME:
        if arguments == ["boot"]:
            log("boot")
            show_boot_id()
        settle()
        return 0
    log("call", name, *arguments)
    if name == "update-initramfs":
        update_initramfs()
        if not Path(real(name)).exists():
            return 0
    elif not ONLY_ASKS & set(arguments):
        removes = name == "rmmod" or {"-r", "--remove"} & set(arguments)
        nvidia, nouveau = NVIDIA.fullmatch(named(arguments)), named(arguments) == "nouveau"
        if removes and (nvidia or (nouveau and (MODULES / "nouveau").exists())):
            return rmmod(arguments)
        if nvidia:
            return modprobe(arguments)
    return subprocess.run([real(name), *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[0]).name, sys.argv[1:]))
