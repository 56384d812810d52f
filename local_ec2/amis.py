"""The AMI to begin with: Debian 12, named and owned as on AWS."""

import hashlib
import json
from pathlib import Path
from typing import Any

DEBIAN = "136693071363"
PARAMETER = "/aws/service/debian/release/12/latest/amd64"
ROOT_GIB = 8


def debian(base_image: str, built: str) -> dict[str, Any]:
    """The base image as an AMI of Debian's, in the form moto reads. built: its time, YYYYMMDD-HHMM."""
    name = f"debian-12-amd64-{built}"
    day = f"{built[:4]}-{built[4:6]}-{built[6:8]}T{built[9:11]}:{built[11:13]}:00.000Z"
    return {
        "ami_id": f"ami-0{hashlib.sha256(base_image.encode()).hexdigest()[:16]}",
        "name": name,
        "description": f"Debian 12 ({built[:8]}), a local EC2's",
        "owner_id": DEBIAN,
        "image_location": f"amazon/{name}",
        "creation_date": day,
        "state": "available",
        "public": True,
        "architecture": "x86_64",
        "image_type": "machine",
        "virtualization_type": "hvm",
        "hypervisor": "xen",
        "root_device_type": "ebs",
        "root_device_name": "/dev/xvda",
        "sriov": "simple",
    }


def offer(path: Path, ami: dict[str, Any]) -> None:
    """Write the file that moto takes its AMIs from, instead of its own list of ones that cannot boot here."""
    path.write_text(json.dumps([ami], indent=1))
