"""The AMIs that there are from the start: Debian 12, which boots here, and names to choose among as on AWS."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

DEBIAN = "136693071363"
CANONICAL = "099720109477"
DLAMI = "898082745236"
# Owns an image that is named like Canonical's, and newer.
IMPOSTER = "210987654321"
PARAMETER = "/aws/service/debian/release/12/latest/amd64"
ROOT_GIB = 8
SOME_DAY = "20261103-1200"


@dataclasses.dataclass(frozen=True)
class Offer:
    """An AMI. built: its time, YYYYMMDD-HHMM. parameters: the public parameters that lead to it."""

    name: str
    owner: str
    built: str
    description: str
    parameters: tuple[str, ...] = ()
    architecture: str = "x86_64"
    root_device: str = "/dev/sda1"
    root_gib: int = ROOT_GIB
    ami_id: str = ""

    @property
    def id(self) -> str:
        return self.ami_id or f"ami-0{hashlib.sha256(f'{self.owner} {self.name}'.encode()).hexdigest()[:16]}"

    @property
    def alias(self) -> str | None:
        """What AWS calls an owner whose images it vouches for."""
        return None if self.owner == IMPOSTER else "amazon"

    def for_moto(self) -> dict[str, Any]:
        """In the form that moto reads."""
        day = self.built
        return {
            "ami_id": self.id,
            "name": self.name,
            "description": self.description,
            "owner_id": self.owner,
            "image_location": f"{self.alias or self.owner}/{self.name}",
            "creation_date": f"{day[:4]}-{day[4:6]}-{day[6:8]}T{day[9:11]}:{day[11:13]}:00.000Z",
            "state": "available",
            "public": True,
            "architecture": self.architecture,
            "image_type": "machine",
            "virtualization_type": "hvm",
            "hypervisor": "xen",
            "root_device_type": "ebs",
            "root_device_name": self.root_device,
            "sriov": "simple",
        }


def debian(base_image: str, built: str) -> Offer:
    """The base image as an AMI of Debian's."""
    return Offer(
        f"debian-12-amd64-{built}",
        DEBIAN,
        built,
        f"Debian 12 ({built[:8]}), a local EC2's",
        (PARAMETER,),
        root_device="/dev/xvda",
        ami_id=f"ami-0{hashlib.sha256(base_image.encode()).hexdigest()[:16]}",
    )


def _ubuntu(release: str, number: str, disk: str, day: str, owner: str = CANONICAL) -> Offer:
    kind = "hvm-ssd" if disk == "gp2" else f"hvm-ssd-{disk}"
    parameter = f"/aws/service/canonical/ubuntu/server/{number}/stable/current/amd64/hvm/ebs-{disk}/ami-id"
    return Offer(
        f"ubuntu/images/{kind}/ubuntu-{release}-{number}-amd64-server-{day}",
        owner,
        f"{day}-0600",
        f"Canonical, Ubuntu, {number}, amd64 {release} image",
        (parameter,) if owner == CANONICAL and day >= "202611" else (),
    )


def _deep_learning(number: str, day: str) -> Offer:
    parameter = f"/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-{number}/latest/ami-id"
    return Offer(
        f"Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu {number}) {day}",
        DLAMI,
        f"{day}-0900",
        f"Supported EC2 instances: G4dn, G5, G6, P4d, P5. Ubuntu {number} with NVIDIA's driver",
        (parameter,),
        root_gib=75,
    )


# What does not boot here, but can be chosen, compared and refused.
OTHERS = (
    _ubuntu("jammy", "22.04", "gp2", "20261022"),
    _ubuntu("jammy", "22.04", "gp2", "20261112"),
    _ubuntu("noble", "24.04", "gp3", "20261110"),
    _ubuntu("jammy", "22.04", "gp2", "20261120", IMPOSTER),
    _ubuntu("noble", "24.04", "gp3", "20261120", IMPOSTER),
    Offer(
        "debian-12-arm64-20261103-1200",
        DEBIAN,
        SOME_DAY,
        "Debian 12 (20261103)",
        ("/aws/service/debian/release/12/latest/arm64",),
        architecture="arm64",
        root_device="/dev/xvda",
    ),
    _deep_learning("22.04", "20261106"),
    _deep_learning("24.04", "20261106"),
)


def offer(path: Path, offers: list[Offer]) -> None:
    """Write the file that moto takes its AMIs from, instead of its own list."""
    path.write_text(json.dumps([one.for_moto() for one in offers], indent=1))


def parameters(offers: list[Offer]) -> dict[str, str]:
    """The AMI that each public parameter leads to."""
    return {parameter: one.id for one in offers for parameter in one.parameters}
