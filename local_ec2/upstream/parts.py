"""Builds what is served: each part once, and again when what it is made of has changed."""

import fcntl
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from local_ec2.upstream import channel, installer, repository

PARTS: dict[str, ModuleType] = {"miniconda": installer, "conda-forge": channel, "git": repository}
STAMP = ".made-of"


def prepare(directory: Path, base_url: str, say: Callable[[str], None]) -> dict[str, object]:
    """Build into `directory` what is missing, and return the Ansible variables that lead to it.

    `base_url` is where `directory` will be served. Raises Refusal.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name, part in PARTS.items():
            _ensure(directory / name, part, say)
    base = base_url.rstrip("/")
    return {
        "miniconda_url": f"{base}/miniconda",
        "miniconda_version": installer.VERSION,
        "miniconda_sha256": installer.sha256(directory / "miniconda"),
        "miniconda_channels": [f"{base}/conda-forge"],
        "tutorial_url": f"{base}/git/{repository.NAME}",
        "tutorial_version": repository.head(directory / "git"),
    }


def _ensure(target: Path, part: ModuleType, say: Callable[[str], None]) -> None:
    stamp = target / STAMP
    sources = _fingerprint([Path(part.__file__), *part.SOURCES])
    if stamp.is_file() and stamp.read_text() == sources:
        return
    say(f"upstream stand-ins: building {target.name}")
    building = target.with_name(f".{target.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    part.build(building, say)
    (building / STAMP).write_text(sources)
    shutil.rmtree(target, ignore_errors=True)
    building.rename(target)


def _fingerprint(sources: list[Path]) -> str:
    """A digest of the names and contents of `sources`, folders included."""
    digest = hashlib.sha256()
    for source in sources:
        for file in source_files(source):
            digest.update(f"{file.relative_to(source.parent)}\0".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def source_files(source: Path) -> list[Path]:
    """`source` itself, or the files in it, without what running it leaves behind."""
    if source.is_file():
        return [source]
    left = {"__pycache__", ".ipynb_checkpoints"}
    return sorted(f for f in source.rglob("*") if f.is_file() and not left & set(f.parts))
