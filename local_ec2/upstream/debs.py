"""Debian packages, and the signed archives that apt reads them from."""

import gzip
import hashlib
import os
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from itertools import pairwise
from pathlib import Path

from local_ec2.say import Refusal

EPOCH = 1767225600  # seconds, 2026-01-01: every file's time, so that the same package has the same bytes
SECRET = "secret.asc"
RELATIONS = ("depends", "conflicts", "provides", "replaces")
SCRIPTS = ("postinst", "prerm", "postrm")
IDENTITY, X86_64 = b"\x7fELF\2\1\1".ljust(16, b"\0"), 62  # of an ELF64 file


@dataclass(frozen=True)
class Package:
    """What goes into a .deb; paths are absolute, a file that begins with #! is executable."""

    name: str
    version: str
    architecture: str = "amd64"
    depends: str = ""
    conflicts: str = ""
    provides: str = ""
    replaces: str = ""
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    conffiles: tuple[str, ...] = ()
    postinst: str = ""
    prerm: str = ""
    postrm: str = ""
    section: str = "utils"
    description: str = "stand-in for tests"

    def __hash__(self) -> int:
        return hash(repr(self))  # the mappings have no hash of their own

    @property
    def file(self) -> str:
        return f"{self.name}_{self.version.split(':')[-1]}_{self.architecture}.deb"

    @property
    def control(self) -> str:
        relations = {name.title(): getattr(self, name) for name in RELATIONS}
        fields = {
            "Package": self.name,
            "Version": self.version,
            "Architecture": self.architecture,
            "Maintainer": "gluon-ec2 <gluon-ec2@example.org>",
            "Section": self.section,
            "Priority": "optional",
            **{name: value for name, value in relations.items() if value},
            "Description": self.description,
        }
        return "".join(f"{name}: {value}\n" for name, value in fields.items())


@cache
def deb(package: Package) -> bytes:
    """The package as dpkg-deb builds it; the same package is built once in a process. Raises Refusal."""
    with tempfile.TemporaryDirectory() as temporary:
        root, out = Path(temporary, "root"), Path(temporary, "out.deb")
        _write(root / "DEBIAN/control", package.control)
        _write(root / "DEBIAN/conffiles", "".join(f"{path}\n" for path in package.conffiles))
        for name in SCRIPTS:
            if getattr(package, name):
                _write(root / "DEBIAN" / name, f"#!/bin/sh\nset -e\n{getattr(package, name)}\n")
        for path, content in package.files.items():
            _write(root / path.lstrip("/"), content)
        for path, target in package.links.items():
            link = root / path.lstrip("/")
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)
        for folder, _, _ in os.walk(root):
            Path(folder).chmod(0o755)  # whatever the umask is here
        # Compressing costs more time than it saves bytes.
        _run("dpkg-deb", "--build", "--root-owner-group", "-Znone", root, out, SOURCE_DATE_EPOCH=str(EPOCH))
        return out.read_bytes()


def _write(path: Path, content: str | bytes) -> None:
    data = content if isinstance(content, bytes) else content.encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o755 if data.startswith(b"#!") else 0o644)


class Key:
    """A signing key in a folder of its own; GnuPG's agent runs only while it is used."""

    def __init__(self, folder: Path, at: datetime | None = None) -> None:
        """Take the key that `make` left in `folder`; all it signs bears the time `at`, or the present."""
        self.folder, self.at = folder, at

    @classmethod
    def make(cls, folder: Path, name: str, at: datetime | None = None, expires: str = "0") -> "Key":
        """A new key; `expires` counts from `at` as gpg has it, such as 2d, or 0 for never. Raises Refusal."""
        key = cls(folder, at)
        folder.mkdir(parents=True, exist_ok=True)
        with key._gnupg(None) as gpg:
            gpg("--quick-generate-key", f"{name} <{folder.name}@example.org>", "rsa2048", "sign", expires)
            (folder / SECRET).write_bytes(gpg("--armor", "--export-secret-keys"))
            (folder / "public.asc").write_bytes(gpg("--armor", "--export"))
            (folder / "public.gpg").write_bytes(gpg("--export"))
        return key

    @property
    def fingerprint(self) -> str:
        """Forty hexadecimal digits."""
        return fingerprints(self.folder / "public.asc")[0]

    def public(self, armored: bool = True) -> bytes:
        return (self.folder / ("public.asc" if armored else "public.gpg")).read_bytes()

    def sign(self, release: Path) -> None:
        """Write InRelease and Release.gpg beside a Release file. Raises Refusal."""
        with self._gnupg(self.folder / SECRET) as gpg:
            release.with_name("InRelease").write_bytes(gpg("--clear-sign", "--output", "-", release))
            release.with_name("Release.gpg").write_bytes(gpg("--armor", "--detach-sign", "--output", "-", release))

    @contextmanager
    def _gnupg(self, secret: Path | None) -> Iterator[Callable[..., bytes]]:
        """Run gpg with a home that is gone afterwards; its path is short, as its agent's socket demands."""
        with tempfile.TemporaryDirectory(prefix="gpg", dir="/tmp") as home:
            options = ["--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
            if self.at:
                options += ["--faked-system-time", self.at.strftime("%Y%m%dT%H%M%S!")]

            def gpg(*arguments: str | Path) -> bytes:
                return _run("gpg", *options, *arguments, GNUPGHOME=home)

            try:
                if secret:
                    gpg("--import", secret)
                yield gpg
            finally:
                _run("gpgconf", "--kill", "all", GNUPGHOME=home)


def fingerprints(keyring: Path) -> list[str]:
    """The fingerprint of each primary key in a file, armored or not. Raises Refusal."""
    with tempfile.TemporaryDirectory(prefix="gpg") as home:
        shown = _run("gpg", "--batch", "--show-keys", "--with-colons", keyring, GNUPGHOME=home).decode()
    rows = [line.split(":") for line in shown.splitlines()]
    return [after[9] for row, after in pairwise(rows) if row[0] == "pub"]


def publish_flat(folder: Path, packages: Iterable[Package], key: Key, origin: str, label: str) -> None:
    """An archive for `deb URL/ /`, as NVIDIA has it, in `folder`. Raises Refusal."""
    _index(folder, "./", _store(folder, packages))
    _release(folder, key, {"Origin": origin, "Label": label, "Architecture": "amd64"})


def publish_suite(folder: Path, suite: str, components: Mapping[str, Iterable[Package]], key: Key, origin: str) -> None:
    """An archive for `deb URL SUITE COMPONENT`, as Ubuntu has it; several suites may share `folder`. Raises Refusal."""
    dists = folder / "dists" / suite
    for name, packages in components.items():
        stored = _store(folder / "pool" / name, packages)
        _index(dists / name / "binary-amd64", f"pool/{name}/", stored)
    told = {"Origin": origin, "Label": origin, "Suite": suite, "Codename": suite}
    _release(dists, key, told | {"Architectures": "amd64", "Components": " ".join(components)})


def _store(folder: Path, packages: Iterable[Package]) -> list[Package]:
    wanted = list(dict.fromkeys(packages))
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for package, data in zip(wanted, pool.map(deb, wanted), strict=True):
            (folder / package.file).write_bytes(data)
    return wanted


def _index(folder: Path, pool: str, packages: list[Package]) -> None:
    """Packages and Packages.gz for what is stored; `pool` leads to it from the archive's address."""
    text = ""
    for package in packages:
        data = deb(package)
        digest = hashlib.sha256(data).hexdigest()
        text += f"{package.control}Filename: {pool}{package.file}\nSize: {len(data)}\nSHA256: {digest}\n\n"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Packages").write_text(text)
    (folder / "Packages.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def _release(folder: Path, key: Key, fields: Mapping[str, str]) -> None:
    told = {**fields, "Date": format_datetime((key.at or datetime.now(UTC)).astimezone(UTC), usegmt=True)}
    lines = [f"{name}: {value}" for name, value in told.items()]
    lines.append("SHA256:")
    for index in sorted(folder.rglob("Packages*")):
        data = index.read_bytes()
        lines.append(f" {hashlib.sha256(data).hexdigest()} {len(data)} {index.relative_to(folder)}")
    (folder / "Release").write_text("\n".join([*lines, ""]))
    key.sign(folder / "Release")


def kernel_module(name: str, version: str, license: str, vermagic: str) -> bytes:
    """A module with nothing in it but what modinfo and depmod read: an ELF64 object with a .modinfo section."""
    told = {"version": version, "license": license, "depends": "", "name": name, "vermagic": vermagic}
    modinfo = b"".join(f"{key}={value}\0".encode() for key, value in told.items())
    names = b"\0.modinfo\0.strtab\0.symtab\0.shstrtab\0"
    symbol = bytes(24)  # the one that every table of symbols begins with
    # name, type, flags, content, link, info, alignment, size of an entry
    sections = [
        (b".modinfo", 1, 2, modinfo, 0, 0, 1, 0),
        (b".strtab", 3, 0, b"\0", 0, 0, 1, 0),
        (b".symtab", 2, 0, symbol, 2, 1, 8, 24),
        (b".shstrtab", 3, 0, names, 0, 0, 1, 0),
    ]
    body, headers = b"", bytes(64)
    for title, kind, flags, content, link, info, alignment, size in sections:
        body += bytes(-len(body) % 8)
        at = names.index(b"\0" + title + b"\0") + 1
        headers += struct.pack(
            "<IIQQQQIIQQ", at, kind, flags, 0, 64 + len(body), len(content), link, info, alignment, size
        )
        body += content
    body += bytes(-len(body) % 8)
    count = len(sections) + 1
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", IDENTITY, 1, X86_64, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, count, count - 1
    )
    return header + body + headers


def shared_object(soname: str) -> bytes:
    """A library with nothing in it but its name, so that ldconfig lists it and dlopen takes it."""
    strings = b"\0" + soname.encode() + b"\0"
    entries, symbols = 176, 176 + 6 * 16  # where the dynamic section and the table of symbols begin
    end = symbols + 24 + len(strings)
    # Place and size of the strings, place and entries of the symbols, the name, and the end.
    told = [(5, symbols + 24), (10, len(strings)), (6, symbols), (11, 24), (14, 1), (0, 0)]
    header = struct.pack("<16sHHIQQQIHHHHHH", IDENTITY, 3, X86_64, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    segments = struct.pack("<IIQQQQQQ", 1, 6, 0, 0, 0, end, end, 4096)
    segments += struct.pack("<IIQQQQQQ", 2, 6, entries, entries, entries, 96, 96, 8)
    return header + segments + b"".join(struct.pack("<QQ", *entry) for entry in told) + bytes(24) + strings


def _run(*command: str | Path, **environment: str) -> bytes:
    """Standard output; raises Refusal with the program's own words."""
    try:
        done = subprocess.run(command, env=os.environ | environment, stdin=subprocess.DEVNULL, capture_output=True)
    except FileNotFoundError as error:
        raise Refusal(f"{command[0]} is not on this machine, and makes the stand-ins for apt: install it.") from error
    if done.returncode:
        raise Refusal(f"the stand-ins for apt were not made, {command[0]} said: {done.stderr.decode().strip()}")
    return done.stdout
