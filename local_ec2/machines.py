"""Machines: containers that boot systemd, keep their disk over stop and start, and show a console."""

import dataclasses
import functools
import json
import logging
import os
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from local_ec2.disks import LOOP, Disks, names
from local_ec2.podman import LABEL, command, machine_flags, podman

log = logging.getLogger(__name__)

# How a container ends when its systemd calls reboot(2): the kernel sends SIGHUP for a reboot, SIGINT for a power-off.
REBOOT = 129
POWEROFF = 130
# systemd takes SIGRTMIN+5 as the wish to reboot
SIGNAL_REBOOT = "39"
# AWS too keeps the last 64 KB
CONSOLE = 64 << 10
# Debian's number of the group `disk`.
DISK_GROUP = 6
# The MAC address of the machines' gateway, unlike any that moto draws for a machine.
GATEWAY = "06:00:00:00:00:01"
FLAGS = (
    "--systemd=always",
    # a terminal is what makes a /dev/console
    "--tty",
    # SYS_BOOT lets reboot and power-off reach podman; with SYS_ADMIN a unit's sandbox (ProtectSystem=, PrivateTmp=)
    # is as real as on AWS, where systemd else skips it in silence
    "--cap-add=SYS_BOOT,SYS_ADMIN",
    # systemd mode puts a tmpfs on /tmp; Debian has it on the disk
    "--volume=/tmp",
    "--shm-size=0",
    # disks of volumes come and go; what looks for one by label or UUID looks into that folder
    f"--device-cgroup-rule=b {LOOP}:* rmw",
    "--security-opt=unmask=/sys/dev/block",
    "--pids-limit=-1",
    "--log-driver=k8s-file",
    "--log-opt=max-size=1mb",
)


@dataclasses.dataclass(frozen=True)
class Nic:
    """Where a machine is on the network. The MAC address stays over a restart: else the host keeps knocking at the
    old one until its neighbour table forgets it, which takes most of a minute."""

    address: str
    mac: str
    host: str


class Machines:
    """The machines of one data folder, by instance id."""

    bodies = True
    boots_at_once = max(2, os.cpu_count() or 2)

    def __init__(self, owner: str, base_image: str, disks: Disks) -> None:
        self.owner = owner
        self.base_image = base_image
        self.disks = disks

    def name(self, instance: str) -> str:
        return f"{self.owner}-{instance}"

    def instance(self, name: str) -> str | None:
        """The instance whose machine has this container name; None for anybody else's container."""
        own, _, instance = name.partition("-i-")
        return f"i-{instance}" if own == self.owner and instance else None

    def create(self, instance: str, image: str, nic: Nic, public_key: str) -> None:
        podman(
            *("create", "--name", self.name(instance), "--label", f"{LABEL}={self.owner}"),
            *("--network", self.owner, "--ip", nic.address, "--mac-address", nic.mac, "--hostname", nic.host),
            *("--env", f"INSTANCE_ID={instance}", "--env", f"PUBLIC_KEY={public_key}"),
            *(*FLAGS, *machine_flags(), image, "/sbin/init"),
        )

    def start(self, instance: str, devices: dict[str, str]) -> None:
        """Boot a machine. devices: the loop devices it has, by the names of their attachments."""
        if devices:
            # made before systemd runs: /etc/fstab may name them
            podman("init", self.name(instance))
            for attached_as, device in devices.items():
                self.plug(instance, attached_as, device)
        podman("start", self.name(instance))
        self._keep_gateway()

    def _keep_gateway(self) -> None:
        """Give the machines' gateway a MAC address that stays.

        Left to itself, a bridge takes the lowest of its ports' addresses, so that it changes when a machine comes or
        goes; the other machines then answer to the old one, and their connections hang for half a minute.
        """
        change = ["ip", "link", "set", "dev", self._bridge, "address", GATEWAY]
        done = subprocess.run(change, capture_output=True, text=True, check=False)
        if done.returncode:
            # podman removes the bridge with the last machine, and this one may have ended already
            log.info("%s: %s", " ".join(change), done.stderr.strip())

    @functools.cached_property
    def _bridge(self) -> str:
        return podman("network", "inspect", "--format", "{{.NetworkInterface}}", self.owner).strip()

    def plug(self, instance: str, attached_as: str, device: str) -> None:
        """Show a loop device in a machine that has begun to boot."""
        number = Path(device).stat().st_rdev
        for node in self._nodes(instance, attached_as, device):
            node.unlink(missing_ok=True)
            os.mknod(node, stat.S_IFBLK | 0o660, number)
            os.chown(node, 0, DISK_GROUP)
            node.chmod(0o660)

    def unplug(self, instance: str, attached_as: str, device: str) -> None:
        """Show it no longer."""
        for node in self._nodes(instance, attached_as, device):
            node.unlink(missing_ok=True)

    def _nodes(self, instance: str, attached_as: str, device: str) -> list[Path]:
        pid = podman("inspect", "--format", "{{.State.Pid}}", self.name(instance)).strip()
        # the kernel's own name too: by that one, a label or UUID is looked for
        return [Path(f"/proc/{pid}/root/dev/{name}") for name in sorted({*names(attached_as), Path(device).name})]

    def stop(self, instance: str, seconds: int) -> None:
        """Ask the machine to power off; after so many seconds, cut it off."""
        podman("stop", "-t", str(seconds), self.name(instance))

    def reboot(self, instance: str) -> None:
        podman("kill", "-s", SIGNAL_REBOOT, self.name(instance))

    def remove(self, instance: str) -> None:
        podman("rm", "-f", "-v", "-t", "0", "--ignore", self.name(instance))

    def exists(self, instance: str) -> bool:
        return bool(podman("ps", "-a", "-q", "--filter", f"name=^{self.name(instance)}$").strip())

    def running(self, instance: str) -> bool:
        state = podman("inspect", "--format", "{{.State.Running}}", self.name(instance), check=False)
        return state.strip() == "true"

    def answers(self, address: str) -> bool:
        """Whether an SSH server greets at the address."""
        try:
            with socket.create_connection((address, 22), 1) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def console(self, instance: str) -> bytes:
        """What the machine wrote since it was started last."""
        since = podman(
            "inspect",
            "--format",
            '{{.State.StartedAt.Format "2006-01-02T15:04:05.999999999Z07:00"}}',
            self.name(instance),
            check=False,
        )
        return podman("logs", "--since", since.strip(), self.name(instance), check=False).encode()[-CONSOLE:]

    def last_console(self, instance: str) -> bytes:
        """What is to be kept of the console of a machine that goes."""
        return self.console(instance)

    def image(self, ami: str) -> str:
        """The name of the image baked for an AMI."""
        return f"localhost/{self.owner}:{ami}"

    def bake(self, instance: str, ami: str) -> None:
        label = f"LABEL {LABEL}={self.owner}"
        podman("commit", "-q", "--change", label, self.name(instance), self.image(ami))

    def forget(self, ami: str) -> None:
        """Remove the image of an AMI. One that a machine still stands on stays until `down`."""
        podman("rmi", self.image(ami), check=False)

    def follow_exits(self, ended: Callable[[str, int], None]) -> None:
        """Call `ended` with the instance and the exit code of each machine that ends, from now on."""

        def follow() -> None:
            since = "0s"
            while True:
                watch = command("events", "--format", "json", "--filter", "event=died", "--since", since)
                # it ends with this process, however that ends
                watch = ["setpriv", "--pdeathsig", "TERM", *watch]
                with subprocess.Popen(watch, stdout=subprocess.PIPE, text=True) as events:
                    for line in events.stdout:
                        event = json.loads(line)
                        instance = self.instance(event["Name"])
                        if instance:
                            ended(instance, event["ContainerExitCode"])
                # podman's event log was rotated, or somebody ended it: what happened meanwhile must not be missed
                log.warning("podman events ended with %s; following again", events.returncode)
                since = "60s"
                time.sleep(1)

        threading.Thread(target=follow, daemon=True).start()
