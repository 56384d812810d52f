"""AMIs baked from instances."""

import logging
import threading
from collections.abc import Callable
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.instances import StateReason

from local_ec2.ec2.wrap import wrap
from local_ec2.machines import Machines
from local_ec2.podman import PodmanError

log = logging.getLogger(__name__)


def install(machines: Machines, base_ami: str) -> None:
    """Make CreateImage bake a machine, and DeregisterImage forget what was baked."""
    EC2Backend.boots = {base_ami: machines.base_image}

    def bake(backend: Any, instance: Any, ami: Any) -> None:
        try:
            machines.bake(instance.id, ami.id)
        except PodmanError as error:
            log.error("%s was not baked: %s", ami.id, error)
            ami.state = "failed"
            ami.state_reason = StateReason(f"Server.InternalError: {error}", "Server.InternalError")
            return
        backend.boots[ami.id] = machines.image(ami.id)
        ami.state = "available"
        log.info("%s is baked from %s", ami.id, instance.id)

    @wrap(EC2Backend, "create_image")
    def create_image(
        moto_create: Callable[..., Any],
        backend: Any,
        instance_id: str,
        name: str,
        description: str,
        tag_specifications: list[dict[str, Any]],
    ) -> Any:
        instance = backend.get_instance(instance_id)
        twin = next(
            (ami for ami in backend.amis.values() if (ami.name, ami.owner_id) == (name, backend.account_id)), None
        )
        if twin:
            raise EC2ClientError("InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {twin.id}")
        if instance.state not in ("running", "stopped"):
            raise EC2ClientError("IncorrectInstanceState", f"Instance '{instance.id}' is not running or stopped.")
        of_image = [spec for spec in tag_specifications if spec["ResourceType"] != "snapshot"]
        ami = moto_create(backend, instance_id, name, description, of_image)
        ami.state = "pending"
        ami.root_device_name, ami.root_device_type = instance.root_device_name, "ebs"
        ami.image_location = f"{ami.owner_id}/{name}"
        # moto refuses tags for the snapshot
        for spec in tag_specifications:
            if spec["ResourceType"] == "snapshot":
                ami.ebs_snapshot.add_tags({tag["Key"]: tag["Value"] for tag in spec["Tags"]})
        threading.Thread(target=bake, args=(backend, instance, ami), daemon=True).start()
        return ami

    @wrap(EC2Backend, "deregister_image")
    def deregister_image(moto_deregister: Callable[..., Any], backend: Any, ami_id: str) -> None:
        moto_deregister(backend, ami_id)
        if backend.boots.pop(ami_id, machines.base_image) != machines.base_image:
            machines.forget(ami_id)
