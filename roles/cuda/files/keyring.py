"""Take NVIDIA's key out of its keyring package, if it is the one that is known; exits with a sentence if it is not.

keyring.py PACKAGE FINGERPRINT KEYRING: the package is removed afterwards; the keyring appears whole.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

MEMBER = "./usr/share/keyrings/cuda-archive-keyring.gpg"
PUBLIC_KEY = 6


def keyring(package: Path) -> bytes:
    """The keyring in the package. Raises SystemExit if there is none."""
    files = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(files)) as archive:
        if MEMBER not in archive.getnames():
            raise SystemExit(f"NVIDIA's keyring package has no {MEMBER[1:]}.")
        return archive.extractfile(MEMBER).read()


def packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and body of each OpenPGP packet (RFC 4880, 4.2), of definite length as those of keys are."""
    at = 0
    while at < len(data):
        tag, at = data[at], at + 1
        if tag & 0x40:
            kind, first = tag & 0x3F, data[at]
            if first < 192:
                length, at = first, at + 1
            elif first < 224:
                length, at = ((first - 192) << 8) + data[at + 1] + 192, at + 2
            else:
                length, at = int.from_bytes(data[at + 1 : at + 5], "big"), at + 5
        else:
            kind, size = (tag >> 2) & 0xF, 1 << (tag & 3)
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
        yield kind, data[at : at + length]
        at += length


def fingerprints(data: bytes) -> list[str]:
    """Of all primary keys in it, which are of version 4 (RFC 4880, 12.2)."""
    keys = [body for kind, body in packets(data) if kind == PUBLIC_KEY]
    return [hashlib.sha1(b"\x99" + len(key).to_bytes(2, "big") + key).hexdigest().upper() for key in keys]


def main(package: Path, known: str, target: Path) -> None:
    data = keyring(package)
    found = fingerprints(data)
    if found != [known]:
        raise SystemExit(
            f"NVIDIA's keyring has the key {', '.join(found) or 'of nobody'}, and the known one is {known}: nothing "
            "was installed. If NVIDIA tells of a new key, set cuda_key_fingerprint and cuda_keyring_sha256."
        )
    half = target.with_name(f".{target.name}")
    half.write_bytes(data)
    half.chmod(0o644)
    half.rename(target)
    package.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
