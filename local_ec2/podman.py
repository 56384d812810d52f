"""podman, called with what this host needs; the user's own configuration stays as it is."""

import functools
import json
import logging
import resource
import subprocess
from pathlib import Path
from typing import Any

LABEL = "local-ec2"
CAP_SYS_RESOURCE = 24

log = logging.getLogger(__name__)


class PodmanError(RuntimeError):
    """podman refused; the message is its own."""


@functools.cache
def host_flags() -> list[str]:
    """Flags of podman itself that follow from the host."""
    flags = []
    if not unified_cgroups():
        # crun refuses cgroup v1 and the hybrid of both
        flags += ["--runtime", "runc"]
    if not Path("/run/systemd/system").exists():
        # without systemd on the host there is nobody to make scopes or to keep a journal
        flags += ["--cgroup-manager", "cgroupfs", "--events-backend", "file"]
    return flags


def unified_cgroups() -> bool:
    return Path("/sys/fs/cgroup/cgroup.controllers").exists()


@functools.cache
def machine_flags() -> list[str]:
    """Flags of a machine that follow from the host."""
    apparmor = Path("/sys/module/apparmor/parameters/enabled")
    # podman's profile forbids the mounts that a unit's sandbox is made of
    confined = apparmor.exists() and apparmor.read_text().startswith("Y")
    return [*_limits(), *(["--security-opt=apparmor=unconfined"] if confined else [])]


def _limits() -> list[str]:
    """Limits, where the host does not allow podman's own higher ones."""
    if _capabilities() & 1 << CAP_SYS_RESOURCE:
        return []
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    processes = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    # podman lowers itself to pid_max before it starts a container
    highest = int(Path("/proc/sys/kernel/pid_max").read_text())
    processes = highest if processes == resource.RLIM_INFINITY else min(processes, highest)
    return ["--ulimit", f"nofile={files}:{files}", "--ulimit", f"nproc={processes}:{processes}"]


def _capabilities() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("CapEff")).split()[1], 16)


def command(*arguments: str) -> list[str]:
    return ["podman", *host_flags(), *arguments]


def podman(*arguments: str, check: bool = True) -> str:
    """Run podman and return what it printed. Its warnings go to the log, not to the user.

    Raises PodmanError if it fails, unless `check` is false.
    """
    done = subprocess.run(command(*arguments), capture_output=True, text=True, stdin=subprocess.DEVNULL)
    complaint = done.stderr.strip()
    if done.returncode and check:
        raise PodmanError(f"podman {arguments[0]}: {complaint or f'exit status {done.returncode}'}")
    if complaint:
        log.info("podman %s: %s", arguments[0], complaint)
    return done.stdout


def listed(*arguments: str) -> list[Any]:
    """What podman lists as JSON."""
    return json.loads(podman(*arguments, "--format", "json") or "[]") or []


def owned(kind: str, owner: str) -> list[str]:
    """Ids of the containers, networks or images that carry the label of `owner`."""
    options = {"container": ["ps", "-a"], "network": ["network", "ls"], "image": ["images"]}[kind]
    return podman(*options, "-q", "--filter", f"label={LABEL}={owner}").split()


def remove_all(owner: str) -> list[str]:
    """Remove every machine, the network and every baked image of `owner`; say what was removed."""
    removed = []
    removals = {
        "container": ("rm", "-f", "-v", "-t", "0"),
        "network": ("network", "rm", "-f"),
        "image": ("rmi", "-f"),
    }
    for kind, how in removals.items():
        found = list(dict.fromkeys(owned(kind, owner)))
        if found:
            podman(*how, *found)
            noun = "machine" if kind == "container" else kind
            removed.append(f"{len(found)} {noun}{'s' if len(found) > 1 else ''}")
    return removed


def storage() -> Path:
    return Path(podman("info", "--format", "{{.Store.GraphRoot}}").strip())
