"""What goes wrong beneath the cuda role: it says what failed, why, and what to do; done that, a run makes it right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bench_ansible import Run
from bench_faults import (
    CONFIGURED,
    FAULT,
    FRONTEND,
    HELD,
    LET_GO,
    M60,
    Mirrors,
    alone,
    converge,
    enlarge,
    flip,
    hold,
    interrupt,
    is_there,
    shrink,
    toolkit,
)
from bench_fleet import Fleet, fleet_of
from bench_image import Bench
from bench_upstream import Upstream
from conftest import Nvidia

from local_ec2.upstream import nvidia
from local_ec2.upstream.debs import Key

T4 = "1eb8"
OF_NVIDIA = "dpkg-query -W -f '${Package} ${db:Status-Abbrev}\n' | grep -E '(cuda|nvidia).* .i' || true"
Options = dict[str, Any]
Runs = dict[str, Run]


@dataclass
class Story:
    """What became of the machines: in a run under a fault, in one after that was mended, and in one more.

    In between, `installed` are the packages of NVIDIA's, and `sources` those of apt after a key that was refused.
    """

    fleet: Fleet
    first: Runs
    installed: dict[str, str]
    sources: str
    holder: str
    second: Runs
    third: Runs


SAID = {
    "missing": [
        "cuda-keyring_1.1-1_all.deb cannot be downloaded: the server answered",
        "Check cuda_repository_url",
    ],
    "replaced": [f"its sha256 should be {'0' * 64} and is", "set cuda_keyring_sha256 and run this again"],
    "stranger": ["NVIDIA's keyring has the key", f"the known one is {'A' * 40}", "set cuda_key_fingerprint"],
    "foreign": ["NO_PUBKEY", "is taken with the key", "set cuda_key_fingerprint and cuda_keyring_sha256, and run this"],
    "expired": ["EXPKEYSIG", "is taken with the key", "set cuda_key_fingerprint and cuda_keyring_sha256, and run this"],
    "flipped": ["cuda-nvcc-12-9_12.9.86-1_amd64.deb Hash Sum mismatch", "run this again to continue"],
    "empty": ["driver 580 are installed, and brought no kernel module", "Set cuda_driver_modules to open"],
    "locked": ["Another program holds apt: process", "(python3). Wait for it, then run this again to continue"],
    "small": ["6600 MB of disk are needed (CUDA 8.0 6600) and 1024 MB are free under /usr", "run this again"],
    "half": ["linux.run ended with status 1: ERROR: could not copy", "The log is", "run again to begin anew"],
}
OF_KEYS = ["missing", "replaced", "stranger", "foreign", "expired"]
MENDED = ["stranger", "foreign", "flipped", "empty", "locked", "small", "half"]
MACHINES = [*MENDED, "expired", "interrupted"]


@pytest.fixture(scope="module")
def mirrors(repository: Nvidia, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Nvidia]:
    """NVIDIA's repositories, by what is wrong with them."""
    mirrors, keys = Mirrors(repository), tmp_path_factory.mktemp("keys")
    old = Key.make(keys / "old", "cudatools", at=datetime.now(UTC) - timedelta(days=10), expires="2d")
    made = {
        "foreign": mirrors.copy("foreign", signed_by=Key.make(keys / "other", "other")),
        "expired": mirrors.copy("expired", key=old),
        "flipped": mirrors.copy("flipped"),
    }
    flip(made["flipped"].directory / "repos/debian12/x86_64/cuda-nvcc-12-9_12.9.86-1_amd64.deb")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(nvidia, "EMPTY", "580")
        return made | {"empty": mirrors.copy("empty")}


@pytest.fixture(scope="module")
def story(
    bench: Bench, repository: Nvidia, mirrors: dict[str, Nvidia], runfiles: dict[str, Options], upstream: Upstream
) -> Iterator[Story]:
    other_sum = {"cuda_keyring_sha256": "0" * 64}
    faulty = {
        "missing": toolkit(repository, **other_sum, cuda_repository_url=f"{upstream.url}/nowhere"),
        "replaced": toolkit(repository, **other_sum),
        "stranger": toolkit(repository, cuda_key_fingerprint="A" * 40),
        "foreign": toolkit(mirrors["foreign"]),
        "expired": toolkit(mirrors["expired"]),
        "flipped": toolkit(mirrors["flipped"]),
        "empty": mirrors["empty"].options(cuda_driver_modules="proprietary"),
        "locked": toolkit(repository),
        "small": toolkit(repository, runfiles["8.0"]),
        "half": toolkit(repository, runfiles["10.2"]),
        "interrupted": toolkit(repository),
    }
    right = {name: faulty[name] for name in MENDED} | {
        "stranger": toolkit(repository),
        "empty": mirrors["empty"].options(cuda_driver_modules="open"),
    }
    with fleet_of(bench, *MACHINES) as fleet:
        for name, machine in fleet.machines.items():
            machine.shows_gpu(T4 if name == "empty" else M60)
            alone(machine)
        # These stop before they do anything to their machine.
        fleet.machines |= dict.fromkeys(("missing", "replaced"), fleet["stranger"])
        fleet["empty"].add_headers(fleet["empty"].kernel)
        interrupt(fleet["interrupted"])
        shrink(fleet["small"])
        fleet["half"].put(FAULT, "CUDA_STANDIN_FAULT=half\n")
        holder = hold(fleet["locked"], FRONTEND)
        first = converge(fleet, "-e", "__cuda_lock_timeout=5", **faulty)
        installed = {name: fleet[name].out(OF_NVIDIA) for name in OF_KEYS}
        sources = fleet["stranger"].out("ls /etc/apt/sources.list.d")
        fleet["locked"].run(f"rm {HELD}", check=True)
        fleet["half"].run(f"rm {FAULT}", check=True)
        enlarge(fleet["small"])
        for name in ("foreign", "flipped"):
            Mirrors(repository).mend(mirrors[name])
        second = converge(fleet, **right)
        third = converge(fleet, **right, interrupted=faulty["interrupted"])
        yield Story(fleet, first, installed, sources, holder, second, third)


@pytest.mark.parametrize("name", SAID)
def test_it_says_what_failed_and_what_to_do(story: Story, name: str) -> None:
    run = story.first[name]
    assert run.rc == 2
    assert [words for words in SAID[name] if not run.said(words)] == [], run.output


@pytest.mark.parametrize("name", MENDED)
def test_once_that_is_done_a_run_succeeds(story: Story, name: str) -> None:
    assert story.second[name].rc == 0, story.second[name].output
    assert story.fleet[name].run("nvidia-smi -L" if name == "empty" else "bash -lc 'nvcc --version'").returncode == 0


@pytest.mark.parametrize("name", [*MENDED, "interrupted"])
def test_after_that_nothing_is_left_to_do(story: Story, name: str) -> None:
    assert (story.third[name].rc, story.third[name].changed) == (0, 0), story.third[name].output


@pytest.mark.parametrize("name", OF_KEYS)
def test_without_the_known_key_nothing_is_installed(story: Story, name: str) -> None:
    assert story.installed[name] == ""


def test_a_key_that_is_refused_leaves_apt_as_it_was(story: Story) -> None:
    assert story.sources == ""


def test_a_wrong_address_is_asked_once(story: Story, upstream: Upstream) -> None:
    paths = [request["path"] for request in upstream.requests()]
    assert paths.count("/nowhere/debian12/x86_64/cuda-keyring_1.1-1_all.deb") == 1


def test_the_holder_of_the_lock_is_named_and_left_alone(story: Story) -> None:
    assert story.first["locked"].said(f"process {story.holder} (python3)")
    assert is_there(story.fleet["locked"], LET_GO)()


def test_an_interrupted_installation_is_finished_first(story: Story) -> None:
    assert story.first["interrupted"].rc == 0, story.first["interrupted"].output
    assert is_there(story.fleet["interrupted"], CONFIGURED)()


def test_on_a_small_disk_nothing_is_begun(story: Story, upstream: Upstream) -> None:
    assert story.first["small"].changed == 0
    asked = [request["path"] for request in upstream.requests() if request["client"] == story.fleet["small"].address]
    assert asked.count("/cuda/cuda_8.0.61_375.26_linux-run") == 1
