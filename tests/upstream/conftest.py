"""The stand-ins, built once and served on loopback, and a conda installed from them."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import threading
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from local_ec2 import upstream
from local_ec2.upstream import channel, installer

PROMPTLY = 120  # seconds, for any one command here


@dataclass
class Served:
    """What `prepare` made, and where it is served."""

    directory: Path
    url: str
    variables: dict

    @property
    def log(self) -> Path:
        return self.directory.parent / "upstream.log"

    @property
    def installer(self) -> Path:
        return self.directory / "miniconda" / installer.FILE


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("upstream") / "www"
    directory.mkdir()
    server = upstream.make_server(("127.0.0.1", 0), directory)
    url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Served(directory, url, upstream.prepare(directory, url, print))
    server.shutdown()
    server.server_close()


class Conda:
    """An installed stand-in and a home that no other test uses."""

    def __init__(self, prefix: Path, home: Path, wheels: Path) -> None:
        self.prefix = prefix
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        self.environment = kept | {"HOME": str(home), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}

    def __call__(self, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.prefix / "bin" / "conda", *arguments],
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PROMPTLY,
        )


@pytest.fixture(scope="session")
def conda(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Conda:
    """conda as a role installs it: fetched by its address, run with -b -p, told its channel."""
    if not Path(channel.PYTHON).exists():
        pytest.skip(f"the stand-in for conda runs on {channel.PYTHON} of Debian 12")
    here = tmp_path_factory.mktemp("conda")
    (here / "home").mkdir()
    script = here / installer.FILE
    urllib.request.urlretrieve(f"{served.variables['miniconda_url']}/{installer.FILE}", script)
    command = ["sh", script, "-b", "-p", here / "miniconda3"]
    subprocess.run(command, check=True, capture_output=True, timeout=PROMPTLY)
    channels = "".join(f"- {url}\n" for url in served.variables["miniconda_channels"])
    (here / "miniconda3" / ".condarc").write_text(f"channels:\n{channels}")
    return Conda(here / "miniconda3", here / "home", make_wheels(here / "wheels"))


def make_wheels(folder: Path) -> Path:
    """A folder with tiny 1.0 and tiny 2.0, so that no test needs a package of anyone else's."""
    folder.mkdir()
    for version in ("1.0", "2.0"):
        info = f"tiny-{version}.dist-info"
        files = {
            "tiny.py": f"version = {version!r}\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        rows = [f"{name},sha256={digest(text)},{len(text)}\n" for name, text in files.items()]
        files[f"{info}/RECORD"] = "".join([*rows, f"{info}/RECORD,,\n"])
        with zipfile.ZipFile(folder / f"tiny-{version}-py3-none-any.whl", "w") as wheel:
            for name, text in files.items():
                wheel.writestr(name, text)
    return folder


def digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
