# MIT licence
"""Which CUDA toolkits a machine is to have, and what is left to do for them. Pure: it touches nothing."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from .cuda_host import Host, branch_of, listed, version

LIBRARIES, PROFILE = "/etc/ld.so.conf.d/cuda.conf", "/etc/profile.d/cuda.sh"
LIBRARIES_TEXT = "# Managed by Ansible.\n/usr/local/cuda/lib64\n"
PROFILE_TEXT = """# Managed by Ansible.
case ":$PATH:" in
    *:/usr/local/cuda/bin:*) ;;
    *) PATH=/usr/local/cuda/bin:$PATH ;;
esac
"""
DEFAULTS = {"version": "", "source": "auto", "state": "present", "url": "", "sha256": "", "patches": []}
# NVIDIA's packages of a toolkit end in its version; other packages may, too.
_OF_A_TOOLKIT = re.compile(r"(cuda-|lib(cu|npp|nv)|gds-tools-|nsight-)")


class Toolkit(NamedTuple):
    """One that is wanted, or is to go."""

    version: str
    source: str
    path: str
    row: dict[str, Any]
    wanted: bool


class Toolkits:
    """The toolkits asked for, in their order. driver: version or branch of the driver that they will meet."""

    def __init__(self, host: Host, gpus: list[dict[str, Any]], driver: str) -> None:
        self.host, self.driver = host, driver
        self.limits = {gpu["name"]: host.limits(gpu) for gpu in gpus}
        self.all = [one for one in map(self._resolve, host.asked["toolkits"]) if one]
        self.wanted = [one for one in self.all if one.wanted]
        self._complain_of_names()
        for one in self.wanted:
            self._complain(one)

    def _refuse(self, sentence: str) -> None:
        self.host.complaints.append(sentence)

    def _resolve(self, item: dict[str, Any]) -> Toolkit | None:
        """An item of cuda_toolkits with what it leaves to the role."""
        item = DEFAULTS | item
        own, wanted = self.host.platform["toolkit"], item["state"] == "present"
        # YAML takes 11.8 for a number.
        number = str(item["version"]) or (own["version"] if item["source"] == "distribution" else "")
        if not re.fullmatch(r"\d+\.\d+", number):
            return self._refuse(f"cuda_toolkits: version={number or 'nothing'} is none such as 11.8.")
        row = dict(self.host.tables["toolkits"].get(number, {}))
        path = f"/usr/local/cuda-{number}"
        if item["url"] or item["sha256"]:
            if not (item["url"] and re.fullmatch("[0-9a-f]{64}", item["sha256"])):
                return self._refuse(
                    f"cuda_toolkits: CUDA {number} has only one of url and sha256 (64 digits): give both."
                )
            row |= {"url": item["url"], "sha256": item["sha256"], "patches": item["patches"]}
        source = item["source"] if item["source"] != "auto" else self._source(number, row, wanted)
        if source == "distribution":
            if number != own["version"]:
                return self._refuse(
                    f"{self.host.system}'s own CUDA toolkit is {own['version']}, not {number}: {self._others(number)}."
                )
            row |= {"driver": own["driver"], "driver_floor": own["driver"]}
            return Toolkit(number, source, own["path"], row, wanted)
        if not source or (source == "runfile" and wanted and "url" not in row):
            known = listed(self.host.tables["toolkits"])
            return self._refuse(
                f"CUDA {number} is in no table: there are {known}, and {own['version']} of {self.host.system}. "
                "For another give "
                "url and sha256 of its runfile."
            )
        if source == "nvidia" and wanted and self.host.platform["nvidia"] not in row.get("repositories", []):
            return self._refuse(
                f"NVIDIA's repository for {self.host.platform['nvidia']} has no CUDA {number}: {self._others(number)}."
            )
        return Toolkit(number, source, path, row, wanted)

    def _source(self, number: str, row: dict[str, Any], wanted: bool) -> str:
        """Where a toolkit comes from if nobody says: packages before runfiles; what is there stays what it is."""
        if f"/usr/local/cuda-{number}" in self.host.look["toolkits"] or not wanted:
            return "nvidia" if self._packages_of(number) else "runfile"
        if number == self.host.platform["toolkit"]["version"]:
            return "distribution"
        if self.host.platform["nvidia"] in row.get("repositories", []):
            return "nvidia"
        return "runfile" if "url" in row else ""

    def _others(self, number: str) -> str:
        """A hint at the sources that do have it."""
        row = self.host.tables["toolkits"].get(number, {})
        has = ["nvidia"] if self.host.platform["nvidia"] in row.get("repositories", []) else []
        has += ["runfile"] if row else []
        return f"set source to {' or '.join(has)}" if has else "give url and sha256 of its runfile"

    def _packages_of(self, number: str) -> list[str]:
        """Installed packages of NVIDIA's that are this toolkit."""
        suffix = f"-{number.replace('.', '-')}"
        return [name for name in self.host.packages if name.endswith(suffix) and _OF_A_TOOLKIT.match(name)]

    def _complain_of_names(self) -> None:
        numbers = [one.version for one in self.all]
        for number in sorted({one for one in numbers if numbers.count(one) > 1}):
            self._refuse(f"cuda_toolkits names CUDA {number} more than once: keep one of them.")
        chosen, there = self.host.asked["default_toolkit"], [one.version for one in self.wanted]
        if chosen and chosen not in there:
            self._refuse(
                f"cuda_default_toolkit={chosen} is not in cuda_toolkits ({listed(there) or 'which is empty'}): "
                "add it there, or "
                "leave it empty."
            )
        if self.wanted and self.host.look["link"]["folder"]:
            self._refuse(
                "/usr/local/cuda is a folder, where a link to the chosen toolkit belongs: move it, to "
                "/usr/local/cuda-VERSION say, "
                "and run this again."
            )

    def _complain(self, one: Toolkit) -> None:
        number, row = version(one.version), one.row
        for name, limits in self.limits.items():
            if number < version(limits["cuda_min"]):
                self._refuse(
                    f"CUDA {one.version} does not know {name} (compute capability {limits['compute']}): the "
                    "first toolkit that "
                    f"does is {limits['cuda_min']}."
                )
            if limits["cuda_max"] and number > version(limits["cuda_max"]):
                self._refuse(
                    f"CUDA {one.version} has dropped {name} (compute capability {limits['compute']}): the last "
                    "toolkit that makes "
                    f"code for it is {limits['cuda_max']}."
                )
        if one.source == "runfile" and self.host.look["machine"] != "x86_64" and "developer" in row.get("url", ""):
            self._refuse(
                f"The runfile of CUDA {one.version} is for x86_64, and this is {self.host.look['machine']}: "
                "give url and sha256 of "
                "another."
            )
        self._compare_with_driver(one)
        newest, here = row.get("gcc", 99), self.host.platform["gcc"]
        if newest < here and one.source != "distribution":
            self.host.notes.append(
                f"CUDA {one.version} compiles with GCC {newest} at most, and {self.host.system} has {here}: "
                "give nvcc an older one "
                "(-ccbin) to compile."
            )

    def _compare_with_driver(self, one: Toolkit) -> None:
        if not self.driver or "driver" not in one.row:
            return
        # Of a driver that is not installed yet only the branch is known.
        digits = 1 if not branch_of(self.driver) else None
        has, full, floor = (
            version(text)[:digits] for text in (self.driver, one.row["driver"], one.row["driver_floor"])
        )
        if has < floor:
            self._refuse(
                f"CUDA {one.version} needs driver {one.row['driver_floor']} or newer, and this machine's is "
                f"{self.driver}: choose "
                "an older toolkit, or a newer cuda_driver_branch."
            )
        elif has < full:
            self.host.notes.append(
                f"CUDA {one.version} was made with driver {one.row['driver']}, and this machine's is "
                f"{self.driver}: what it compiles "
                "for this GPU runs, PTX does not."
            )

    @property
    def from_distribution(self) -> bool:
        return bool(self._missing("distribution"))

    @property
    def from_nvidia(self) -> bool:
        return bool(self._missing("nvidia"))

    def _missing(self, source: str) -> list[Toolkit]:
        there = self.host.look["toolkits"]
        return [one for one in self.wanted if one.source == source and one.path not in there]

    def packages(self, again: bool) -> list[str]:
        """What is missing. again: the distribution's even if it is there, as it may go with the driver it hangs on."""
        own = self.host.platform["toolkit"]["packages"]
        of_distribution = any(one.source == "distribution" for one in self.wanted)
        named = [f"cuda-toolkit-{one.version.replace('.', '-')}" for one in self._missing("nvidia")]
        return [*(own if of_distribution and again else self.host.missing(own) if of_distribution else []), *named]

    def space(self) -> dict[str, int]:
        """MiB, by what takes it."""
        own = self.host.platform["toolkit"]
        parts = {"CUDA of the distribution": own["disk"]} if self.from_distribution else {}
        for one in self._missing("nvidia") + self._missing("runfile"):
            parts[f"CUDA {one.version}"] = sum(one.row.get("disk", []))
        return parts

    def work(self) -> dict[str, Any]:
        """What is to be installed and removed besides `packages`. runfiles: options of the module cuda_runfile."""
        mirror = self.host.asked["runfile_url"].rstrip("/")

        def place(url: str) -> str:
            return f"{mirror}/{url.rpartition('/')[2]}" if mirror and "developer" in url else url

        gone = [one for one in self.all if not one.wanted]
        packages = [name for one in gone if one.source == "nvidia" for name in self._packages_of(one.version)]
        packages += [
            name
            for one in gone
            if one.source == "distribution"
            for name in self.host.platform["toolkit"]["packages"]
            if name in self.host.packages
        ]
        return {
            "runfiles": [
                {
                    "version": one.version,
                    "url": place(one.row["url"]),
                    "sha256": one.row["sha256"],
                    "patches": [{**patch, "url": place(patch["url"])} for patch in one.row.get("patches", [])],
                    "disk_mb": dict(zip(("cache", "tmpdir", "path"), one.row.get("disk", [0, 0, 0]), strict=True)),
                }
                for one in self._missing("runfile")
            ],
            "toolkits_gone": packages,
            "runfiles_gone": [
                one.version
                for one in gone
                if one.source == "runfile"
                and (one.path in self.host.look["toolkits"] or one.version in self.host.look["unfinished"])
            ],
        }

    def files(self) -> dict[str, str]:
        """The files that lead to /usr/local/cuda; empty ones, where the last toolkit goes."""
        if not self.all:
            return {}
        return {LIBRARIES: LIBRARIES_TEXT, PROFILE: PROFILE_TEXT} if self.wanted else {LIBRARIES: "", PROFILE: ""}

    def settle(self) -> dict[str, Any]:
        """How /usr/local/cuda is to lead to the chosen one: by update-alternatives, as with NVIDIA's packages."""
        link, there = self.host.look["link"], self.host.look["toolkits"]
        paths = {one.version: one.path for one in self.wanted if one.path in there}
        chosen = paths.get(self.host.asked["default_toolkit"] or next(iter(paths), ""), "")
        right = link["managed"] and link["leads_to"] == chosen
        forgotten = [path for path in link["known"] if path not in there] if self.all else []
        ends = bool(self.all) and not self.wanted and link["dangling"]
        # update-alternatives knows none whose folder is gone; with the last one that it forgets the link goes, too.
        end = "--auto" if len(link["known"]) > len(forgotten) else "" if forgotten else "--remove-all"
        return {
            "link_forget": forgotten,
            "link_add": [path for path in paths.values() if path not in link["known"]],
            "link_to": chosen if chosen and not right else "",
            "link_end": end if ends and link["managed"] else "",
            "link_gone": ends and not link["managed"],
            "cache": bool(self.wanted or (self.all and not link["leads_to"])) and not self.host.look["cached"],
        }
