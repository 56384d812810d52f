# MIT licence
"""All that the cuda role has left to do on a machine, from what the machine shows and what was asked. Pure."""

from __future__ import annotations

from typing import Any

from .cuda_driver import Driver
from .cuda_host import Host, listed
from .cuda_toolkits import LIBRARIES, PROFILE, Toolkits

SOURCES = "/etc/apt/sources.list.d/cuda.sources"
NVIDIA_SOURCES = "/etc/apt/sources.list.d/cuda-nvidia.sources"
PREFERENCES = "/etc/apt/preferences.d/cuda"
UPGRADES = "/etc/apt/apt.conf.d/52cuda"
MODULES = "/etc/modprobe.d/cuda.conf"
# Named for the key and for the package it came in, as NVIDIA may prolong the key: another package is fetched anew.
KEYRING = "/usr/share/keyrings/cuda-{fingerprint}-{sha256:.8}.gpg"
HEADER = "Managed by Ansible."

# The driver of NVIDIA's repository is newer than the distribution's, under the same names: apt may take it only where
# it was asked for. There this file has to go, or it would come before the one that pins the branch.
PREFERENCES_TEXT = """# {header}
Package: /nvidia/ /^libcuda1$/ /^libnvcuvid1$/ /^libnvoptix1$/ /^libxnvctrl/ /^cuda-drivers/
Pin: release l=NVIDIA CUDA
Pin-Priority: -1
"""
UPGRADES_TEXT = """// {header}
// An upgrade exchanges the libraries under a driver that is loaded, which then answers no more.
Unattended-Upgrade::Package-Blacklist {{
    "^nvidia-";
    "^libnvidia-";
    "^libcuda1$";
    "^cuda-drivers";
    "^linux-modules-nvidia-";
}};
"""
MODULES_TEXT = """# {header}
# nouveau would take the GPU before NVIDIA's driver can.
blacklist nouveau
options nouveau modeset=0
"""
# What makes the first part of the role's work, and what wants it in place.
WORK = (
    "files",
    "interrupted",
    "keyring",
    "build_tools",
    "pinning",
    "packages",
    "remove",
    "remove_after",
    "upgrade",
    "runfiles",
    "toolkits_gone",
    "runfiles_gone",
)
SETTLE = (
    "hold",
    "rebuild",
    "restart",
    "load",
    "persistence",
    "link_forget",
    "link_add",
    "link_to",
    "link_end",
    "link_gone",
    "cache",
)


def find_gpus(host: Host) -> list[dict[str, Any]]:
    """The machine's GPUs, or the one it is said to have. Complains of those that the table does not know or allow."""
    asked, gpus = host.asked["gpu"], host.tables["gpus"]
    if asked == "none":
        host.notes.append("cuda_gpu=none: no driver is installed.")
        return []
    if asked != "auto":
        return [gpu for gpu in gpus if gpu["name"] == asked]
    for row in host.tables["useless"]:
        if row.get("pci") in host.look["others"] or row.get("family", "-") == host.look["family"]:
            host.complaints.append(
                f"This machine's GPU cannot be used: {row['why']}. Use another type, such as g4dn.xlarge, or set "
                "cuda_gpu to none to go without."
            )
            return []
    known = {gpu["pci"]: gpu for gpu in gpus}
    if strange := sorted(set(host.look["gpus"]) - set(known)):
        host.complaints.append(
            f"The NVIDIA device {listed(strange)} (PCI id 10de:) is not in this role's table: set cuda_gpu to "
            "the GPU of "
            f"the same architecture among {listed(gpu['name'] for gpu in gpus)}, or to none to go without."
        )
        return []
    if not host.look["gpus"]:
        host.notes.append("No NVIDIA GPU on the PCI bus: no driver is installed.")
    return [known[pci] for pci in host.look["gpus"]]


def complain_of_code(host: Host, gpus: list[dict[str, Any]]) -> None:
    """Refuse a GPU that what is to run on it (MXNet, say) has no code for."""
    wanted, machine = host.asked["code_for"], host.look["machine"]
    for name, row in {gpu["name"]: host.limits(gpu) for gpu in gpus}.items():
        if wanted and machine != "x86_64":
            host.complaints.append(
                f"{name} is in an {machine} machine, for which there is no MXNet with GPU support: use "
                "g4dn.xlarge, whose T4 is "
                "the same generation, or set cuda_gpu to none to run on the CPU."
            )
        elif wanted and row["compute"] not in map(str, wanted):
            host.complaints.append(
                f"MXNet has code for the compute capabilities {listed(wanted)}, and none for {name} "
                f"({row['compute']}): it would stop with 'no kernel image is available'. Use a T4, A10G, L4, "
                "L40S or A100, or "
                "set cuda_gpu to none to run on the CPU."
            )


def keyring(host: Host) -> dict[str, str]:
    """Where NVIDIA's key comes from, how it is known, and where it goes."""
    return {
        "url": f"{repository(host)}cuda-keyring_1.1-1_all.deb",
        "sha256": package_sha256(host.asked, host.platform),
        "fingerprint": host.asked["key_fingerprint"],
        "path": keyring_path(host.asked, host.platform),
    }


def package_sha256(asked: dict[str, Any], platform: dict[str, Any]) -> str:
    return asked["keyring_sha256"] or platform["keyring_sha256"]


def keyring_path(asked: dict[str, Any], platform: dict[str, Any]) -> str:
    return KEYRING.format(fingerprint=asked["key_fingerprint"], sha256=package_sha256(asked, platform))


def repository(host: Host) -> str:
    processor = "sbsa" if host.look["machine"] == "aarch64" else host.look["machine"]
    return f"{host.asked['repository_url'].rstrip('/')}/{host.platform['nvidia']}/{processor}/"


def nvidia_files(host: Host, of_driver: bool) -> dict[str, str]:
    """NVIDIA's repository as a source of apt; and whether apt may take a driver from it."""
    key = keyring_path(host.asked, host.platform)
    return {
        NVIDIA_SOURCES: f"# {HEADER}\nTypes: deb\nURIs: {repository(host)}\nSuites: /\nSigned-By: {key}\n",
        PREFERENCES: "" if of_driver else PREFERENCES_TEXT.format(header=HEADER),
    }


def wanted_files(host: Host, driver: Driver, toolkits: Toolkits) -> dict[str, str]:
    """Path -> text of the role's own files, as they should be; an empty text is no file."""
    files = toolkits.files()
    of_driver = driver.row is not None and driver.row.source == "nvidia"
    if toolkits.from_distribution or (driver.row and not of_driver):
        files[SOURCES] = host.look["sources"]
    if of_driver or toolkits.from_nvidia or host.look["files"][NVIDIA_SOURCES]:
        files |= nvidia_files(host, of_driver)
    if driver.row:
        files |= {UPGRADES: UPGRADES_TEXT.format(header=HEADER), MODULES: MODULES_TEXT.format(header=HEADER)}
    return files


def complain_of_space(host: Host, parts: dict[str, int]) -> None:
    """Refuse where the disk has less than what is to be installed takes; MiB."""
    needed = sum(parts.values())
    if needed > host.look["free"]:
        words = ", ".join(f"{name} {size}" for name, size in parts.items())
        host.complaints.append(
            f"{needed} MB of disk are needed ({words}) and {host.look['free']} MB are free under /usr: make "
            "room or enlarge the "
            "disk, and run this again."
        )


def plan(asked: dict[str, Any], tables: dict[str, Any], look: dict[str, Any], system: str) -> dict[str, Any]:
    """What is left to do, by what does it. Where `complaints` has sentences, nothing may be done.

    work: there is something to install, write or remove. settle: there is something to do that wants all that in place.
    """
    host = Host(asked, tables, look, system)
    gpus = find_gpus(host)
    result = {"gpus": gpus, "complaints": host.complaints, "notes": host.notes, "work": False, "settle": False}
    if not gpus:
        return result
    if system not in tables["platforms"]:
        host.complaints.append(
            f"{system} is not supported: drivers are known for {listed(tables['platforms'])}. Use one of these; "
            "cuda_gpu=none "
            "goes without a GPU."
        )
        return result
    complain_of_code(host, gpus)
    driver = Driver(host, gpus)
    toolkits = Toolkits(host, gpus, driver.in_use)
    complain_of_space(host, driver.space() | toolkits.space())
    files = wanted_files(host, driver, toolkits)
    of_driver = driver.work()
    changed = {path: text for path, text in files.items() if text != look["files"][path]}
    todo = {
        "folders": sorted({path.rpartition("/")[0] for path in changed} - set(look["folders"])),
        "files": [{"path": path, "text": text} for path, text in changed.items()],
        "interrupted": bool(look["interrupted"]),
        "keyring": keyring(host) if NVIDIA_SOURCES in files and not look["files"][keyring(host)["path"]] else {},
        "build_tools": host.missing(host.platform["build_tools"]) if asked["build_tools"] else [],
        **of_driver,
        **toolkits.work(),
        "packages": [*of_driver["packages"], *toolkits.packages(again=bool(of_driver["remove"]))],
        **driver.settle(),
        **toolkits.settle(),
    }
    if host.complaints:
        return result
    todo["missing"] = [*host.missing(driver.wanted), *toolkits.packages(again=False)]
    work, settle = (any(todo[name] for name in names) for names in (WORK, SETTLE))
    return {**result, **todo, "driver": driver.in_use, "work": work, "settle": settle}


def files_of(asked: dict[str, Any], platform: dict[str, Any]) -> list[str]:
    """The paths that `plan` wants to know of in look["files"]; none where the distribution is not in the table."""
    if not platform:
        return []
    key = keyring_path(asked, platform)
    return [SOURCES, NVIDIA_SOURCES, PREFERENCES, UPGRADES, MODULES, LIBRARIES, PROFILE, key]
