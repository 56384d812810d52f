"""A machine as the module cuda_plan sees it, made up for the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from plugins.module_utils.cuda_plan import files_of, plan

ROLE = Path(__file__).resolve().parents[2] / "roles/cuda"
TABLES: dict[str, Any] = {}
for file in ROLE.glob("vars/main/*.yml"):
    TABLES |= {name.removeprefix("__cuda_"): value for name, value in yaml.safe_load(file.read_text()).items()}
DEFAULTS = {
    name.removeprefix("cuda_"): value
    for name, value in yaml.safe_load((ROLE / "defaults/main.yml").read_text()).items()
}
KERNELS = {"Debian 12": "6.1.0-50-cloud-amd64", "Ubuntu 22": "6.8.0-1021-aws", "Ubuntu 24": "6.8.0-1021-aws"}
DEBIAN_535 = ["nvidia-kernel-dkms", "nvidia-smi", "libcuda1", "libnvidia-ml1", "nvidia-modprobe", "nvidia-persistenced"]


class Machine:
    """By default one with a T4, a bare system, and room."""

    def __init__(self, system: str = "Debian 12", **shown: Any) -> None:
        self.system = system
        kernel = KERNELS.get(system, "6.1")
        self.look = {
            "machine": "x86_64",
            "gpus": ["1eb8"],
            "others": [],
            "family": "",
            "loaded": "",
            "nouveau": False,
            "installer": False,
            "running": kernel,
            "kernels": [kernel],
            "built": {},
            "packages": {},
            "kernel_flavour": "",
            "secure_boot": False,
            "interrupted": "",
            "persistence": "enabled",
            "toolkits": {},
            "unfinished": [],
            "link": {"folder": False, "dangling": False, "leads_to": "", "managed": False, "known": []},
            "cached": True,
            "free": 100_000,
            "sources": "Types: deb\n",
            "folders": [],
            "files": dict.fromkeys(files_of(DEFAULTS, TABLES["platforms"].get(system, {})), ""),
        } | shown

    @classmethod
    def with_driver(
        cls,
        system: str = "Debian 12",
        names: list[str] = DEBIAN_535,
        version: str = "535.309.01",
        state: str = "h",
        **shown: Any,
    ) -> Machine:
        """One that the role has already been on."""
        kernel = KERNELS[system]
        module = "nvidia-current" if system == "Debian 12" else "nvidia"
        built = {kernel: {"module": module, "version": version}}
        machine = cls(system, **{"loaded": version, "built": built, "kernel_flavour": kernel.split("-", 2)[2], **shown})
        for name in names:
            # These two have versions of their own.
            own = "525.85.05-1" if name in ("nvidia-modprobe", "nvidia-persistenced") else f"{version}-1"
            machine.installed(name, own, state)
        flavour = machine.look["kernel_flavour"]
        with_modules = f"linux-image-{flavour}" in names
        for name in (f"linux-image-{flavour}", f"linux-headers-{flavour}"):
            machine.installed(name, "1", state if with_modules else "i")
        for name in TABLES["platforms"][system]["build_tools"]:
            machine.installed(name, "1")
        for file in machine.plan(gpu="T4")["files"]:
            machine.look["files"][file["path"]] = file["text"]
        machine.look["packages"]["dkms"] = {"version": "3", "state": "i"}
        return machine

    def installed(self, name: str, version: str, state: str = "i") -> None:
        self.look["packages"][name] = {"version": version, "state": state}

    def plan(self, **asked: Any) -> dict[str, Any]:
        return plan(DEFAULTS | asked, TABLES, self.look, self.system)
