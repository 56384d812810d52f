"""A local EC2 of these tests' own, machines in it that show a GPU, and a server for what they download."""

from __future__ import annotations

import ipaddress
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1] / "local_ec2"))

from bench_image import Bench, baked
from bench_machine import Machine
from bench_upstream import Upstream, served
from local_cloud import Cloud, brought_up

from local_ec2.upstream import nvidia, runfile
from local_ec2.upstream.debs import Key


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    if os.geteuid():
        pytest.skip("the local EC2 needs root")
    with brought_up(tmp_path_factory.mktemp("cloud") / "data") as cloud:
        yield cloud


@pytest.fixture(scope="session")
def gateway(cloud: Cloud) -> str:
    """The host's address on the machines' network."""
    return str(ipaddress.IPv4Network(cloud.state["subnet"])[1])


@pytest.fixture(scope="session")
def bench(cloud: Cloud, gateway: str) -> Bench:
    return Bench(cloud, baked(cloud, gateway))


@pytest.fixture
def machine(bench: Bench) -> Iterator[Machine]:
    """A fresh machine, of this test alone."""
    # Short: a socket's path has at most 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="cuda-"))
    try:
        machine = bench.take(folder)
        with machine.connected():
            yield machine
        bench.give_back(machine)
    finally:
        shutil.rmtree(folder)


@dataclass
class Nvidia:
    """NVIDIA's repositories, in a folder of their own, and the variables that lead the role there."""

    key: Key
    directory: Path
    url: str

    def options(self, **more: Any) -> dict[str, Any]:
        return {
            "cuda_driver": "nvidia",
            "cuda_build_tools": False,
            "cuda_repository_url": f"{self.url}/repos",
            "cuda_keyring_sha256": nvidia.keyring_sha256(self.directory)["debian12"],
            "cuda_key_fingerprint": self.key.fingerprint,
            **more,
        }


@pytest.fixture(scope="session")
def repository(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Nvidia:
    key = Key.make(tmp_path_factory.mktemp("key") / "nvidia", "cudatools")
    nvidia.build(upstream.directory, print, key, systems=["debian12"])
    return Nvidia(key, upstream.directory, upstream.url)


@pytest.fixture(scope="session")
def upstream(gateway: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """What machines download, in a folder that tests fill."""
    with served(tmp_path_factory.mktemp("upstream") / "www", gateway) as upstream:
        yield upstream


@pytest.fixture(scope="session")
def runfiles(upstream: Upstream) -> dict[str, dict[str, Any]]:
    """Toolkits by release, as items of cuda_toolkits."""
    folder = upstream.directory / "cuda"
    folder.mkdir()
    runfile.build(folder, print)
    described = runfile.described(folder, f"{upstream.url}/cuda")
    return {number: {"version": number, "source": "runfile", **one} for number, one in described.items()}
