"""Look at a Miniconda installation, or install it; prints what is there afterwards as JSON.

installation.py look|install QUESTION, where QUESTION is JSON: prefix, condarc, profile (what is wanted),
and to install: installer, version.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

# Written first and last of an installation, so that what is between them is known to be ours and unfinished.
BEGUN = ".miniconda_begun"
VERSION = ".miniconda_version"


def state(prefix: Path) -> str:
    """absent, foreign (somebody's), begun (by us, never complete), damaged (once complete), or complete."""
    if not os.path.lexists(prefix) or (prefix.is_dir() and not any(prefix.iterdir())):
        return "absent"
    if not (prefix / VERSION).is_file():
        return "begun" if (prefix / BEGUN).is_file() else "foreign"
    whole = (prefix / "bin/conda").is_file() and (prefix / "conda-meta/history").is_file()
    return "complete" if whole and not (prefix / BEGUN).exists() else "damaged"


def report(question: dict[str, str]) -> dict[str, object]:
    """What of the question is so already. Free space is in MiB, of the nearest folder that exists."""
    prefix, profile = Path(question["prefix"]), Path(question["profile"])
    condarc, source = prefix / ".condarc", prefix / "etc/profile.d/conda.sh"
    folder = next(parent for parent in prefix.parents if parent.is_dir())
    found = state(prefix)
    return {
        "machine": platform.machine(),
        "free": shutil.disk_usage(folder).free >> 20,
        "state": found,
        "version": (prefix / VERSION).read_text().strip() if found in ("complete", "damaged") else "",
        "condarc": condarc.is_file() and condarc.read_text().strip() == question["condarc"].strip(),
        "profile": "linked" if _leads_to(profile, source) else "missing" if source.is_file() else "unsupported",
    }


def _leads_to(link: Path, target: Path) -> bool:
    return link.is_symlink() and link.readlink() == target and target.is_file()


def install(prefix: Path, installer: Path, version: str) -> None:
    """Install, update or repair. Another run on the same prefix is waited for. Raises SystemExit with a sentence."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(prefix.parent, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    found = state(prefix)
    if found == "complete" and (prefix / VERSION).read_text().strip() == version:
        return
    if found == "foreign":
        raise SystemExit(f"{prefix} has become somebody else's")
    if found == "begun":
        shutil.rmtree(prefix)
    prefix.mkdir(mode=0o755, exist_ok=True)
    (prefix / BEGUN).touch()
    _run(lock, installer, "-b", "-u" if found in ("complete", "damaged") else "-f", "-p", prefix)
    for part in ("bin/conda", "conda-meta/history"):
        if not (prefix / part).is_file():
            raise SystemExit(f"the installer ended well, but left no {prefix / part}")
    (prefix / VERSION).write_text(f"{version}\n")
    (prefix / BEGUN).unlink()
    shutil.rmtree(installer.parent)


def _run(lock: int, installer: Path, *flags: object) -> None:
    """Run the installer, which holds the lock too, so that it outlives this process safely."""
    # Its own temporary folder: /tmp may be mounted noexec, and it runs what it unpacks.
    environment = {**os.environ, "TMPDIR": str(installer.parent)}
    for name in ("PYTHONPATH", "PYTHONHOME", "CONDA_PREFIX", "CONDARC"):
        environment.pop(name, None)
    command = ["/bin/bash", str(installer), *map(str, flags)]
    done = subprocess.run(
        command, env=environment, pass_fds=[lock], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        lines = [line.strip() for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
        raise SystemExit(" ".join([f"the installer ended with {done.returncode}:", *lines[-4:]]))


if __name__ == "__main__":
    os.umask(0o022)
    asked = json.loads(sys.argv[2])
    if sys.argv[1] == "install":
        install(Path(asked["prefix"]), Path(asked["installer"]), asked["version"])
    print(json.dumps(report(asked)))
