"""NVIDIA's runfiles: shell scripts with a few files of a CUDA toolkit behind them, under the real ones' names."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local_ec2.upstream import debs

HEADER = Path(__file__).parent / "runfile_header.sh"
SOURCES = [HEADER, Path(debs.__file__)]
BINARY_INSTALLER = (10, 1)  # the first release whose installer is no perl script

NVCC = """#!/bin/sh
[ "${{1:-}}" = --version ] || {{ echo 'nvcc fatal   : this stand-in only tells its version' >&2; exit 1; }}
cat <<EOT
nvcc: NVIDIA (R) Cuda compiler driver
Copyright (c) 2005-2026 NVIDIA Corporation
Built on the_day_of_the_stand-in
Cuda compilation tools, release {release}, V{full}
EOT
"""


@dataclass(frozen=True)
class Runfile:
    """One runfile: the toolkit's full version, its driver's, and the patch's version where it is a patch."""

    full: str
    driver: str = ""
    patch: str = ""

    @property
    def release(self) -> str:
        """What nvcc calls it, such as 11.8."""
        return ".".join(self.full.split(".")[:2])

    @property
    def kind(self) -> str:
        is_binary = tuple(map(int, self.release.split("."))) >= BINARY_INSTALLER
        return "binary" if is_binary else "patch" if self.patch else "perl"

    @property
    def file(self) -> str:
        """The name of the real one."""
        name = self.patch or f"{self.full}_{self.driver}"
        return f"cuda_{name}_linux{'.' if self.kind == 'binary' else '-'}run"


RUNFILES = [
    Runfile("8.0.61", "375.26"),
    Runfile("8.0.61", patch="8.0.61.2"),
    Runfile("10.2.89", "440.33.01"),
    Runfile("11.7.1", "515.65.01"),
    Runfile("11.8.0", "520.61.05"),
    Runfile("12.4.1", "550.54.15"),
    Runfile("12.9.1", "575.57.08"),
    Runfile("13.0.2", "580.95.05"),
]


def build(folder: Path, say: Callable[[str], None]) -> None:
    """Write them all into `folder`; the same sources give the same bytes."""
    for runfile in RUNFILES:
        write(folder, runfile)


def write(folder: Path, runfile: Runfile, filler_kb: int = 256) -> Path:
    """Write one into `folder`, with `filler_kb` KiB of noise for a library; its path."""
    header = HEADER.read_text()
    for word, value in {
        "@FILE@": runfile.file,
        "@KIND@": runfile.kind,
        "@RELEASE@": runfile.release,
        "@FULL@": runfile.full,
        "@DRIVER@": runfile.driver,
        "@LINES@": str(header.count("\n") + 1),
    }.items():
        header = header.replace(word, value)
    path = folder / runfile.file
    with path.open("wb") as out:
        out.write(header.encode())
        with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for name, (data, mode) in sorted(_contents(runfile, filler_kb).items()):
                _add(tar, name, data, mode)
    path.chmod(0o755)
    return path


def described(folder: Path, url: str) -> dict[str, dict[str, object]]:
    """By release, where those in `folder` are to be had when that is served at `url`: url, sha256, patches."""
    found: dict[str, dict[str, object]] = {}
    for runfile in RUNFILES:
        one = {"url": f"{url.rstrip('/')}/{runfile.file}", "sha256": sha256(folder / runfile.file)}
        if runfile.patch:
            found[runfile.release]["patches"].append(one)
        else:
            found[runfile.release] = {**one, "patches": []}
    return found


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _contents(runfile: Runfile, filler_kb: int) -> dict[str, tuple[bytes | str, int]]:
    """What is behind the header: name -> bytes and mode, or a link's target and 0."""
    release, full, noise = runfile.release, runfile.full, _noise(runfile.file, filler_kb)
    if runfile.patch:
        version = f"CUDA Version {full}\nCUDA Patch Version {runfile.patch}\n"
        return {
            "toolkit/lib64/libcublas.so.8.0.88": (noise, 0o755),
            "toolkit/version.txt": (version.encode(), 0o644),
        }
    library, name = f"libcudart.so.{full}", f"libcudart.so.{release}"
    files: dict[str, tuple[bytes | str, int]] = {
        "toolkit/bin/nvcc": (NVCC.format(release=release, full=full).encode(), 0o755),
        "toolkit/include/cuda.h": (f"/* CUDA {release}: a stand-in */\n".encode(), 0o644),
        # What is behind an ELF file's sections nobody reads.
        f"toolkit/lib64/{library}": (debs.shared_object(name) + noise, 0o755),
        f"toolkit/lib64/{name}": (library, 0),
        "toolkit/lib64/libcudart.so": (name, 0),
        "toolkit/nvvm/bin/cicc": (b"#!/bin/sh\n", 0o755),
    }
    if runfile.kind == "perl":
        # The modes of the archive are kept, and here and there anybody may write.
        files["toolkit/doc/EULA.txt"] = (b"This is a stand-in.\n", 0o666)
        files["toolkit/version.txt"] = (f"CUDA Version {full}\n".encode(), 0o644)
        files["./InstallUtils.pm"] = (b"package InstallUtils;\n1;\n", 0o644)
    else:
        about = {"cuda": {"name": "CUDA SDK", "version": full}}
        files["toolkit/version.json"] = (json.dumps(about, indent=2).encode(), 0o644)
    return files


def _noise(seed: str, kilobytes: int) -> bytes:
    """Bytes that do not repeat, the same for the same seed."""
    return hashlib.shake_256(seed.encode()).digest(kilobytes << 10)


def _add(tar: tarfile.TarFile, name: str, data: bytes | str, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    if isinstance(data, str):
        entry.type, entry.linkname = tarfile.SYMTYPE, data
        tar.addfile(entry)
        return
    entry.size, entry.mode = len(data), mode
    tar.addfile(entry, io.BytesIO(data))
