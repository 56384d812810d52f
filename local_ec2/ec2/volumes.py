"""Volumes and snapshots: states that change in their own time, and disks that are there.

Root volumes are told only: the disk of a machine is its container's.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.elastic_block_store import Volume
from moto.ec2.responses.elastic_block_store import ElasticBlockStore

from local_ec2.ec2.lifecycle import Lifecycle
from local_ec2.ec2.wrap import wrap, wrap_property
from local_ec2.podman import PodmanError

log = logging.getLogger(__name__)

MOMENT = 0.1
# For how long a detached disk is waited for that is still mounted, in seconds.
BUSY_SECONDS = 600


def background(work: Callable[[], None]) -> None:
    def run() -> None:
        time.sleep(MOMENT)
        try:
            work()
        except PodmanError:
            log.exception("a disk")

    threading.Thread(target=run, daemon=True).start()


def wrong_state(volume: Any, wanted: str) -> EC2ClientError:
    return EC2ClientError("IncorrectState", f"Volume '{volume.id}' is in the '{volume.status}' state, not '{wanted}'.")


def attachable(volume: Any, instance: Any, device: str) -> None:
    """Raise EC2's error if a volume cannot be attached to an instance."""
    if volume.attachment:
        raise EC2ClientError("VolumeInUse", f"{volume.id} is already attached to an instance")
    if volume.status != "available":
        raise wrong_state(volume, "available")
    if instance.state not in ("running", "stopped"):
        raise EC2ClientError("IncorrectState", f"Instance '{instance.id}' is not 'running'.")
    if volume.zone.name != instance.availability_zone:
        raise EC2ClientError(
            "InvalidVolume.ZoneMismatch",
            f"The volume '{volume.id}' is not in the same availability zone as instance '{instance.id}'",
        )
    if device in instance.block_device_mapping:
        raise EC2ClientError(
            "InvalidParameterValue",
            f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use",
        )


def detachable(volume: Any, instance_id: str | None) -> None:
    """Raise EC2's error if a volume cannot be detached."""
    if not volume.attachment:
        raise wrong_state(volume, "in-use")
    instance = volume.attachment.instance
    if instance_id and instance.id != instance_id:
        raise EC2ClientError("InvalidAttachment.NotFound", f"{volume.id} is not attached to {instance_id}.")
    if volume.attachment.device == instance.root_device_name and instance.state != "stopped":
        raise EC2ClientError(
            "OperationNotPermitted",
            f"Unable to detach root volume '{volume.attachment.device}' from instance '{instance.id}'",
        )


def install(lifecycle: Lifecycle) -> None:
    disks = lifecycle.machines.disks

    @wrap_property(Volume, "status")
    def status(moto_status: Callable[..., str], volume: Any) -> str:
        return getattr(volume, "moment", None) or moto_status(volume)

    @wrap(ElasticBlockStore, "create_volume")
    def create_volume(moto_create: Callable[..., Any], response: Any) -> Any:
        answer = moto_create(response)
        volume = answer.result
        volume.moment = "creating"

        def fill() -> None:
            if volume.snapshot_id and disks.exists(volume.snapshot_id):
                disks.copy(volume.snapshot_id, volume.id)
            volume.moment = None

        background(fill)
        return answer

    @wrap(ElasticBlockStore, "attach_volume")
    def attach_volume(moto_attach: Callable[..., Any], response: Any) -> Any:
        backend, device = response.ec2_backend, response._get_param("Device")
        volume = backend.get_volume(response._get_param("VolumeId"))
        instance = backend.get_instance(response._get_param("InstanceId"))
        attachable(volume, instance, device)
        answer = moto_attach(response)
        attachment = volume.attachment
        attachment.status = "attaching"

        def plug() -> None:
            lifecycle.plug(instance, device, volume)
            attachment.status = "attached"

        background(plug)
        return answer

    @wrap(ElasticBlockStore, "detach_volume")
    def detach_volume(_: Callable[..., Any], response: Any) -> Any:
        backend = response.ec2_backend
        volume = backend.get_volume(response._get_param("VolumeId"))
        detachable(volume, response._get_param("InstanceId"))
        response.error_on_dryrun()
        attachment = volume.attachment
        attachment.status = "detaching"

        def unplug() -> None:
            end = time.monotonic() + BUSY_SECONDS
            while not lifecycle.unplug(attachment.instance, attachment.device, volume) and time.monotonic() < end:
                time.sleep(MOMENT)
            # it may have been terminated meanwhile
            if volume.attachment is attachment:
                backend.detach_volume(volume.id, attachment.instance.id, attachment.device)

        background(unplug)
        return ActionResult(
            {
                "VolumeId": volume.id,
                "InstanceId": attachment.instance.id,
                "Device": attachment.device,
                "State": "detaching",
                "AttachTime": attachment.attach_time,
            }
        )

    @wrap(EC2Backend, "detach_volume")
    def detached(moto_detach: Callable[..., Any], backend: Any, volume_id: str, *where: Any, **kwargs: Any) -> Any:
        answer = moto_detach(backend, volume_id, *where, **kwargs)
        disks.unplug(volume_id)
        return answer

    @wrap(EC2Backend, "delete_volume")
    def deleted(moto_delete: Callable[..., Any], backend: Any, volume_id: str) -> Any:
        volume = backend.get_volume(volume_id)
        if getattr(volume, "moment", None):
            raise wrong_state(volume, "available")
        answer = moto_delete(backend, volume_id)
        disks.remove(volume_id)
        return answer

    @wrap(EC2Backend, "modify_volume")
    def modified(moto_modify: Callable[..., Any], backend: Any, volume_id: str, *args: Any, **kwargs: Any) -> Any:
        volume = moto_modify(backend, volume_id, *args, **kwargs)
        disks.resize(volume_id, int(volume.size))
        return volume

    snapshots(disks)


def snapshots(disks: Any) -> None:
    def keep(snapshot: Any) -> None:
        snapshot.status = "pending"

        def copy() -> None:
            if disks.exists(snapshot.volume.id):
                disks.copy(snapshot.volume.id, snapshot.id)
            snapshot.status = "completed"

        background(copy)

    @wrap(ElasticBlockStore, "create_snapshot")
    def create_snapshot(moto_create: Callable[..., Any], response: Any) -> Any:
        answer = moto_create(response)
        keep(answer.result)
        return answer

    @wrap(ElasticBlockStore, "create_snapshots")
    def create_snapshots(moto_create: Callable[..., Any], response: Any) -> Any:
        answer = moto_create(response)
        for snapshot in answer.result["Snapshots"]:
            keep(snapshot)
        return answer

    @wrap(EC2Backend, "delete_snapshot")
    def delete_snapshot(moto_delete: Callable[..., Any], backend: Any, snapshot_id: str) -> Any:
        answer = moto_delete(backend, snapshot_id)
        disks.remove(snapshot_id)
        return answer
