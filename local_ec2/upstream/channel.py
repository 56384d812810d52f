"""A small real conda channel: a python made of the machine's own, and a few wheels."""

import bz2
import configparser
import email
import hashlib
import io
import json
import re
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from local_ec2.upstream import wheels

WHEELS = Path(__file__).parent / "channel_wheels.txt"
SOURCES = [WHEELS, Path(wheels.__file__)]

# Debian 12's interpreter, which the machines have; the controller's own Python says nothing about it.
PYTHON = "/usr/bin/python3.11"
PYTHON_VERSION = "3.11.2"

EPOCH = 1700000000  # seconds; one time stamp for all, so that equal contents are equal packages
SITE = "lib/python3.11/site-packages"


def build(folder: Path, say: Callable[[str], None]) -> None:
    """Write packages and repodata for linux-64 and noarch into `folder`."""
    packages: dict[str, dict[str, dict]] = {"linux-64": {}, "noarch": {}}
    with tempfile.TemporaryDirectory() as temporary:
        found = [_python(), *map(_wheel, wheels.download(WHEELS, Path(temporary), say))]
    for index, info, files in found:
        subdir = folder / index["subdir"]
        subdir.mkdir(exist_ok=True)
        name = f"{index['name']}-{index['version']}-{index['build']}.tar.bz2"
        blob = _package(index, info, files)
        (subdir / name).write_bytes(blob)
        digests = {"md5": hashlib.md5(blob).hexdigest(), "sha256": hashlib.sha256(blob).hexdigest()}
        packages[index["subdir"]][name] = {**index, **digests, "size": len(blob)}
    for subdir, records in packages.items():
        repodata = {"info": {"subdir": subdir}, "packages": records, "repodata_version": 1}
        (folder / subdir / "repodata.json").write_text(json.dumps(repodata | {"packages.conda": {}}, indent=1))


Contents = tuple[dict, dict, dict[str, bytes | str]]  # index, more of info/, files: bytes, or a link's target


def _python() -> Contents:
    """An environment as `python -m venv` lays it out: the machine's interpreter behind a link."""
    home, executable = PYTHON.rsplit("/", 1)
    files: dict[str, bytes | str] = {
        f"bin/{executable}": PYTHON,
        "bin/python3": executable,
        "bin/python": executable,
        "pyvenv.cfg": (f"home = {home}\ninclude-system-site-packages = false\nversion = {PYTHON_VERSION}\n".encode()),
        f"{SITE}/README.txt": b"Packages of this environment.\n",
    }
    return _index("python", PYTHON_VERSION, "0_venv", "linux-64", []), {}, files


def _wheel(wheel: Path) -> Contents:
    """A pure Python wheel as a noarch package."""
    with zipfile.ZipFile(wheel) as archive:
        files: dict[str, bytes | str] = {
            f"site-packages/{name}": archive.read(name) for name in archive.namelist() if name[-1] != "/"
        }
    info = next(name.rpartition("/")[0] for name in files if name.endswith(".dist-info/METADATA"))
    files[f"{info}/INSTALLER"] = b"conda\n"
    metadata = email.message_from_bytes(files[f"{info}/METADATA"])
    scripts = configparser.ConfigParser(delimiters="=")
    scripts.optionxform = str
    scripts.read_string(files.get(f"{info}/entry_points.txt", b"").decode())
    entry_points = [f"{name} = {target}" for name, target in _section(scripts, "console_scripts")]
    depends = ["python " + (metadata["Requires-Python"] or "").replace(" ", "")]
    for needed in metadata.get_all("Requires-Dist", []):
        if ";" not in needed:  # with a marker it is an extra, or for another Python
            depends.append(re.sub(r"^([\w.-]+)\s*", r"\1 ", needed).strip())
    index = _index(metadata["Name"], metadata["Version"], "py_0", "noarch", depends)
    link = {"noarch": {"type": "python", "entry_points": entry_points}, "package_metadata_version": 1}
    return index | {"noarch": "python"}, {"link.json": link}, files


def _section(config: configparser.ConfigParser, name: str) -> list[tuple[str, str]]:
    return config.items(name) if config.has_section(name) else []


def _index(name: str, version: str, build_string: str, subdir: str, depends: list[str]) -> dict:
    return {
        "name": name.lower(),
        "version": version,
        "build": build_string,
        "build_number": 0,
        "depends": [spec.strip() for spec in depends],
        "subdir": subdir,
        "timestamp": EPOCH * 1000,
    }


def _package(index: dict, info: dict, files: dict[str, bytes | str]) -> bytes:
    paths = [_path(name, content) for name, content in sorted(files.items())]
    described = {
        "index.json": index,
        "about.json": {},
        "paths.json": {"paths": paths, "paths_version": 1},
        **info,
    }
    everything: dict[str, bytes | str] = {
        f"info/{name}": json.dumps(data, indent=1).encode() for name, data in described.items()
    }
    everything["info/files"] = "".join(f"{name}\n" for name in sorted(files)).encode()
    everything |= dict(sorted(files.items()))
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name, content in everything.items():
            entry = tarfile.TarInfo(name)
            entry.mtime = EPOCH
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                tar.addfile(entry)
            else:
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return bz2.compress(plain.getvalue())


def _path(name: str, content: bytes | str) -> dict:
    if isinstance(content, str):
        return {"_path": name, "path_type": "softlink"}
    digest = hashlib.sha256(content).hexdigest()
    return {"_path": name, "path_type": "hardlink", "sha256": digest, "size_in_bytes": len(content)}
