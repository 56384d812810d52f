"""What this host offers, and the checks before anything is changed. Each ends in one sentence."""

import errno
import ipaddress
import json
import os
import pwd
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from local_ec2.folder import Folder, State
from local_ec2.podman import listed, storage, unified_cgroups
from local_ec2.say import Refusal, say, step

GIB = 1 << 30
ROOM = 3 * GIB
INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
INSTANCES = 1024
Network = ipaddress.IPv4Network


def need_root() -> None:
    if os.geteuid():
        again = shlex.join([sys.executable, "-m", "local_ec2", *sys.argv[1:]])
        raise Refusal(
            f"local_ec2 needs root, because a machine with systemd and an address of its own needs podman"
            f" as root, and you are {pwd.getpwuid(os.geteuid()).pw_name}: run `sudo {again}`."
        )


def need_debian() -> None:
    if not shutil.which("apt-get"):
        raise Refusal(
            f"local_ec2 makes its machines out of Debian packages with the host's own apt, and this host,"
            f" {_host_name()}, has none: run it on Debian or Ubuntu, in a virtual machine if need be."
        )


def _host_name() -> str:
    release = Path("/etc/os-release")
    found = re.search(r'^PRETTY_NAME="?([^"\n]+)', release.read_text(), re.M) if release.exists() else None
    return found[1] if found else "of an unknown distribution"


def missing_packages() -> list[str]:
    """Debian packages whose programs are not on this host."""
    programs = {"podman": "podman", "mmdebstrap": "mmdebstrap", "iptables": "iptables", "ip": "iproute2"}
    if not unified_cgroups():
        programs["runc"] = "runc"
    missing = [package for program, package in programs.items() if not shutil.which(program)]
    if not Path("/usr/share/keyrings/debian-archive-keyring.gpg").exists():
        missing.append("debian-archive-keyring")
    return missing


def need_packages(install: bool) -> None:
    missing = missing_packages()
    if missing and not install:
        raise Refusal(
            f"local_ec2 needs {', '.join(missing)}, not installed here: run `apt-get install"
            f" {' '.join(missing)}`, or `up --install`, which does just that."
        )
    if missing:
        install_packages(missing)


def install_packages(packages: list[str]) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["install", "-y", "-o", "DPkg::Lock::Timeout=600", *packages]
    with step(f"Installing {', '.join(packages)}"):
        # the lists may be older than the mirror, or not there at all
        for arguments in (install, ["update"], install):
            done = subprocess.run(
                ["apt-get", "-q", *arguments], env=environment, capture_output=True, text=True, check=False
            )
            if arguments is install and done.returncode == 0:
                return
    last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
    raise Refusal(f"apt-get could not install {', '.join(packages)} ({' '.join(last)}): install them by hand.")


def need_port(port: int) -> None:
    with socket.socket() as probe:
        # a connection of an earlier server that is still winding down is not in the way
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise Refusal(
                f"Port {port} of 127.0.0.1 is in use by {_listener(port)}: stop that, or pick another port with --port."
            ) from None


def _listener(port: int) -> str:
    command = ["ss", "-Hltnp", f"sport = :{port}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r'\("([^"]+)",pid=(\d+)', done.stdout)
    return f"{found[1]} (process {found[2]})" if found else "another program"


def need_room(folder: Folder) -> None:
    existing = next(path for path in (folder.path, *folder.path.parents) if path.exists())
    for what, path in (("podman's storage", storage()), ("the data folder", existing)):
        free = shutil.disk_usage(path).free
        if free < ROOM:
            raise Refusal(
                f"{what} on {path} has {free / GIB:.1f} GiB free, and machines and images need"
                f" {ROOM // GIB} GiB: make room there."
            )


def allow_machines() -> int | None:
    """Let the host have as many systemd machines as its memory does; what it allowed before, None if that will do.

    Each systemd takes some inotify instances of root's, and by default there are enough for about 28 machines.
    """
    allowed = int(INOTIFY.read_text())
    if allowed >= INSTANCES:
        return None
    try:
        INOTIFY.write_text(str(INSTANCES))
    except OSError as error:
        enough = allowed * 28 // 128
        say(f"{INOTIFY} stays at {allowed} ({error.strerror}), which is enough for about {enough} machines.")
        return None
    return allowed


def allow_as_before(allowed: int | None) -> None:
    """Undo allow_machines."""
    if allowed and int(INOTIFY.read_text()) == INSTANCES:
        INOTIFY.write_text(str(allowed))


def need_own(folder: Folder, state: State) -> None:
    """Refuse a folder that was moved or copied while its server runs: its names follow its place."""
    if state.home != str(folder.path):
        raise Refusal(
            f"{folder.path} belongs to the local EC2 that runs from {state.home} (process {state.pid}):"
            " take that one down first, or name another folder with --data."
        )


def networks_in_use() -> list[Network]:
    """Ranges that this host routes, that podman keeps for networks not up now, or that resolve names."""
    routes = subprocess.run(["ip", "-j", "-4", "route", "show", "table", "all"], capture_output=True, text=True)
    used = {route["dst"] for route in json.loads(routes.stdout or "[]")} - {"default"}
    for network in listed("network", "ls"):
        used |= {subnet["subnet"] for subnet in network.get("subnets") or [] if ":" not in subnet["subnet"]}
    resolver = Path("/etc/resolv.conf")
    if resolver.exists():
        used |= set(re.findall(r"^nameserver\s+([\d.]+)\s*$", resolver.read_text(), re.M))
    return [Network(address, strict=False) for address in used]


def private_range(wanted: str) -> Network:
    try:
        subnet = Network(wanted)
    except ValueError as error:
        raise Refusal(f"--subnet {wanted} is not an IPv4 range ({error}): write one like 10.180.16.0/20.") from None
    if not 16 <= subnet.prefixlen <= 24 or not subnet.is_private:
        raise Refusal(f"--subnet {wanted} is not a private range of /16 to /24: write one like 10.180.16.0/20.")
    return subnet


def pick_subnet(wanted: str, owner: str) -> Network:
    """The range of the machines: the one wanted, or for 'auto' a free one."""
    used = networks_in_use()
    if wanted == "auto":
        # the upper half of 10/8 is the emptier one; each data folder begins its search elsewhere
        candidates = list(Network("10.128.0.0/9").subnets(new_prefix=20))
        begin = int(owner[-8:], 16) % len(candidates)
        for candidate in candidates[begin:] + candidates[:begin]:
            if not any(candidate.overlaps(network) for network in used):
                return candidate
        raise Refusal("No /20 of 10.128.0.0/9 is free on this host: name a free private range with --subnet.")
    subnet = private_range(wanted)
    for network in used:
        if subnet.overlaps(network):
            raise Refusal(
                f"--subnet {wanted} overlaps {network}, which this host uses: name another, or leave it to `auto`."
            )
    return subnet
