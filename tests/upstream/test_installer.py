"""The conda_installation module with the stand-in's installers: of two versions, and Miniforge's."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from local_ec2.upstream import channel, installer

PROMPTLY = 120  # seconds, for any one command here
ROOT = Path(__file__).resolve().parents[2]
NEWER, MINIFORGE = "Miniconda3-py311_26.9.4-1-Linux-x86_64.sh", "Miniforge3-26.3.2-3-Linux-x86_64.sh"


@pytest.fixture(scope="module")
def installers(served, tmp_path_factory):
    """The served installer, and beside it a newer one and Miniforge's, of the same wheels."""
    wheels = tmp_path_factory.mktemp("wheels")
    packed = served.installer.read_bytes().partition(b"\n@@END_HEADER@@\n")[2]
    subprocess.run(["tar", "x", "-C", wheels, "wheels"], input=packed, check=True)
    others = [served.installer.with_name(name) for name in (NEWER, MINIFORGE)]
    for file in others:
        installer.write(file, sorted((wheels / "wheels").iterdir()))
    yield [served.installer.name, NEWER, MINIFORGE]
    for file in others:
        file.unlink()


@pytest.fixture(scope="module")
def licensed(served):
    """A channel with terms of use."""
    folder = served.directory / "licensed"
    folder.mkdir()
    terms = {"version": "2025-07-15T00:00:00+00:00", "text": "Be kind.", "support": "nobody"}
    (folder / "terms.json").write_text(json.dumps(terms))
    return f"{served.url}/licensed"


@pytest.fixture
def ensure(served, installers, tmp_path):
    """Run the module; its answer."""
    if not Path(channel.PYTHON).exists():
        pytest.skip(f"the stand-in for conda runs on {channel.PYTHON} of Debian 12")

    def run(name=installer.FILE, fault="", **options):
        file = served.installer.with_name(name)
        arguments = {
            "prefix": str(tmp_path / "opt/conda"),
            "url": f"{served.url}/miniconda/{name}",
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "version": name.partition("-")[2].partition("-Linux")[0],
            "condarc": {"channels": served.variables["miniconda_channels"]},
            "profile": str(tmp_path / "etc/profile.d/conda.sh"),
            "_ansible_remote_tmp": str(tmp_path / "tmp"),
            **options,
        }
        done = subprocess.run(
            [sys.executable, "-m", "plugins.modules.conda_installation"],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
            env={**os.environ, "INSTALLER_FAULT": fault, "HOME": str(tmp_path / "home")},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PROMPTLY,
        )
        return json.loads(done.stdout)

    return run


def ask(prefix, *arguments):
    done = subprocess.run([prefix / "bin/conda", *arguments], capture_output=True, text=True, timeout=PROMPTLY)
    return done.stdout.strip() or done.returncode


def fetched(served):
    """Bytes of installers that were downloaded so far."""
    lines = map(json.loads, served.log.read_text().splitlines() if served.log.exists() else [])
    return sum(line["bytes"] for line in lines if line["path"].startswith("/miniconda/"))


def test_installs_updates_in_place_and_fetches_each_byte_once(ensure, served, tmp_path):
    prefix, size, before = tmp_path / "opt/conda", served.installer.stat().st_size, fetched(served)
    assert ensure()["changed"] is True
    assert fetched(served) - before <= 1.02 * size
    (prefix / "envs/mine").mkdir()
    before = fetched(served)
    assert ensure()["changed"] is False
    assert fetched(served) == before
    assert ensure(NEWER)["changed"] is True
    assert ask(prefix, "--version") == "conda 26.9.4"
    assert [row["version"] for row in json.loads(ask(prefix, "list", "--json")) if row["name"] == "conda"] == ["26.9.4"]
    assert (prefix / "envs/mine").is_dir()
    shell = f". {tmp_path}/etc/profile.d/conda.sh && conda activate base && echo $CONDA_PREFIX"
    assert subprocess.check_output(["bash", "-c", shell], text=True).strip() == str(prefix)


def test_an_installer_that_breaks_off_leaves_nothing_that_counts(ensure, served):
    answer = ensure(fault="half")
    assert "ended with status 1: ERROR: the payload cannot be read" in answer["msg"]
    before = fetched(served)
    assert ensure()["before"] == "begun"
    assert fetched(served) == before


def test_terms_are_accepted_for_the_installation_and_no_user(ensure, licensed, tmp_path):
    prefix = tmp_path / "opt/conda"
    assert ensure(accept_terms=[licensed])["changed"] is True
    (record,) = (prefix / "conda-meta/tos").glob("*/*.json")
    assert json.loads(record.read_text())["base_url"] == licensed
    assert not (tmp_path / "home").exists()
    assert ensure(accept_terms=[licensed])["changed"] is False
    told = ensure(accept_terms=[f"{licensed}/nowhere"])["msg"]
    assert f"Terms of Service not found for {licensed}/nowhere" in told


def test_miniforge_has_nothing_to_accept(ensure, licensed, tmp_path):
    for changes in (True, False):
        assert ensure(MINIFORGE, accept_terms=[licensed])["changed"] is changes
    assert ask(tmp_path / "opt/conda", "--version") == "conda 26.3.2"
    assert ask(tmp_path / "opt/conda", "tos", "accept") == 2
