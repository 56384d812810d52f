# MIT licence
"""Look at a machine's GPUs, driver, toolkits and package sources, in one visit. Changes nothing."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

NVIDIA, DISPLAY_CLASSES = "0x10de", ("0x0300", "0x0302")
MODULES = "nvidia", "nvidia-current", "nvidia-current-open", "nvidia-tesla-470"
TOLD = r"linux-(?:image|headers|modules-nvidia|aws|generic)\S*|\S*nvidia\S*|\S*cuda\S*|\S+-\d+-\d+|firmware-nvidia\S*"
OWN_ORIGINS = "Debian", "Ubuntu"
SOURCE_FIELDS = "URIs", "Suites", "Components", "Signed-By"
LOCAL, LINK = Path("/usr/local"), Path("/usr/local/cuda")
ALTERNATIVE = Path("/etc/alternatives/cuda")
# The distribution's toolkit is spread over /usr; this folder stands for it.
DISTRIBUTION, DISTRIBUTION_NVCC = Path("/usr/lib/cuda"), Path("/usr/bin/nvcc")


def output(*command: str) -> str:
    """Standard output of a read-only command, empty if it cannot be run."""
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    except OSError:
        return ""


def contents(path: Path) -> str:
    """A file's text, empty if there is none."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def displays(bus: Path = Path("/sys/bus/pci/devices")) -> list[tuple[str, str]]:
    """Vendor and device id of what displays or computes, in the order of the bus."""
    found = []
    for device in sorted(bus.glob("*")):
        vendor, kind, model = (contents(device / name).strip() for name in ("vendor", "class", "device"))
        if kind.startswith(DISPLAY_CLASSES):
            found.append((vendor, model.replace("0x", "")))
    return found


def ec2_family(product: Path = Path("/sys/devices/virtual/dmi/id")) -> str:
    """g4dn where EC2 says that this is a g4dn.xlarge; empty elsewhere."""
    named = contents(product / "product_name").strip()
    return named.partition(".")[0] if "Amazon" in contents(product / "sys_vendor") and "." in named else ""


def loaded(told_in: Path = Path("/proc/driver/nvidia/version")) -> str:
    """Version of the driver that the kernel has loaded, empty if none."""
    told = contents(told_in)
    version = re.search(r"Kernel Module.*?\s(\d+[.]\d+(?:[.]\d+)?)\s", told)
    return version[1] if version else "of an unknown version" if told else ""


def built() -> dict[str, dict[str, str]]:
    """For each kernel that has the driver's module: its name and version."""
    found = {}
    for kernel in (path.name for path in Path("/lib/modules").glob("*")):
        for module in MODULES:
            if version := output("modinfo", "-k", kernel, "-F", "version", module).strip():
                found[kernel] = {"module": module, "version": version}
    return found


def by_version(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]


def kernels(boot: Path = Path("/boot")) -> list[str]:
    """Kernels that the machine can start with, the newest last."""
    return sorted((path.name[len("vmlinuz-") :] for path in boot.glob("vmlinuz-*")), key=by_version)


def packages(names: list[str]) -> dict[str, dict[str, str]]:
    """Installed packages of the kernel, of NVIDIA and of these names: version, and whether it is held (h or i)."""
    exactly = "|".join(map(re.escape, names)) or "-"
    listed = output("dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev} ${Version}\n")
    rows = re.findall(rf"^((?:{TOLD}|{exactly})) ([ih])i +(\S+)$", listed, re.M)
    return {name: {"version": version, "state": state} for name, state, version in rows}


def kernel_flavour(installed: list[str]) -> str:
    """Flavour of the kernel package that follows updates (linux-image-FLAVOUR), empty if there is none."""
    flavours = [name[len("linux-image-") :] for name in installed if re.match(r"linux-image-(?!\d|unsigned-)", name)]
    running = [flavour for flavour in flavours if os.uname().release.endswith(flavour)]
    return (running or flavours or [""])[0]


def interrupted(journal: Path = Path("/var/lib/dpkg/updates")) -> str:
    """What dpkg has begun and not finished; while there is a journal of it, apt refuses to work."""
    return output("dpkg", "--audit").strip() or " ".join(sorted(path.name for path in journal.glob("[0-9]*")))


def secure_boot() -> bool:
    """Whether the firmware lets only signed modules in."""
    return any(path.read_bytes()[-1:] == b"\1" for path in Path("/sys/firmware/efi/efivars").glob("SecureBoot-*"))


def release(nvcc: Path) -> str:
    """The toolkit's version that nvcc tells, empty if it does not run."""
    told = re.search(r"release (\d+[.]\d+)", output(str(nvcc), "--version")) if nvcc.is_file() else None
    return told[1] if told else ""


def unfinished() -> list[str]:
    """Versions of the runfiles whose installation was begun and has not ended."""
    return [path.name[len(".cuda-") : -len(".unfinished")] for path in sorted(LOCAL.glob(".cuda-*.unfinished"))]


def toolkits() -> dict[str, str]:
    """Path -> version of the toolkits that are there and whole."""
    half = {LOCAL / f"cuda-{number}" for number in unfinished()}
    nvccs = {path.parent.parent: path for path in LOCAL.glob("cuda-*/bin/nvcc")} | {DISTRIBUTION: DISTRIBUTION_NVCC}
    found = {str(path): release(nvcc) for path, nvcc in nvccs.items() if path not in half}
    return {path: number for path, number in found.items() if number}


def link() -> dict[str, object]:
    """What /usr/local/cuda is: a folder of its own, where it leads, and which toolkits `update-alternatives` knows."""
    known = re.findall(r"^Alternative: (.+)$", output("update-alternatives", "--query", "cuda"), re.M)
    return {
        "folder": LINK.exists() and not LINK.is_symlink(),
        "dangling": LINK.is_symlink() and not LINK.exists(),
        "leads_to": os.path.realpath(LINK) if LINK.exists() else "",
        "managed": LINK.is_symlink() and LINK.readlink() == ALTERNATIVE,
        "known": known,
    }


def cached() -> bool:
    """Whether the linker's cache has the runtime of /usr/local/cuda, or, where that leads to none, nothing of one."""
    names = [path.name for path in (LINK / "lib64").glob("libcudart.so.*")]
    known = output("/sbin/ldconfig", "-p")
    return any(f"\t{name} (" in known for name in names) if names else f" => {LINK}/lib64/" not in known


def free(path: str) -> int:
    """MiB free on the file system of a path."""
    disk = os.statvfs(path)
    return disk.f_bavail * disk.f_frsize >> 20


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
            for component in other.get("Components", "").split()
        }
        missing = [component for component in wanted if component not in there]
        if suites and missing and "main" in entry.get("Components", "").split():
            fields = {**entry, "Suites": " ".join(suites), "Components": " ".join(missing)}
            lines = [f"{name}: {fields[name]}" for name in SOURCE_FIELDS if name in fields]
            text += "\n".join(["Types: deb", *lines, "", ""])
    return text


def look(components: list[str], ours: str, names: list[str], files: list[str]) -> dict[str, object]:
    """All of it.

    components: of the archive, wanted. ours: the role's own sources file. names: packages to tell of besides those of
    the kernel and of NVIDIA. files: paths whose text is told.
    """
    found = packages(names)
    seen = displays()
    return {
        "machine": os.uname().machine,
        "gpus": [model for vendor, model in seen if vendor == NVIDIA],
        "others": [f"{vendor[2:]}:{model}" for vendor, model in seen if vendor != NVIDIA],
        "family": ec2_family(),
        "loaded": loaded(),
        "nouveau": Path("/sys/module/nouveau").exists(),
        "installer": Path("/usr/bin/nvidia-uninstall").exists(),
        "running": os.uname().release,
        "kernels": kernels(),
        "built": built(),
        "packages": found,
        "kernel_flavour": kernel_flavour(list(found)),
        "secure_boot": secure_boot(),
        "interrupted": interrupted(),
        "persistence": output("systemctl", "is-enabled", "nvidia-persistenced").strip(),
        "toolkits": toolkits(),
        "unfinished": unfinished(),
        "link": link(),
        "cached": cached(),
        "free": free("/usr"),
        "sources": sources(components, Path(ours)),
        "files": {path: contents(Path(path)) for path in files},
        "folders": [path for path in sorted({str(Path(file).parent) for file in files}) if Path(path).is_dir()],
    }
