# MIT licence
"""The data volumes of machines: found by tags, made, attached, grown, and moved to another zone.

A volume is moved by way of a copy: a snapshot, and of that a volume in the other zone, both of the kind `data-copy`.
One call makes the copy the volume: its kind becomes `data`, and as the newer one it is used from then on. Before that
call the original is the truth, and a copy that is found is an interrupted run's and thrown away; after it the original
only waits to be deleted, which happens once the new volume is attached.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any

from .ec2_disk import MOVED_FROM, Disk, Refusal, tags_of

KIND, COPY = "data", "data-copy"
LIVING = ("creating", "available", "in-use")
POLL_S = 2
# A snapshot of a large volume takes hours, and giving up would only mean to begin again.
SNAPSHOT_S = 12 * 3600


def tagged(kind: str, tags: dict[str, str]) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]


def wait_for(what: str, done: Callable[[], Any], seconds: float) -> Any:
    """Ask until the answer is true, and return it. Raises Refusal after so many seconds."""
    end = time.monotonic() + seconds
    while not (answer := done()):
        if time.monotonic() > end:
            raise Refusal(f"{what} took longer than {seconds:.0f} s: run this again, or raise ec2_timeout.")
        time.sleep(POLL_S)
    return answer


class Disks:
    """The data volumes of all machines of a run. EC2 is asked for all of them at once."""

    def __init__(self, ec2: Any, asked: dict[str, Any]) -> None:
        self.ec2, self.asked = ec2, asked
        self.project = asked["tags"]["Project"]
        self.all = [Disk(machine) for machine in asked["machines"]]

    def look(self) -> None:
        """See what there is. Raises Refusal where a wish cannot be granted; nothing was touched then."""
        known = {disk.name: disk for disk in self.all}
        volumes = [one for one in self._all("describe_volumes", "Volumes") if one["State"] in LIVING]
        for disk in self.all:
            named = [one for one in volumes if tags_of(one).get("Name") == disk.name]
            disk.choose([one for one in named if tags_of(one)["Kind"] == KIND])
            for copy in (one for one in named if tags_of(one)["Kind"] == COPY):
                disk.keep_or_discard(copy["VolumeId"], tags_of(copy))
        if any(disk.elsewhere or disk.unclean or not disk.volume for disk in self.all):
            for snapshot in self._all("describe_snapshots", "Snapshots", OwnerIds=["self"]):
                if disk := known.get(tags_of(snapshot).get("Name", "")):
                    disk.keep_or_discard(snapshot["SnapshotId"], tags_of(snapshot))
        self._refuse()

    def _all(self, action: str, key: str, **more: Any) -> list[dict[str, Any]]:
        """What the project has of volumes or snapshots, copies included."""
        filters = [{"Name": "tag:Project", "Values": [self.project]}, {"Name": "tag:Kind", "Values": [KIND, COPY]}]
        pages = self.ec2.get_paginator(action).paginate(Filters=filters, **more)
        return [one for page in pages for one in page[key]]

    def _refuse(self) -> None:
        for disk in self.all:
            if disk.spare and not disk.volume:
                raise Refusal(
                    f"{disk.name} is gone, and {', '.join(disk.spare)}, a copy from when it was moved, may be all"
                    f" that is left of it. To use a volume give it the tag Kind={KIND}; what is not wanted, delete."
                    " Then run this again."
                )
            if disk.volume.get("Size", 0) > self.asked["size"]:
                raise Refusal(
                    f"{disk.name} ({disk.id}) has {disk.volume['Size']} GB, and a volume cannot shrink to"
                    f" {self.asked['size']}: set data_disk_gb to {disk.volume['Size']} or more."
                )
        taken = {disk.attachment["InstanceId"]: disk for disk in self.all if disk.attachment and not disk.here}
        if not taken:
            return
        filters = [{"Name": "instance-id", "Values": list(taken)}]
        pages = self.ec2.get_paginator("describe_instances").paginate(Filters=filters)
        for one in (one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"]):
            if one["State"]["Name"] not in ("shutting-down", "terminated"):
                disk = taken[one["InstanceId"]]
                raise Refusal(
                    f"{disk.name} ({disk.id}) is attached to {one['InstanceId']}, which is {one['State']['Name']}, and"
                    f" {disk.machine} is {disk.instance}: terminate the one that is not wanted, or detach the volume."
                )

    def plan(self) -> None:
        """Say what would be done, in the words of the result."""
        for disk in self.all:
            if not disk.volume:
                disk.done += ["created", "attached"]
                continue
            grows = disk.volume["Size"] < self.asked["size"] or self._slow(disk.volume)
            disk.done += ["moved"] * disk.elsewhere + ["attached"] * (not disk.here)
            disk.done += ["modified"] * (grows and not disk.elsewhere)
            disk.done += ["cleaned"] * disk.unclean

    def _slow(self, volume: dict[str, Any]) -> bool:
        """Whether its throughput is another than the one asked for. EC2 shows none on what is no gp3."""
        return volume.get("Throughput", self.asked["throughput"]) != self.asked["throughput"]

    def act(self) -> None:
        """Have all volumes as they should be. Raises Refusal."""
        self._wait_until_free()
        for disk in self.all:
            # An original that is used again must have no older copy that could be taken for it.
            disk.done += ["cleaned"] * disk.unclean
            self._clean(disk)
            if not disk.volume:
                self._create(disk)
        self._wait_available()
        self._move()
        self._attach()
        self._end_moves()
        self._modify()

    def _wait_until_free(self) -> None:
        """A machine that is being deleted lets go of its volume a little later."""
        self._refresh(
            "Letting go of the volume by a machine that is deleted", lambda disk: disk.here or not disk.attachment
        )

    def _refresh(self, what: str, ready: Callable[[Disk], bool]) -> None:
        """Read the volumes again until each is ready. Raises Refusal."""

        def done() -> bool:
            waiting = {disk.id: disk for disk in self.all if disk.volume and not ready(disk)}
            if waiting:
                for volume in self.ec2.describe_volumes(VolumeIds=list(waiting))["Volumes"]:
                    waiting[volume["VolumeId"]].volume = volume
            return all(ready(disk) for disk in waiting.values())

        wait_for(what, done, self.asked["timeout"])

    def _clean(self, disk: Disk) -> None:
        """Throw away the copies of a move, which are none of the data's only one."""
        for copy in disk.copies:
            if copy.startswith("snap-"):
                self.ec2.delete_snapshot(SnapshotId=copy)
            else:
                # One that is still being made cannot be deleted.
                wait_for(f"Making {copy}", lambda copy=copy: self._state(copy) != "creating", self.asked["timeout"])
                self.ec2.delete_volume(VolumeId=copy)
        disk.copies = []

    def _state(self, volume: str) -> str:
        return self.ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"]

    def _create(self, disk: Disk, **origin: Any) -> None:
        """Make a volume in the machine's zone. Two runs at the same time make one."""
        tags = self.asked["tags"] | {"Kind": KIND, "Name": disk.name, "Machine": disk.machine}
        if origin:
            tags |= {"Kind": COPY, MOVED_FROM: disk.id}
        wish = f"{self.project} {disk.name} {disk.instance} {origin} {int(time.time()) // 600}"
        disk.volume = self.ec2.create_volume(
            AvailabilityZone=disk.zone,
            Size=self.asked["size"],
            VolumeType="gp3",
            Throughput=self.asked["throughput"],
            Encrypted=True,
            TagSpecifications=tagged("volume", tags),
            ClientToken=hashlib.sha256(wish.encode()).hexdigest(),
            **origin,
        )
        disk.done += ["created"] * (not origin)

    def _move(self) -> None:
        """Bring the volumes that lie in another zone into the machine's. All snapshots are taken at the same time."""
        moving = [disk for disk in self.all if disk.elsewhere]
        for disk in moving:
            tags = self.asked["tags"] | {"Kind": COPY, "Name": disk.name, "Machine": disk.machine, MOVED_FROM: disk.id}
            answer = self.ec2.create_snapshot(
                VolumeId=disk.id,
                Description=f"{disk.name} on its way to {disk.zone}",
                TagSpecifications=tagged("snapshot", tags),
            )
            disk.snapshot = answer["SnapshotId"]
            disk.copies = [disk.snapshot]
        if not moving:
            return
        wait_for("A snapshot", lambda: self._complete([disk.snapshot for disk in moving]), SNAPSHOT_S)
        for disk in moving:
            disk.original = disk.volume
            self._create(disk, SnapshotId=disk.snapshot)
        self._wait_available()
        for disk in moving:
            self.ec2.create_tags(Resources=[disk.id], Tags=[{"Key": "Kind", "Value": KIND}])
            disk.done.append("moved")

    def _complete(self, snapshots: list[str]) -> bool:
        states = {one["SnapshotId"]: one["State"] for one in self._snapshots(snapshots)}
        if broken := [one for one, state in states.items() if state == "error"]:
            raise Refusal(
                f"EC2 could not make the snapshot {', '.join(broken)}; the volume is untouched: run this again."
            )
        return len(states) == len(snapshots) and all(state == "completed" for state in states.values())

    def _snapshots(self, ids: list[str]) -> list[dict[str, Any]]:
        return self.ec2.describe_snapshots(SnapshotIds=ids)["Snapshots"]

    def _wait_available(self) -> None:
        self._refresh("Making a volume", lambda disk: disk.volume["State"] in ("available", "in-use"))

    def _attach(self) -> None:
        for disk in self.all:
            if not disk.here:
                self.ec2.attach_volume(VolumeId=disk.id, InstanceId=disk.instance, Device=self.asked["device"])
                disk.volume["Attachments"] = []
                disk.done.append("attached")
        self._refresh("Attaching", lambda disk: disk.here and disk.attachment["State"] == "attached")
        for disk in self.all:
            if disk.attachment.get("DeleteOnTermination"):
                keep = {"DeviceName": disk.attachment["Device"], "Ebs": {"DeleteOnTermination": False}}
                self.ec2.modify_instance_attribute(InstanceId=disk.instance, BlockDeviceMappings=[keep])
                disk.done.append("kept")

    def _end_moves(self) -> None:
        """The data is on the machine, so what it came from may go."""
        for disk in self.all:
            self._clean(disk)
            if disk.original:
                self.ec2.delete_volume(VolumeId=disk.original["VolumeId"])
            if disk.original or disk.origin:
                self.ec2.delete_tags(Resources=[disk.id], Tags=[{"Key": MOVED_FROM}])

    def _modify(self) -> None:
        changing = [disk for disk in self.all if disk.volume["Size"] < self.asked["size"] or self._slow(disk.volume)]
        for disk in changing:
            self.ec2.modify_volume(VolumeId=disk.id, Size=self.asked["size"], Throughput=self.asked["throughput"])
            disk.done.append("modified")
        if changing:
            wait_for("Growing a volume", lambda: self._grown([disk.id for disk in changing]), self.asked["timeout"])

    def _grown(self, volumes: list[str]) -> bool:
        answer = self.ec2.describe_volumes_modifications(VolumeIds=volumes)["VolumesModifications"]
        newest = {one["VolumeId"]: one for one in sorted(answer, key=lambda one: one["StartTime"])}
        if broken := [one for one, change in newest.items() if change["ModificationState"] == "failed"]:
            raise Refusal(f"EC2 could not grow {', '.join(broken)}: run this again.")
        return len(newest) == len(volumes) and all(
            one["ModificationState"] in ("optimizing", "completed") for one in newest.values()
        )
