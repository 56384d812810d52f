"""What can be wrong with a machine, or with what it downloads."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_ansible import Run
from bench_fleet import Fleet
from bench_machine import Machine
from conftest import Nvidia
from local_cloud import eventually

from local_ec2.upstream import nvidia
from local_ec2.upstream.debs import Key, Package, deb

M60 = "13f2"
TOOLKIT, OF_TOOLKIT = {"version": "12.9", "source": "nvidia"}, "cuda-toolkit-12-9"
FRONTEND, LISTS = "/var/lib/dpkg/lock-frontend", "/var/lib/apt/lists/lock"
RECORD, FAULT = "/var/log/cuda-runfile-standin.jsonl", "/etc/cuda-runfile-standin.conf"
HELD, LET_GO, UNPACKED, CONFIGURED = "/run/held", "/run/let-go", "/run/unpacked", "/run/configured"
# As apt takes its locks, until the file that says so is removed.
HOLD = f"""\
import fcntl, os, sys, time
lock = open(sys.argv[1], "a")
fcntl.lockf(lock, fcntl.LOCK_EX)
with open("{HELD}", "w") as file:
    file.write(str(os.getpid()))
while os.path.exists("{HELD}"):
    time.sleep(0.1)
open("{LET_GO}", "w").close()
"""
SLOW = Package("slow", "1", postinst=f"while [ -e {UNPACKED} ]; do sleep 0.1; done; touch {CONFIGURED}")
SMALL = """\
mkdir /small && mount -t tmpfs -o size=1g small /small && mkdir /small/upper /small/work
mount -t overlay -o lowerdir=/usr,upperdir=/small/upper,workdir=/small/work small /usr
"""
APT_HOLD, APT_WAITS = "/run/apt-hold", "/run/apt-waits"
APT = f'DPkg::Pre-Invoke {{"touch {APT_WAITS}; while [ -e {APT_HOLD} ]; do sleep 0.1; done";}};\n'
CONNECTIONS = "ps -eo pid,args | sed -n 's/^ *\\([0-9]*\\) sshd: admin.*/\\1/p'"


def alone(machine: Machine) -> None:
    """Take the distribution's archives away: every update would ask them, too."""
    machine.run("rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*", check=True)


def is_there(machine: Machine, path: str) -> Callable[[], bool]:
    return lambda: machine.run(f"test -e {path}").returncode == 0


def hold(machine: Machine, lock: str) -> str:
    """Have another program hold a lock, until HELD is removed; its process."""
    machine.put("/root/hold.py", HOLD)
    machine.run(f"setsid python3 /root/hold.py {lock} </dev/null >/dev/null 2>&1 &", check=True)
    eventually(lambda: machine.run(f"test -s {HELD}").returncode == 0)
    return machine.out(f"cat {HELD}")


def configures_slowly(machine: Machine) -> None:
    """Have dpkg at work on a package, until UNPACKED is removed."""
    machine.put("/root/slow.deb", deb(SLOW))
    machine.run(f"touch {UNPACKED}; setsid dpkg -i /root/slow.deb </dev/null >/dev/null 2>&1 &", check=True)
    eventually(lambda: "half-configured" in machine.run("dpkg-query -W -f '${Status}' slow").stdout)


def interrupt(machine: Machine) -> None:
    """Have a package that is not configured yet, and a journal of dpkg's, as after a loss of power."""
    machine.put("/root/slow.deb", deb(SLOW))
    machine.run("dpkg --unpack /root/slow.deb", check=True)
    machine.run("sed -n '/^Package: slow/,/^$/p' /var/lib/dpkg/status >/var/lib/dpkg/updates/0000", check=True)


def shrink(machine: Machine) -> None:
    """Have a small disk over /usr."""
    machine.run(SMALL, check=True)


def enlarge(machine: Machine) -> None:
    machine.run("mount -o remount,size=8g /small", check=True)


def cut(machine: Machine) -> None:
    """Cut all of Ansible's connections to the machine."""
    machine.run(f"kill -9 $({CONNECTIONS})", check=True)


@dataclass
class Mirrors:
    """Copies of NVIDIA's repositories in which something is wrong."""

    good: Nvidia

    def copy(self, name: str, key: Key | None = None, signed_by: Key | None = None) -> Nvidia:
        """key: the one that machines are given; signed_by: where it is another one, that of the signature."""
        key, folder = key or self.good.key, self.good.directory / name
        nvidia.build(folder, print, signed_by or key, trusted=key, systems=["debian12"])
        return Nvidia(key, folder, f"{self.good.url}/{name}")

    def mend(self, one: Nvidia) -> None:
        """Have all in it as it should be, from now on: what is older the machines would not ask for again."""
        good, copy = self.good.directory / "repos", one.directory / "repos"
        shutil.copytree(good, copy, copy_function=shutil.copyfile, dirs_exist_ok=True)


def flip(file: Path) -> None:
    """Change one bit of it."""
    data = bytearray(file.read_bytes())
    data[-9] ^= 1
    file.write_bytes(data)


def toolkit(source: Nvidia, item: dict[str, Any] = TOOLKIT, **more: Any) -> dict[str, Any]:
    return source.options(**{"cuda_driver": "none", "cuda_toolkits": [item], **more})


def converge(fleet: Fleet, *arguments: str, **options: dict[str, Any]) -> dict[str, Run]:
    with fleet.begin(*arguments, **options) as run:
        done = run.end()
    return {name: done.of(name) for name in options}
