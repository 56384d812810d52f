# MIT licence
"""A machine as the cuda role sees it, and what is wanted of it. Pure: it touches nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

# A driver's packages carry its version. What is versioned otherwise, or is no driver, is not one of them.
_DRIVER = re.compile(
    r"(lib)?nvidia-|libcuda1$|libnvcuvid1$|libnvoptix1$|cuda-drivers|linux-modules-nvidia-|firmware-nvidia-"
    r"|xserver-xorg-video-nvidia|libxnvctrl|lib(egl|gl|gles|glx)\S*-nvidia"
)
_NO_DRIVER = re.compile(
    r"nvidia-(cuda|container|docker|driver-pinning|profiler|visual-profiler|opencl-dev|support|installer-cleanup|modprobe"
    r"|persistenced|settings|xconfig|egl-common|openjdk)|libnvidia-(container|egl)"
    # What Debian gives to programs that link to a driver's library where no driver's own will do.
    r"|nvidia-tesla-(alternative|legacy-check)$|libnvidia-tesla-ml1$"
)


def version(text: str) -> tuple[int, ...]:
    """For comparing: 535.309.01 as numbers."""
    return tuple(int(number) for number in re.findall(r"\d+", text))


def branch_of(driver: str) -> int:
    """535 of 535.309.01; 0 of what is no version."""
    found = re.match(r"(\d{3})\.", driver)
    return int(found[1]) if found else 0


def listed(names: Iterable[object]) -> str:
    return ", ".join(map(str, names))


@dataclass
class Host:
    """One machine.

    asked: the role's options without their prefix. tables: those of the role's vars. look: the answer of cuda_look.
    complaints: refusals. notes: said, and gone on from.
    """

    asked: dict[str, Any]
    tables: dict[str, Any]
    look: dict[str, Any]
    system: str
    complaints: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def platform(self) -> dict[str, Any]:
        return self.tables["platforms"][self.system]

    @property
    def packages(self) -> dict[str, dict[str, str]]:
        """Installed ones, by name."""
        return self.look["packages"]

    def missing(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if name not in self.packages]

    def limits(self, gpu: dict[str, Any]) -> dict[str, Any]:
        """A GPU with what its architecture allows."""
        return {**self.tables["architectures"][gpu["architecture"]], **gpu}

    def driver_packages(self) -> dict[str, str]:
        """Installed packages that belong to a driver, by its version."""
        found = {}
        for name, package in self.packages.items():
            upstream = re.match(r"(?:\d+:)?(\d{3}\.\d+(?:\.\d+)*)", package["version"])
            named = re.match(r"linux-modules-nvidia-(\d{3})-", name)
            if _DRIVER.match(name) and not _NO_DRIVER.match(name) and (upstream or named):
                found[name] = f"{named[1]}.0" if named else upstream[1]
        return found
