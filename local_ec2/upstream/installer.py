"""The installer: a shell script with the wheels and the stand-in for conda behind it."""

import hashlib
import io
import json
import re
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from local_ec2.upstream import conda_standin, wheels
from local_ec2.upstream.channel import PYTHON

HERE = Path(__file__).parent
HEADER = HERE / "installer_header.sh"
WHEELS = HERE / "installer_wheels.txt"
CONDA = Path(conda_standin.__file__).parent
SOURCES = [HEADER, WHEELS, CONDA]

VERSION = f"py311_{conda_standin.VERSION}-1"
FILE = f"Miniconda3-{VERSION}-Linux-x86_64.sh"
TERMS = "0.2.2"  # the version of the plugin that knows of terms of use
SIZE_MB = 200  # the wheels, what they unpack to, and room to work


def sha256(folder: Path) -> str:
    """The digest of the installer in `folder`."""
    with (folder / FILE).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def build(folder: Path, say: Callable[[str], None]) -> None:
    """Write the installer into `folder`; the same sources give the same bytes."""
    with tempfile.TemporaryDirectory() as temporary:
        write(folder / FILE, wheels.download(WHEELS, Path(temporary), say))


def write(file: Path, fetched: list[Path]) -> None:
    """The installer of the distribution and the version that the file's name says, such as FILE."""
    name, version = re.fullmatch(r"(Miniconda3|Miniforge3)-(\S+)-Linux-x86_64\.sh", file.name).groups()
    conda = version.split("_")[-1].split("-")[0]
    header = HEADER.read_text()
    for word, value in {
        "@NAME@": name,
        "@VERSION@": version,
        "@PYTHON@": PYTHON,
        "@CHANNEL@": "defaults" if name == "Miniconda3" else "conda-forge",
        "@SIZE_MB@": str(SIZE_MB),
        "@LINES@": str(header.count("\n") + 1),
    }.items():
        header = header.replace(word, value)
    with file.open("wb") as out:
        out.write(header.encode())
        with tarfile.open(fileobj=out, mode="w") as tar:
            for wheel in fetched:
                _add(tar, f"wheels/{wheel.name}", wheel.read_bytes())
            for source in sorted([*CONDA.glob("*.py"), *CONDA.glob("shell/*")]):
                text = source.read_bytes()
                if source.name == "__init__.py":
                    text = text.replace(conda_standin.VERSION.encode(), conda.encode())
                _add(tar, f"conda_standin/{source.relative_to(CONDA)}", text)
            # Miniforge does not ask for terms.
            for package in [("conda", conda), ("conda-anaconda-tos", TERMS)][: 2 if name == "Miniconda3" else 1]:
                record = _record(*package)
                _add(tar, f"conda-meta/{record['dist']}.json", json.dumps(record, indent=2).encode())
    file.chmod(0o755)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))


def _record(name: str, version: str) -> dict[str, object]:
    """What `conda list` shows of the base."""
    return {
        "name": name,
        "version": version,
        "build": "py311_standin",
        "build_number": 0,
        "channel": "",
        "dist": f"{name}-{version}-py311_standin",
        "files": [],
        "subdir": "linux-64",
    }
