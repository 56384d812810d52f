"""What the base image is made of: this package's own part, and what the host's network asks for."""

import dataclasses
import functools
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

SUITE = "bookworm"
# python3-apt: Debian's cloud images have it, by way of apt-listchanges.
PACKAGES = (
    "ca-certificates",
    "dbus",
    "e2fsprogs",
    "iproute2",
    "mount",
    "openssh-server",
    "python3",
    "python3-apt",
    "python3-venv",
    "sudo",
    "systemd",
    "systemd-sysv",
    "util-linux",
)
MACHINE = Path(__file__).parent / "machine"
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\n.+?\n-----END CERTIFICATE-----\n", re.S)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """All that decides what the base image holds.

    sources: (URI, suite, component) of Debian as the host's apt knows it; none: mmdebstrap's own default.
    proxies: lines of apt configuration. bundle: the certificates that the host trusts, in PEM.
    """

    sources: tuple[tuple[str, str, str], ...]
    proxies: tuple[str, ...]
    bundle: str
    pip_index: str

    @functools.cached_property
    def digest(self) -> str:
        ours = [path.read_bytes() for path in (Path(__file__), Path(__file__).with_name("image.py"))]
        ours += [path.read_bytes() for path in sorted(MACHINE.iterdir())]
        return hashlib.sha256(b"\0".join([*ours, repr(self).encode()])).hexdigest()[:12]

    def foreign_certificates(self, known: str) -> list[str]:
        """The host's certificates that the PEM text `known` lacks: a private network's own authorities."""
        there = set(CERTIFICATE.findall(known))
        return [certificate for certificate in CERTIFICATE.findall(self.bundle) if certificate not in there]


def of_this_host() -> Recipe:
    return Recipe(_debian_sources(), _proxies(), _bundle(), _pip_index())


def _output(*command: str) -> str:
    if not shutil.which(command[0]):
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _debian_sources() -> tuple[tuple[str, str, str], ...]:
    wanted = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)"
    lines = _output("apt-get", "indextargets", "--format", wanted, "Identifier: Packages").splitlines()
    found = []
    for uri, suite, component, origin in (line.split("|") for line in lines):
        # other vendors name their suites after Debian's too; before the first `apt-get update` only the URI tells
        debian = origin == "Debian" or (origin.startswith("$") and re.search(r"/debian(-security)?/?$", uri))
        if debian and component == "main" and re.fullmatch(rf"{SUITE}(-updates|-security)?", suite):
            found.append((uri, suite, component))
    complete = any(suite == SUITE for _, suite, _ in found)
    return tuple(dict.fromkeys(found)) if complete else ()


def _proxies() -> tuple[str, ...]:
    lines = _output("apt-config", "dump").splitlines()
    return tuple(line for line in lines if re.match(r"Acquire::https?::Proxy\b.* \"[^\"]+\";", line))


def _bundle() -> str:
    path = Path(os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt")
    return path.read_text() if path.is_file() else ""


def _pip_index() -> str:
    index = os.environ.get("PIP_INDEX_URL") or _output("pip", "config", "get", "global.index-url")
    return index if index.startswith(("http://", "https://")) else ""
