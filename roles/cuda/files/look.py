"""Look at the GPUs, the driver and the package sources, in one visit; changes nothing, prints JSON.

Argument: JSON with the archive's `components` that are wanted, the driver's `modules` by name, and `ours`, the path of
the role's own sources file.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

NVIDIA, DISPLAY_CLASSES = "0x10de", ("0x0300", "0x0302")
OWN_ORIGINS = "Debian", "Ubuntu"
SOURCE_FIELDS = "URIs", "Suites", "Components", "Signed-By"


def output(*command: str) -> str:
    """Standard output of a read-only command, empty if it cannot be run."""
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    except OSError:
        return ""


def gpus(bus: Path = Path("/sys/bus/pci/devices")) -> list[str]:
    """PCI device ids of the NVIDIA GPUs, in the order of the bus."""
    found = []
    for device in sorted(bus.glob("*")):
        vendor, kind, model = ((device / name).read_text().strip() for name in ("vendor", "class", "device"))
        if vendor == NVIDIA and kind.startswith(DISPLAY_CLASSES):
            found.append(model.replace("0x", ""))
    return found


def loaded(told_in: Path = Path("/proc/driver/nvidia/version")) -> str:
    """Version of the driver that the kernel has loaded, empty if none."""
    try:
        told = told_in.read_text()
    except OSError:
        return ""
    version = re.search(r"Kernel Module.*?\s(\d+[.]\d+(?:[.]\d+)?)\s", told)
    return version[1] if version else "of an unknown version"


def built(modules: list[str]) -> dict[str, str]:
    """Version of the driver's module for each kernel that has one."""
    versions = {}
    for kernel in (path.name for path in Path("/lib/modules").glob("*")):
        told = [output("modinfo", "-k", kernel, "-F", "version", module).strip() for module in modules]
        if any(told):
            versions[kernel] = max(told)
    return versions


def packages() -> dict[str, list[str]]:
    """Installed packages of the kernel and of NVIDIA, and those of them that are held."""
    listed = output("dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev}\n")
    states = dict(re.findall(r"^(linux-\S+|\S*nvidia\S*|\S*cuda\S*) ([ih]i) *$", listed, re.M))
    return {"installed": list(states), "held": [name for name, state in states.items() if state == "hi"]}


def kernel_flavour(installed: list[str]) -> str:
    """Flavour of the kernel package that follows updates (linux-image-FLAVOUR), empty if there is none."""
    flavours = [name[len("linux-image-") :] for name in installed if re.match(r"linux-image-(?!\d)", name)]
    running = [flavour for flavour in flavours if os.uname().release.endswith(flavour)]
    return (running or flavours or [""])[0]


def secure_boot() -> bool:
    """Whether the firmware lets only signed modules in."""
    return any(path.read_bytes()[-1:] == b"\1" for path in Path("/sys/firmware/efi/efivars").glob("SecureBoot-*"))


def one_line_entries(text: str) -> Iterator[dict[str, str]]:
    """Entries of a sources.list file."""
    for options, uri, suite, components in re.findall(r"^deb\s+(?:\[(.*?)\]\s+)?(\S+)\s+(\S+)\s+([^#\n]+)", text, re.M):
        signed_by = re.search(r"signed-by=(\S+)", options)
        entry = {"URIs": uri, "Suites": suite, "Components": components}
        yield {**entry, "Signed-By": signed_by[1].replace(",", " ")} if signed_by else entry


def stanzas(text: str) -> Iterator[dict[str, str]]:
    """Entries of a .sources file; a value keeps its further lines."""
    text = re.sub(r"^#.*\n", "", text, flags=re.M)
    for block in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^([\w-]+):[ \t]*((?:.*)(?:\n[ \t].*)*)", block, re.M))
        if "deb" in fields.get("Types", "").split() and fields.get("Enabled", "yes") != "no":
            yield fields


def of_others() -> set[tuple[str, str]]:
    """Address and suite of what apt knows to be somebody else's; before its first update it knows nothing."""
    origins = output("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(ORIGIN)", "Created-By: Packages")
    targets = [line.split(" ", 2) for line in origins.splitlines()]
    return {(uri.rstrip("/"), suite) for uri, suite, origin in targets if origin not in OWN_ORIGINS}


def sources(wanted: list[str], ours: Path, apt: Path = Path("/etc/apt")) -> str:
    """A sources file that adds the wanted components to the machine's own archives; empty if none is missing."""
    places = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
    entries = [
        entry
        for path in places
        if path.is_file() and path != ours and path.suffix in (".list", ".sources")
        for entry in (stanzas if path.suffix == ".sources" else one_line_entries)(path.read_text())
    ]
    others = of_others()
    text = ""
    for entry in entries:
        address = entry["URIs"].split()[0].rstrip("/")
        suites = [suite for suite in entry["Suites"].split() if (address, suite) not in others]
        there = {
            component
            for other in entries
            if other["URIs"] == entry["URIs"] and set(suites) <= set(other["Suites"].split())
            for component in other["Components"].split()
        }
        missing = [component for component in wanted if component not in there]
        if suites and missing and "main" in entry["Components"].split():
            fields = {**entry, "Suites": " ".join(suites), "Components": " ".join(missing)}
            lines = [f"{name}: {fields[name]}" for name in SOURCE_FIELDS if name in fields]
            text += "\n".join(["Types: deb", *lines, "", ""])
    return text


def look(components: list[str], modules: list[str], ours: str) -> dict[str, object]:
    found = packages()
    place = Path(ours)
    return {
        **found,
        "gpus": gpus(),
        "loaded": loaded(),
        "running": os.uname().release,
        "built": built(modules),
        "kernel_flavour": kernel_flavour(found["installed"]),
        "secure_boot": secure_boot(),
        "interrupted": output("dpkg", "--audit").strip(),
        "sources": sources(components, place),
        "sources_now": place.read_text() if place.exists() else "",
    }


if __name__ == "__main__":
    print(json.dumps(look(**json.loads(sys.argv[1]))))
