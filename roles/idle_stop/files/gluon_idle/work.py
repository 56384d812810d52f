"""Work that Jupyter knows nothing of: people logged in over SSH, GPUs, CPUs; and packages that are being installed."""

from __future__ import annotations

import os
import subprocess

from gluon_idle.machine import Machine
from gluon_idle.sign import BUSY, QUIET, UNKNOWN, Look, Sign

SSHD = ("sshd", "sshd-session", "sshd-auth")
NVIDIA, DISPLAY = "0x10de", "0x03"
DPKG_LOCKS = ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock")
# user, nice, system, irq and softirq of /proc/stat; not idle, iowait, or what other machines stole.
WORKED = (1, 2, 3, 6, 7)


def ssh(look: Look) -> list[Sign]:
    """Who runs something over SSH: a shell, a command, a copy. A tunnel alone runs nothing, and is nobody."""
    processes = look.machine.processes()
    names = {one.pid: one.name for one in processes}
    run = [one for one in processes if names.get(one.parent) in SSHD and one.name not in SSHD]
    if not run:
        return [Sign("ssh", QUIET, "nobody is logged in")]
    # Whose session it is: what runs in it may be sudo.
    people = sorted({f"{look.machine.login_of(one.parent)} ({one.name})" for one in run})
    return [Sign("ssh", BUSY, f"logged in: {', '.join(people)}")]


def has_gpu(machine: Machine) -> bool:
    for device in machine.path("/sys/bus/pci/devices").glob("*"):
        about = f"/sys/bus/pci/devices/{device.name}"
        if machine.read(f"{about}/vendor").strip() == NVIDIA and machine.read(f"{about}/class").startswith(DISPLAY):
            return True
    return False


def gpu(look: Look) -> list[Sign]:
    """How busy the GPUs are. Without a driver they cannot be; a driver that does not answer tells nothing."""
    limit = look.settings.gpu_percent
    if not limit or not has_gpu(look.machine):
        return []
    question = "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"
    try:
        status, text = look.machine.run("nvidia-smi", *question)
    except subprocess.TimeoutExpired:
        return [Sign("gpu", UNKNOWN, "cannot tell how busy the GPUs are: nvidia-smi hangs")]
    if status == 127:
        return [Sign("gpu", QUIET, "there is no nvidia-smi, so no driver")]
    values = [line.strip() for line in text.splitlines()]
    if status or not values or not all(value.isdigit() for value in values):
        said = text.splitlines()[-1] if text else f"exit status {status}"
        return [Sign("gpu", UNKNOWN, f"cannot tell how busy the GPUs are: nvidia-smi says {said}")]
    most = max(map(int, values))
    return [Sign("gpu", BUSY if most >= limit else QUIET, f"the busiest GPU is at {most} %")]


def cpu(look: Look) -> list[Sign]:
    """How much all CPUs worked since the last check, in percent of one, as `top` counts."""
    memory, now, limit = look.memory, look.now, look.settings.cpu_percent
    if not limit:
        return []
    values = look.machine.read("/proc/stat").partition("\n")[0].split()
    if len(values) < 8 or values[0] != "cpu":
        return [Sign("cpu", UNKNOWN, "cannot tell how busy the CPUs are: /proc/stat does not say")]
    ticks = sum(int(values[index]) for index in WORKED)
    before, memory.cpu = memory.cpu, [ticks, now.up]
    if not before or now.up - before[1] < 1:
        return [Sign("cpu", QUIET, "not measured yet")]
    percent = 100 * (ticks - before[0]) / os.sysconf("SC_CLK_TCK") / (now.up - before[1])
    return [Sign("cpu", BUSY if percent >= limit else QUIET, f"all together at {percent:.0f} % of one")]


def installing(machine: Machine) -> bool:
    """Whether somebody holds dpkg's locks: to power off then would leave half a package."""
    inodes = set()
    for name in DPKG_LOCKS:
        try:
            inodes.add(str(machine.path(name).stat().st_ino))
        except FileNotFoundError:
            continue
    lines = [line.split() for line in machine.read("/proc/locks").splitlines()]
    return any("WRITE" in line and place.rpartition(":")[2] in inodes for line in lines for place in line[5:6])
