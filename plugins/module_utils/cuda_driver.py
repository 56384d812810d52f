# MIT licence
"""Which driver a machine is to have, and what is left to do for it. Pure: it touches nothing."""

from __future__ import annotations

from typing import Any, NamedTuple

from .cuda_host import Host, branch_of, listed, version

# The names of the two sources, as sentences have them.
FROM = {"distribution": "{system}", "nvidia": "NVIDIA's repository"}


class Row(NamedTuple):
    """A driver as the tables have it: one branch of one source, with one kind of modules."""

    source: str
    branch: int
    modules: str
    held: list[str]
    follow: list[str]


class Existing(NamedTuple):
    """The driver that is there. packaged: it came as packages. row: it is this one of the tables."""

    version: str = ""
    packaged: bool = False
    row: Row | None = None


class Driver:
    """The driver for these GPUs: chosen from the tables, kept as it was found, or none (cuda_driver=none)."""

    def __init__(self, host: Host, gpus: list[dict[str, Any]]) -> None:
        self.host, self.gpus = host, gpus
        self.names = listed(dict.fromkeys(gpu["name"] for gpu in gpus))
        limits = [host.limits(gpu) for gpu in gpus]
        self.oldest = max(row["driver_min"] for row in limits)
        self.newest = min(row["driver_max"] for row in limits)
        self.kinds = [kind for kind in ("open", "proprietary") if all(kind in row["modules"] for row in limits)]
        self.rows = {source: self._rows(source) for source in FROM}
        self.existing = self._existing()
        self.row = None if host.asked["driver"] == "none" or self._is_kept() else self._choose()
        if self.row:
            self._complain_of_secure_boot()

    @property
    def in_use(self) -> str:
        """Version of the driver that toolkits meet; its branch, if it is yet to be installed; empty, not known."""
        return str(self.row.branch) if self.row else self.existing.version

    def _rows(self, source: str) -> list[Row]:
        """All that a source has, with the packages' full names."""
        own = self.host.tables["nvidia_driver"] if source == "nvidia" else self.host.platform["driver"]
        kernel = self.host.look["kernel_flavour"] or self.host.platform["kernel"]
        return [
            Row(
                source,
                int(branch),
                kind,
                *([name.format(kernel=kernel, branch=branch) for name in packages[way]] for way in ("held", "follow")),
            )
            for branch, kinds in own["branches"].items()
            for kind, packages in kinds.items()
        ]

    def _existing(self) -> Existing:
        look, packages = self.host.look, self.host.driver_packages()
        built = [module["version"] for module in look["built"].values()]
        there = look["loaded"] or next(iter(built), "")
        for row in (row for rows in self.rows.values() for row in rows):
            own = {name: packages[name] for name in row.held if name in packages}
            if own and not self.host.missing(row.held) and all(branch_of(one) == row.branch for one in own.values()):
                return Existing(max(own.values(), key=version), True, row)
        if packages and there:
            return Existing(there, True)
        return Existing(there) if there or look["installer"] else Existing()

    def _is_kept(self) -> bool:
        """Whether a driver that is none of the tables' stays as it is: one that came with the image, say."""
        asked, existing = self.host.asked, self.existing
        if not existing.version or existing.row:
            return False
        branch, wanted = branch_of(existing.version), asked["driver_branch"]
        whose = f"Driver {existing.version} was not installed by this role"
        if asked["driver"] != "auto" or (wanted and int(wanted) != branch) or asked["driver_modules"] != "auto":
            if not existing.packaged:
                self.host.complaints.append(
                    f"{whose} nor as packages, and another is asked for: remove it (sudo nvidia-uninstall, "
                    "where NVIDIA's "
                    "installer put it) and restart the machine, or leave cuda_driver, cuda_driver_branch and "
                    "cuda_driver_modules as they are by default, to keep it."
                )
            return not existing.packaged
        if not self.oldest <= branch <= self.newest:
            self.host.complaints.append(
                f"{whose}, and does not know {self.names}, which needs {self._range()}: remove it."
            )
        elif not self.host.look["loaded"] and self.host.look["running"] not in self.host.look["built"]:
            self.host.complaints.append(
                f"{whose}, and has no module for the running kernel {self.host.look['running']}: install it "
                "again the way it "
                "came, or remove it."
            )
        else:
            self.host.notes.append(f"{whose}: it is left alone.")
        return True

    def _range(self) -> str:
        return f"branch {self.oldest} " + (f"to {self.newest}" if self.newest < 999 else "or newer")

    def _choose(self) -> Row | None:
        asked, row = self.host.asked, self.existing.row
        source = asked["driver"] if asked["driver"] != "auto" else row.source if row else "distribution"
        fitting = [
            one for one in self.rows[source] if self.oldest <= one.branch <= self.newest and one.modules in self.kinds
        ]
        offered = sorted({one.branch for one in self.rows[source]})
        whose = FROM[source].format(system=self.host.system)
        if not fitting:
            return self._refuse(
                f"{whose} has the driver branches {listed(offered)}, and {self.names} needs {self._range()}: "
                "use another distribution, cuda_driver=nvidia, or an image that brings a driver."
            )
        if source == "nvidia" and self.host.look["machine"] != "x86_64" and not asked["keyring_sha256"]:
            return self._refuse(
                f"The SHA256 of NVIDIA's keyring package for {self.host.look['machine']} is not in the table: "
                "give it as "
                "cuda_keyring_sha256, or use cuda_driver=distribution."
            )
        branches = {one.branch for one in fitting}
        if wanted := int(asked["driver_branch"] or 0):
            if wanted not in branches:
                return self._refuse(self._why_not(wanted, offered, sorted(branches), whose))
        elif row and row.source == source and row.branch in branches:
            # What is held at its version is not exchanged because a table has grown.
            wanted = row.branch
        else:
            preferred = self.host.tables["nvidia_driver"]["preferred"] if source == "nvidia" else 0
            wanted = preferred if preferred in branches else max(branches)
        of_branch = {one.modules: one for one in fitting if one.branch == wanted}
        kind = asked["driver_modules"]
        if kind == "auto":
            same = row and (row.source, row.branch) == (source, wanted)
            return of_branch.get(row.modules) if same and row.modules in of_branch else next(iter(of_branch.values()))
        return of_branch.get(kind) or self._refuse(self._why_no(kind, list(of_branch), wanted, whose))

    def _refuse(self, sentence: str) -> None:
        self.host.complaints.append(sentence)

    def _why_not(self, wanted: int, offered: list[int], fitting: list[int], whose: str) -> str:
        if wanted > self.newest:
            why = f"does not know {self.names}: the last branch that does is {self.newest}"
        elif wanted < self.oldest:
            why = f"does not know {self.names}: the first branch that does is {self.oldest}"
        elif wanted not in offered:
            why = f"is not among those of {whose}"
        else:
            why = f"has no modules for {self.names}"
        return f"cuda_driver_branch={wanted} {why}. Set it to {' or '.join(map(str, fitting))}, or leave it empty."

    def _why_no(self, kind: str, there: list[str], branch: int, whose: str) -> str:
        if kind not in self.kinds:
            first = "run on Turing and newer" if kind == "open" else "do not run on Blackwell and newer"
            architectures = listed(dict.fromkeys(gpu["architecture"] for gpu in self.gpus))
            why = f"these modules {first}, and {self.names} is {architectures}"
        else:
            why = f"branch {branch} of {whose} has them not"
        return f"cuda_driver_modules={kind}: {why}. Set it to {' or '.join(there)}, or leave it at auto."

    @property
    def _own(self) -> dict[str, Any]:
        return self.host.tables["nvidia_driver"] if self.row.source == "nvidia" else self.host.platform["driver"]

    def _complain_of_secure_boot(self) -> None:
        if self.host.look["secure_boot"] and self._own["compiled"]:
            self.host.complaints.append(
                "Secure Boot is on, and refuses a driver that is compiled here: switch it off, or use Ubuntu with "
                "cuda_driver=distribution, whose modules are signed."
            )

    @property
    def wanted(self) -> list[str]:
        return [*self.row.follow, *self.row.held] if self.row else []

    @property
    def _strangers(self) -> list[str]:
        """Installed packages of another driver than the chosen one."""
        row, was = self.row, self.existing.row
        others = [name for name, one in self.host.driver_packages().items() if branch_of(one) != row.branch]
        if was and was != row:
            others += [name for name in was.held if name in self.host.driver_packages() and name not in row.held]
        return sorted(set(others))

    def space(self) -> dict[str, int]:
        return {"driver": self._own["disk"]} if self.row and self.host.missing(self.row.held) else {}

    def work(self) -> dict[str, Any]:
        """What is to be installed and removed: remove before the packages, remove_after once they are there.

        upgrade: packages to bring to their newest version.
        """
        if not self.row:
            kinds = ("pinning", "packages", "remove", "remove_after", "release", "download", "upgrade")
            return {kind: [] for kind in kinds}
        pinning = [self._own["pinning"].format(branch=self.row.branch)] if self.row.source == "nvidia" else []
        missing, strangers = self.host.missing(self.wanted), self._strangers
        again = [] if missing or strangers else self._to_upgrade()
        # The kernel's are held, and another branch's modules bring their kernel themselves.
        again_too = [name for name in self.row.held if name not in self._metas()] if strangers else []
        packages = list(dict.fromkeys([*missing, *again_too]))
        # NVIDIA's have the same names in every branch, so that the old ones have to go first. A distribution's stand
        # beside each other, or take each other's place: what hangs on a driver's library, as a toolkit does, stays.
        sources = (self.existing.row.source if self.existing.row else "", self.row.source)
        beside = sources == ("distribution", "distribution")
        same = strangers if sources == ("nvidia", "nvidia") else []
        return {
            "pinning": self.host.missing(pinning),
            "packages": packages,
            "remove": [] if beside else strangers,
            "remove_after": strangers if beside else [],
            "release": [name for name in strangers if self.host.packages[name]["state"] == "h"],
            "download": sorted({*packages, *same}) if strangers and not beside else [],
            "upgrade": again,
        }

    def _to_upgrade(self) -> list[str]:
        """All of the driver if an upgrade is asked for, or if prebuilt modules are not those of the newest kernel."""
        behind = not self._own["compiled"] and self._unbuilt()
        return (
            sorted({*self.row.held, *self._metas(), *self.host.driver_packages()})
            if self.host.asked["driver_upgrade"] or behind
            else []
        )

    def _metas(self) -> list[str]:
        """Installed packages that follow the kernel, where its modules of the driver are held together with it."""
        kernel = self.host.look["kernel_flavour"]
        names = [f"linux-{kernel}", f"linux-image-{kernel}", f"linux-headers-{kernel}"]
        return [name for name in names if name in self.host.packages] if names[1] in self.row.held else []

    def _unbuilt(self) -> str:
        """The kernel that the machine starts with next, where it has no module of the driver; else empty."""
        newest = (self.host.look["kernels"] or [""])[-1]
        return newest if newest not in self.host.look["built"] else ""

    def settle(self) -> dict[str, Any]:
        """What is to be done once all is installed."""
        look, row = self.host.look, self.row
        if not row or self.host.missing(self.wanted):
            return {
                "hold": [],
                "rebuild": {},
                "restart": self._reasons(),
                "load": self._to_load(),
                "persistence": False,
            }
        ours = {
            *row.held,
            *self._metas(),
            *(name for name, one in self.host.driver_packages().items() if branch_of(one) == row.branch),
        }
        held = [name for name in sorted(ours) if self.host.packages.get(name, {}).get("state") == "i"]
        unbuilt = self._unbuilt() if self._own["compiled"] else ""
        headers = self.host.missing([f"linux-headers-{unbuilt}"])
        return {
            "hold": held,
            "rebuild": {"kernel": unbuilt, "packages": headers} if unbuilt else {},
            "restart": self._reasons(),
            "load": self._to_load(),
            "persistence": look["persistence"] == "disabled",
        }

    def _reasons(self) -> list[str]:
        """Why the machine has to be restarted; nothing without a GPU, or where the driver is left to others."""
        look = self.host.look
        here = look["built"].get(look["running"], {}).get("version", "")
        if not look["gpus"] or self.host.asked["driver"] == "none":
            return []
        reasons = []
        if not here and look["built"] and not look["loaded"]:
            reasons.append(f"the driver is made for the kernel {listed(look['built'])}, and {look['running']} runs")
        if look["nouveau"] and not look["loaded"]:
            reasons.append("the kernel has given the GPU to nouveau")
        # Another branch may have come with a newer kernel of its own, and have no module for this one.
        installed = here or look["built"].get((look["kernels"] or [""])[-1], {}).get("version", "")
        if look["loaded"] and installed and look["loaded"] != installed:
            reasons.append(f"driver {installed} is installed, and {look['loaded']} is loaded")
        return reasons

    def _to_load(self) -> str:
        """The module that is to be loaded, empty if none."""
        look = self.host.look
        module = look["built"].get(look["running"], {}).get("module", "")
        ours = look["gpus"] and self.host.asked["driver"] != "none"
        return module if ours and not look["loaded"] and not self._reasons() else ""
