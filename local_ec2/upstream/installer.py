"""The installer: a shell script with the wheels and the stand-in for conda behind it."""

import hashlib
import io
import json
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
SIZE_MB = 200  # the wheels, what they unpack to, and room to work


def sha256(folder: Path) -> str:
    """The digest of the installer in `folder`."""
    with (folder / FILE).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def build(folder: Path, say: Callable[[str], None]) -> None:
    """Write the installer into `folder`; the same sources give the same bytes."""
    lines = HEADER.read_text().count("\n")
    header = HEADER.read_text()
    for word, value in {
        "@VERSION@": VERSION,
        "@PYTHON@": PYTHON,
        "@SIZE_MB@": str(SIZE_MB),
        "@LINES@": str(lines + 1),
    }.items():
        header = header.replace(word, value)
    with tempfile.TemporaryDirectory() as temporary, (folder / FILE).open("wb") as out:
        fetched = wheels.download(WHEELS, Path(temporary), say)
        out.write(header.encode())
        with tarfile.open(fileobj=out, mode="w") as tar:
            for wheel in fetched:
                _add(tar, f"wheels/{wheel.name}", wheel.read_bytes())
            for file in sorted([*CONDA.glob("*.py"), *CONDA.glob("shell/*")]):
                _add(tar, f"conda_standin/{file.relative_to(CONDA)}", file.read_bytes())
            record = _record()
            _add(tar, f"conda-meta/{record['dist']}.json", json.dumps(record, indent=2).encode())
    (folder / FILE).chmod(0o755)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))


def _record() -> dict[str, object]:
    """What `conda list` shows of the base."""
    version = conda_standin.VERSION
    return {
        "name": "conda",
        "version": version,
        "build": "py311_standin",
        "build_number": 0,
        "channel": "",
        "dist": f"conda-{version}-py311_standin",
        "files": [],
        "subdir": "linux-64",
    }
