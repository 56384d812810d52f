"""The life of an instance: the API's verbs drive the machine, and the machine drives the instance's state.

moto changes a state at once. Here a verb only begins the change, as on EC2; moto's own verb, which knows what else
belongs to it (addresses, volumes), runs when the machine has followed.
"""

import copy
import functools
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.instances import Instance, InstanceState, StateReason

from local_ec2.ec2.wrap import wrap, wrap_property
from local_ec2.machines import POWEROFF, REBOOT, Machines, Nic
from local_ec2.podman import PodmanError

log = logging.getLogger(__name__)

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
STATUS = {"initializing": "initializing", "passed": "ok", "failed": "impaired"}
SHUTDOWN_SECONDS = 60
BOOT_SECONDS = 60
GUEST_SHUTDOWN = "Client.InstanceInitiatedShutdown"
FAULT = "Server.InternalError"

# Held while an instance enters a state or a spot request gets another, and while instances are described: what is seen
# of one is all of it.
CHANGING = threading.Lock()


class Lifecycle:
    """Moves instances through their states. Verbs return the state before, as moto's do."""

    moto_start = Instance.start
    moto_stop = Instance.stop
    moto_terminate = Instance.terminate

    def __init__(self, machines: Machines) -> None:
        self.machines = machines
        self._locks: dict[str, threading.Lock] = {}
        self._boots = threading.BoundedSemaphore(machines.boots_at_once)
        self._instances: dict[str, Any] = {}
        # told of an instance that has entered another state
        self.followers: list[Callable[[Any], None]] = []

    def know(self, instance: Any) -> None:
        self._locks[instance.id] = threading.Lock()
        self._instances[instance.id] = instance

    def known(self, instance_id: str) -> Any | None:
        return self._instances.get(instance_id)

    def launch(self, instance: Any, image: str, public_key: str) -> None:
        def create() -> None:
            host = instance.private_dns_name.partition(".")[0]
            nic = Nic(instance.private_ip, instance.nics[0].mac_address, host)
            self.machines.create(instance.id, image, nic, public_key)

        self._background(self._boot, instance, create)

    def start(self, instance: Any) -> InstanceState:
        before = copy.copy(instance._state)
        if before.name not in ("running", "pending"):
            self._expect(instance, "stopped", "started")
            enter(instance, "pending")
            instance.reachability = "initializing"
            # EC2 tells when it was started last, moto when it was launched first.
            instance.launch_time = utcnow()
            self._background(self._boot, instance)
        return before

    def stop(self, instance: Any) -> InstanceState:
        before = copy.copy(instance._state)
        if before.name not in ("stopped", "stopping"):
            self._expect(instance, "running", "stopped")
            enter(instance, "stopping")
            self._background(self._halt, instance)
        return before

    def terminate(self, instance: Any) -> InstanceState:
        before = copy.copy(instance._state)
        if before.name not in ("terminated", "shutting-down"):
            enter(instance, "shutting-down")
            self._background(self._destroy, instance)
        return before

    def reboot(self, instance: Any) -> None:
        self._expect(instance, "running", "rebooted")
        instance.reachability = "initializing"
        self._background(lambda: self.machines.reboot(instance.id))

    def plug(self, instance: Any, attached_as: str, volume: Any) -> None:
        """Give a machine the disk of a volume; one that does not run finds it when it boots."""
        with self._locks[instance.id]:
            device = self._disk(volume)
            if instance.state == "running":
                self.machines.plug(instance.id, attached_as, device)

    def unplug(self, instance: Any, attached_as: str, volume: Any) -> bool:
        """Take it away; whether it is gone, since the machine may still have it mounted."""
        with self._locks[instance.id]:
            device = self.machines.disks.device(volume.id)
            if device and instance.state == "running":
                self.machines.unplug(instance.id, attached_as, device)
            return self.machines.disks.unplug(volume.id)

    def _disk(self, volume: Any) -> str:
        return self.machines.disks.plug(volume.id, int(volume.size), volume.snapshot_id)

    def _devices(self, instance: Any) -> dict[str, str]:
        """The loop devices of all its volumes but the root, by the names of the attachments."""
        return {
            attached_as: self._disk(instance.ec2_backend.get_volume(block.volume_id))
            for attached_as, block in instance.get_block_device_mapping
            if attached_as != instance.root_device_name
        }

    def console(self, instance: Any) -> bytes:
        """What the machine has written on its console; of a terminated one, what it had last."""
        return getattr(instance, "last_console", None) or self.machines.console(instance.id)

    def machine_ended(self, instance_id: str, code: int) -> None:
        """React to a machine that ended, by itself or on our request."""
        if instance := self._instances.get(instance_id):
            self._background(self._follow, instance, code)

    def _boot(self, instance: Any, create: Callable[[], None] | None = None) -> None:
        with self._boots:
            with self._locks[instance.id]:
                if instance.state != "pending":
                    return
                try:
                    if create:
                        create()
                    self.machines.start(instance.id, self._devices(instance))
                except PodmanError as error:
                    self._give_up(instance, str(error), destroy=create is not None)
                    return
                # it may have been terminated meanwhile
                if instance.state != "pending":
                    return
                self._enter(instance, Lifecycle.moto_start)
                log.info("%s runs at %s", instance.id, instance.private_ip)
            self._watch_reachability(instance)

    def _give_up(self, instance: Any, cause: str, destroy: bool) -> None:
        """End a boot that failed. A machine that has lived before keeps its disk, and is stopped again."""
        if destroy:
            self._remove(instance, FAULT, cause)
        else:
            self._enter(instance, Lifecycle.moto_stop, FAULT, cause)
        log.error("%s did not boot: %s", instance.id, cause)

    def _halt(self, instance: Any) -> None:
        with self._locks[instance.id]:
            if instance.state != "stopping":
                return
            try:
                self.machines.stop(instance.id, SHUTDOWN_SECONDS)
            finally:
                if instance.state == "stopping":
                    self._enter(instance, Lifecycle.moto_stop)

    def _destroy(self, instance: Any) -> None:
        with self._locks[instance.id]:
            self._remove(instance)

    def _remove(self, instance: Any, *reason: str) -> None:
        instance.last_console = self.machines.last_console(instance.id)
        try:
            self.machines.remove(instance.id)
        finally:
            self._enter(instance, Lifecycle.moto_terminate, *reason)

    def _enter(self, instance: Any, verb: Callable[[Any], Any], *reason: str) -> None:
        """Enter another state by moto's verb, with all that goes with it, a code and a cause too."""
        with CHANGING:
            verb(instance)
            for follow in self.followers:
                follow(instance)
            if reason:
                explain(instance, *reason)

    def _follow(self, instance: Any, code: int) -> None:
        with self._locks[instance.id]:
            # the end may be one we asked for, or lie before a start that came since
            if instance.state != "running" or self.machines.running(instance.id):
                return
            log.info("%s ended by itself with %s", instance.id, code)
            if code != REBOOT:
                self._ended(instance, code)
                return
            instance.reachability = "initializing"
            try:
                self.machines.start(instance.id, self._devices(instance))
            except PodmanError as error:
                self._give_up(instance, str(error), destroy=False)
                return
        self._watch_reachability(instance)

    def _ended(self, instance: Any, code: int) -> None:
        if instance.reachability == "initializing" and code != POWEROFF:
            tail = self.machines.console(instance.id)[-300:].decode(errors="replace")
            self._give_up(instance, f"the machine ended with {code} before it was up: {tail}", destroy=True)
            return
        reason = (GUEST_SHUTDOWN, "Instance initiated shutdown")
        if instance.instance_initiated_shutdown_behavior == "terminate":
            self._remove(instance, *reason)
        else:
            self._enter(instance, Lifecycle.moto_stop, *reason)

    def _watch_reachability(self, instance: Any) -> None:
        """Bring the instance's status check from initializing to passed when SSH answers, else to failed."""
        end = time.monotonic() + BOOT_SECONDS
        while instance.state == "running" and instance.reachability == "initializing":
            if self.machines.answers(instance.private_ip):
                instance.reachability = "passed"
            elif time.monotonic() > end:
                instance.reachability = "failed"
            else:
                time.sleep(0.1)

    def _expect(self, instance: Any, state: str, participle: str) -> None:
        if instance.state != state:
            raise EC2ClientError(
                "IncorrectInstanceState",
                f"The instance '{instance.id}' is not in a state from which it can be {participle}.",
            )

    def _background(self, work: Callable[..., None], *arguments: Any) -> None:
        def run() -> None:
            try:
                work(*arguments)
            except Exception:
                log.exception("%s of %s", work, arguments)

        threading.Thread(target=run, daemon=True).start()


def enter(instance: Any, state: str) -> None:
    instance._state = InstanceState(state, CODES[state])


def explain(instance: Any, code: str, cause: str) -> None:
    # a console's escape characters are none that XML can carry
    cause = "".join(character for character in cause if character.isprintable())
    instance.state_reason = StateReason(f"{code}: {cause}", code)
    instance._reason = cause


def install(lifecycle: Lifecycle) -> None:
    """Make moto's instances live by `lifecycle`."""

    @wrap(Instance, "__init__")
    def born_pending(moto_init: Any, instance: Any, *args: Any, **kwargs: Any) -> None:
        moto_init(instance, *args, **kwargs)
        enter(instance, "pending")
        instance.reachability = "initializing"
        lifecycle.know(instance)

    @wrap(EC2Backend, "get_instance")
    def get_instance(moto_get: Any, backend: Any, instance_id: str) -> Any:
        # moto walks through all there ever were, for each volume of each instance
        found = lifecycle.known(instance_id)
        return found if found and found.ec2_backend is backend else moto_get(backend, instance_id)

    for verb in ("start", "stop", "terminate", "reboot"):
        act = getattr(lifecycle, verb)
        wrap(Instance, verb)(functools.partial(lambda act, _, instance: act(instance), act))

    for check in ("instance_status", "system_status"):

        @wrap_property(Instance, check)
        def status(_: Any, instance: Any) -> dict[str, Any]:
            if instance.state != "running":
                return {"Status": "not-applicable"}
            found = instance.reachability
            return {"Status": STATUS[found], "Details": [{"Name": "reachability", "Status": found}]}
