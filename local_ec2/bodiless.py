"""Machines without bodies: instances change state and show a console, and nothing boots.

For what is about the API alone: neither root, nor podman, nor an image is needed, and a thousand are no burden.
"""

import random
import threading
import time
from collections.abc import Callable

from local_ec2.disks import Disks
from local_ec2.machines import REBOOT, Machines, Nic

# How long a change of state takes, in seconds.
SHORTEST, LONGEST = 0.05, 0.3
BANNER = "\nDebian GNU/Linux 12 {host} ttyS0\n\n{host} login: "
KEYS = "\n-----BEGIN SSH HOST KEY KEYS-----\n{keys}\n-----END SSH HOST KEY KEYS-----\n"


def moment() -> None:
    time.sleep(random.uniform(SHORTEST, LONGEST))


def host_keys(host: str) -> str:
    """Public host keys of the three types that sshd makes, a line each."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    made = (
        ec.generate_private_key(ec.SECP256R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 3072),
    )
    lines = (key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() for key in made)
    return "\n".join(f"{line} root@{host}" for line in lines)


class NoDisks(Disks):
    """Volumes of which there is nothing but what the API knows."""

    def exists(self, name: str) -> bool:
        return False

    def plug(self, name: str, gib: int, snapshot: str | None = None) -> str:
        return ""


class Bodiless(Machines):
    """Machines by instance id, of which there is no more than what the API needs to know."""

    bodies = False
    # waiting costs nothing
    boots_at_once = 1000

    def __init__(self, owner: str, base_image: str, disks: Disks) -> None:
        super().__init__(owner, base_image, disks)
        self._hosts: dict[str, str] = {}
        self._running: set[str] = set()
        self._booted: set[str] = set()
        self._keys: dict[str, str] = {}
        self._lock = threading.Lock()

    def create(self, instance: str, image: str, nic: Nic, public_key: str) -> None:
        self._hosts[instance] = nic.host

    def start(self, instance: str, devices: dict[str, str]) -> None:
        moment()
        self._running.add(instance)
        self._booted.add(instance)

    def stop(self, instance: str, seconds: int) -> None:
        moment()
        self._running.discard(instance)

    def plug(self, instance: str, attached_as: str, device: str) -> None:
        pass

    def unplug(self, instance: str, attached_as: str, device: str) -> None:
        pass

    def reboot(self, instance: str) -> None:
        moment()
        self._running.discard(instance)
        self._ended(instance, REBOOT)

    def remove(self, instance: str) -> None:
        moment()
        self._running.discard(instance)

    def exists(self, instance: str) -> bool:
        return instance in self._running

    def running(self, instance: str) -> bool:
        return instance in self._running

    def answers(self, address: str) -> bool:
        return True

    def console(self, instance: str) -> bytes:
        """Made when somebody looks: keys take longer than all else here."""
        if instance not in self._booted:
            return b""
        with self._lock:
            if instance not in self._keys:
                host = self._hosts[instance]
                self._keys[instance] = KEYS.format(keys=host_keys(host)) + BANNER.format(host=host)
        return self._keys[instance].encode()

    def last_console(self, instance: str) -> bytes:
        """Nothing to keep: it can be made later too."""
        return b""

    def bake(self, instance: str, ami: str) -> None:
        moment()

    def forget(self, ami: str) -> None:
        pass

    def follow_exits(self, ended: Callable[[str, int], None]) -> None:
        """Nothing ends here by itself, but a reboot is an end and a start."""
        self._ended = ended
