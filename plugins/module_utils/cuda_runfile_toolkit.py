# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""A CUDA toolkit of one release in a folder: whether it is there, and whose it is."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from .failed import Failed
from .folders import remove
from .lock import Lock

# One lock for the host and not one for each toolkit: all of NVIDIA's installers write and read the same log files.
LOCK = Path("/run/cuda-runfile.lock")
LD_CONF = Path("/etc/ld.so.conf.d")
LDCONFIG = ["ldconfig"]
NOTE = ".cuda_runfile.json"


class Toolkit:
    """The folder, and the two files by which this module knows its own: a marker beside it, and a note in it."""

    def __init__(self, version: str, path: Path) -> None:
        self.version, self.path = version, path
        self.marker = path.with_name(f".{path.name}.unfinished")
        self.note = path / NOTE
        self.conf = LD_CONF / f"cuda-{version.replace('.', '-')}.conf"
        self.lock = Lock(LOCK, path)

    def release(self) -> str:
        """What bin/nvcc says it is, such as 11.8; nothing where it is missing or does not work."""
        command = [str(self.path / "bin/nvcc"), "--version"]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, env={**os.environ, "LC_ALL": "C"}
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        said = re.search(rb"release (\d+\.\d+)", done.stdout) if not done.returncode else None
        return said[1].decode() if said else ""

    def noted(self) -> dict:
        """What the note says; nothing where there is none of ours for this release."""
        with contextlib.suppress(OSError, ValueError):
            note = json.loads(self.note.read_text())
            if note["version"] == self.version:
                return note
        return {}

    def state(self, sums: list[str] | None = None) -> str:
        """absent, unfinished, damaged (ours, nvcc does not work), foreign, the release, or the release and a remark.

        A remark says that ours was made of other files than those with the SHA-256 `sums`.
        """
        if self.marker.exists():
            return "unfinished"
        if not os.path.lexists(self.path) or (self.path.is_dir() and not any(self.path.iterdir())):
            return "absent"
        note, is_right = self.noted(), self.release() == self.version
        if note and not is_right:
            return "damaged"
        if note and sums is not None and note.get("sha256") != sums:
            return f"{self.version} (of other runfiles)"
        return self.version if is_right else "foreign"

    def refuse(self) -> None:
        """Raise Failed: something else is in this place."""
        release = self.release()
        fault = f"its bin/nvcc is of release {release}" if release else "it has no bin/nvcc that works"
        raise Failed(
            f"{self.path} exists and is no CUDA {self.version} toolkit: "
            f"{fault if self.path.is_dir() else 'it is not a folder'}. Nothing was touched. "
            "Move it away or name another path."
        )

    def begin(self) -> None:
        """Mark the folder as ours and unfinished, on the disk, before anything is in it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.marker.open("w") as file:
            file.write(f"CUDA {self.version}\n")
            os.fsync(file.fileno())

    def clear(self) -> None:
        """Remove the folder, whole or not, and then its marker."""
        remove(self.path)
        self.marker.unlink(missing_ok=True)

    def finish(self, sums: list[str]) -> None:
        """Note what the folder was made of, and take the marker away."""
        self.note.write_text(json.dumps({"version": self.version, "sha256": sums}) + "\n")
        self.note.chmod(0o644)
        # The marker must not be gone from a disk that has not got all of the toolkit yet.
        os.sync()
        self.marker.unlink()

    def uninstall(self) -> None:
        """Remove the toolkit and what its installer told the linker. Raises Failed, see ensure_removable."""
        self.ensure_removable()
        self.begin()
        folders = [Path(line) for line in self.conf.read_text().split()] if self.conf.is_file() else []
        if folders and all(self.path in (folder, *folder.parents) for folder in folders):
            self.conf.unlink()
            subprocess.run(LDCONFIG, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        self.clear()

    def ensure_removable(self) -> None:
        """Raise Failed where the folder is neither ours nor surely a toolkit, or belongs to a package."""
        if self.marker.exists() or self.noted():
            return
        if self.path.is_symlink():
            raise Failed(f"{self.path} is a link to {self.path.readlink()}. Nothing was removed; name the folder.")
        # A folder such as /usr may hold an nvcc too.
        if not any((self.path / name).is_file() for name in ("version.txt", "version.json")):
            self.refuse()
        dpkg = shutil.which("dpkg-query")
        command = [dpkg, "-S", str(self.path / "bin/nvcc")]
        owned = subprocess.run(command, capture_output=True, text=True, check=False) if dpkg else None
        if owned and not owned.returncode:
            package = owned.stdout.split(":")[0]
            raise Failed(f"{self.path} belongs to the package {package}. Nothing was removed; remove it with apt.")
