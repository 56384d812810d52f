# MIT licence
"""What EC2's API does not tell: GPU families, quotas, systems. As of 2026-11; a test compares it with the cuda role."""

from __future__ import annotations

import re
from typing import NamedTuple


class Family(NamedTuple):
    """An accelerated family. compute: its compute capability. refused: why it is not launched here, or nothing."""

    gpu: str
    compute: str
    refused: str = ""


def _gone(since: str) -> str:
    return f"EC2 has retired it ({since})"


FAMILIES = {
    "p2": Family("K80", "3.7", _gone("2024")),
    "g3": Family("M60", "5.2", _gone("October 2025")),
    "g3s": Family("M60", "5.2", _gone("October 2025")),
    "p3": Family("V100", "7.0", _gone("December 2025")),
    "p3dn": Family("V100-32GB", "7.0"),
    "g4dn": Family("T4", "7.5"),
    "g4ad": Family("Radeon Pro V520", "", "its GPU is AMD's, and CUDA wants NVIDIA's"),
    "g5": Family("A10G", "8.6"),
    "g5g": Family("T4G", "7.5", "its processor is an ARM, for which there is no MXNet with GPU support"),
    "g6": Family("L4", "8.9"),
    "gr6": Family("L4", "8.9"),
    "g6f": Family("L4", "8.9", "it has a fraction of a GPU, which wants NVIDIA's licensed GRID driver"),
    "gr6f": Family("L4", "8.9", "it has a fraction of a GPU, which wants NVIDIA's licensed GRID driver"),
    "g6e": Family("L40S", "8.9"),
    "g7e": Family("RTX-PRO-6000", "12.0"),
    "p4d": Family("A100", "8.0"),
    "p4de": Family("A100-80GB", "8.0"),
    "p5": Family("H100", "9.0"),
    "p5e": Family("H200", "9.0"),
    "p5en": Family("H200", "9.0"),
    "p6-b200": Family("B200", "10.0"),
}


class Quota(NamedTuple):
    """A quota of Service Quotas, service `ec2`, counted in vCPUs."""

    code: str
    name: str


_SPOT = "All {} Spot Instance Requests"
_ON_DEMAND = "Running On-Demand {} instances"
# Class of types -> its name in AWS's quotas, code of the quota on demand, of the one for spot (none: no spot).
_CLASSES = {
    "standard": ("Standard (A, C, D, H, I, M, R, T, Z)", "L-1216C47A", "L-34B43A08"),
    "g": ("G and VT", "L-DB2E81BA", "L-3819A6DF"),
    "p": ("P", "L-417A185B", "L-7212CCBC"),
    "f": ("F", "L-74FC7D96", "L-88CF9481"),
    "x": ("X", "L-7295265B", "L-E3A00192"),
    "u": ("High Memory", "L-43DA4232", ""),
    "inf": ("Inf", "L-1945791B", "L-B5D1601B"),
    "trn": ("Trn", "L-2C3B7624", "L-6B0D517C"),
    "dl": ("DL", "L-6E869C2A", "L-85EED4F7"),
    "hpc": ("HPC", "L-F7808C92", ""),
}
# Spot has quotas of its own for what is new among P.
_SPOT_OF_P = {"p5": Quota("L-C4BD4855", _SPOT.format("P5")), "p6": None}


def family(instance_type: str) -> str:
    """What stands before the size: g4dn of g4dn.xlarge."""
    return instance_type.partition(".")[0]


def quota_of(instance_type: str, market: str) -> Quota | None:
    """The quota that a type counts against; none where AWS has none, or none that is known here."""
    letters = re.match("[a-z]*", instance_type)[0]
    letters = {"vt": "g", "gr": "g"}.get(letters, letters)
    kind = letters if letters in _CLASSES else "standard" if letters[:1] in set("acdhimrtz") else ""
    if letters == "mac" or not kind:
        return None
    name, on_demand, spot = _CLASSES[kind]
    if market != "spot":
        return Quota(on_demand, _ON_DEMAND.format(name))
    if kind == "p":
        return _SPOT_OF_P.get(instance_type[:2], Quota(spot, _SPOT.format("P4, P3 and P2")))
    return Quota(spot, _SPOT.format(name)) if spot else None


class System(NamedTuple):
    """An operating system by its name here. parameter: the public parameter of its newest image. pattern: the image's
    name, for where that parameter cannot be read; its owners are checked either way. user: who may log in."""

    parameter: str
    owners: tuple[str, ...]
    pattern: str
    user: str


CANONICAL = ("099720109477", "837727238323", "513442679011")
DEBIAN = ("136693071363",)
AMAZON_DLAMI = ("898082745236",)
_UBUNTU = "/aws/service/canonical/ubuntu/server"
_DLAMI = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu"
_DLAMI_NAME = "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu {}) ????????"

SYSTEMS = {
    "ubuntu2204": System(
        f"{_UBUNTU}/22.04/stable/current/amd64/hvm/ebs-gp2/ami-id",
        CANONICAL,
        "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-*",
        "ubuntu",
    ),
    "ubuntu2404": System(
        f"{_UBUNTU}/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",
        CANONICAL,
        "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*",
        "ubuntu",
    ),
    "debian12": System("/aws/service/debian/release/12/latest/amd64", DEBIAN, "debian-12-amd64-*", "admin"),
    "dlami2204": System(f"{_DLAMI}-22.04/latest/ami-id", AMAZON_DLAMI, _DLAMI_NAME.format("22.04"), "ubuntu"),
    "dlami2404": System(f"{_DLAMI}-24.04/latest/ami-id", AMAZON_DLAMI, _DLAMI_NAME.format("24.04"), "ubuntu"),
}
# The user of an image that says none itself, by its owner.
USERS = {owner: system.user for system in SYSTEMS.values() for owner in system.owners} | {
    "137112412989": "ec2-user",
    "591542846629": "ec2-user",
}
