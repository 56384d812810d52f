#!/usr/bin/python
# Copyright: the gluon-ec2 authors
# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""NVIDIA's key, out of its keyring package, if it is the one that is known."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cuda_keyring
short_description: Take the key of NVIDIA's package repository out of its keyring package
description:
  - Downloads the package, by its checksum, and writes the keyring that is in it, if it holds the one key with the
    fingerprint and no other. The package is not installed, since the repository's address and priority are not its own.
  - A keyring that is there already is left alone, so its name should change with the key's.
options:
  url:
    description: Address of the package.
    type: str
    required: true
  sha256:
    description: Its SHA-256 in hexadecimal.
    type: str
    required: true
  fingerprint:
    description: That of the key, 40 hexadecimal digits in capitals.
    type: str
    required: true
  path:
    description: Where the keyring is to be.
    type: path
    required: true
  proxy:
    description: Proxy for the download, such as V(http://proxy.example.org:3128).
    type: str
  no_proxy:
    description: Hosts that are reached without it, as in E(no_proxy), with commas between them.
    type: str
  ca_bundle:
    description: File on the target with the certificates that the server is trusted by.
    type: path
attributes:
  check_mode:
    description: Tells whether there is a keyring, without the network.
    support: full
author: [The gluon-ec2 authors (@d2l-ai)]
"""

EXAMPLES = r"""
- name: Take NVIDIA's key
  cuda_keyring:
    url: https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64/cuda-keyring_1.1-1_all.deb
    sha256: e7f219eab6fe4819cdb5c15b98233dc3420302d9c00883219cd3d896857cf48d
    fingerprint: EB693B3035CD5710E231E123A4B469963BF863CC
    path: /usr/share/keyrings/cuda.gpg
"""

RETURN = r"""
options:
  description: The options that the failure is about.
  returned: failure, where there are some
  type: list
  elements: str
  sample: [sha256]
"""

import hashlib
import io
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import network
from ..module_utils.download import Source, fetch
from ..module_utils.failed import Failed

MEMBER = "./usr/share/keyrings/cuda-archive-keyring.gpg"
PUBLIC_KEY = 6


def keyring(package: Path) -> bytes:
    """The keyring in the package. Raises Failed."""
    files = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(files)) as archive:
        if MEMBER not in archive.getnames():
            raise Failed(f"{package.name} has no {MEMBER[1:]}.")
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


def take(source: Source, fingerprint: str, target: Path, scratch: str) -> None:
    """The keyring appears whole. Raises Failed."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        data = keyring(fetch(source, Path(folder)))
    found = fingerprints(data)
    if found != [fingerprint]:
        raise Failed(
            f"NVIDIA's keyring has the key {', '.join(found) or 'of nobody'}, and the known one is {fingerprint}.",
            options=["fingerprint"],
        )
    half = target.with_name(f".{target.name}")
    half.write_bytes(data)
    half.chmod(0o644)
    half.rename(target)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "sha256": {"type": "str", "required": True},
            "fingerprint": {"type": "str", "required": True},
            "path": {"type": "path", "required": True},
            **network.OPTIONS,
        },
        supports_check_mode=True,
    )
    asked, target = module.params, Path(module.params["path"])
    is_new = not target.is_file()
    os.umask(0o022)
    try:
        if is_new and not module.check_mode:
            network.use(module)
            take(Source(asked["url"], asked["sha256"], asked["ca_bundle"]), asked["fingerprint"], target, module.tmpdir)
    except Failed as error:
        module.fail_json(msg=str(error), **error.told)
    module.exit_json(changed=is_new)


if __name__ == "__main__":
    main()
