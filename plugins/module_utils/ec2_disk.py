# MIT licence
"""The data volume of one machine: which of the volumes it is, and where it is."""

from __future__ import annotations

from typing import Any

MOVED_FROM = "MovedFrom"


class Refusal(Exception):
    """What a user can do something about, in one sentence or two."""


def tags_of(thing: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in thing.get("Tags", [])}


class Disk:
    """The data volume of one machine, and what is to become of it."""

    def __init__(self, machine: dict[str, Any]) -> None:
        self.machine, self.instance, self.zone = machine["name"], machine["instance_id"], machine["zone"]
        self.name = f"{self.machine}-data"
        self.volume: dict[str, Any] = {}
        self.original: dict[str, Any] = {}
        self.spare: list[str] = []
        self.copies: list[str] = []
        self.snapshot = ""
        self.done: list[str] = []

    @property
    def id(self) -> str:
        return self.volume.get("VolumeId", "")

    @property
    def attachment(self) -> dict[str, Any]:
        """Where the volume is attached; empty if nowhere."""
        return next((one for one in self.volume.get("Attachments", []) if one["State"] != "detached"), {})

    @property
    def here(self) -> bool:
        """Whether it is attached to the machine."""
        return self.attachment.get("InstanceId") == self.instance

    @property
    def origin(self) -> str:
        """The volume that it was made from, while that move is not over."""
        return tags_of(self.volume).get(MOVED_FROM, "")

    @property
    def unclean(self) -> bool:
        return bool(self.original or self.copies or self.origin)

    @property
    def elsewhere(self) -> bool:
        return bool(self.volume) and self.volume["AvailabilityZone"] != self.zone

    def choose(self, volumes: list[dict[str, Any]]) -> None:
        """Of the volumes with its name: the one on the machine, else the newest that is complete."""
        if not volumes:
            return
        rank = sorted(volumes, key=lambda one: (self._on_machine(one), one["State"] != "creating", one["CreateTime"]))
        self.volume, others = rank[-1], rank[:-1]
        self.original = next(
            (one for one in others if one["VolumeId"] == self.origin and one["State"] == "available"), {}
        )
        self.spare += [one["VolumeId"] for one in others if one is not self.original]

    def keep_or_discard(self, thing: str, tags: dict[str, str]) -> None:
        """A copy may go when the volume that it was made of, or was made into, is there."""
        discard = self.volume and tags.get(MOVED_FROM) in (self.id, self.origin)
        (self.copies if discard else self.spare).append(thing)

    def _on_machine(self, volume: dict[str, Any]) -> bool:
        return any(one["InstanceId"] == self.instance for one in volume.get("Attachments", []))

    def result(self) -> dict[str, Any]:
        return {
            "machine": self.machine,
            "name": self.name,
            "volume_id": self.id,
            "done": self.done,
            "spare": self.spare,
        }
