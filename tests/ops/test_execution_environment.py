"""The execution environment's definition, as ansible-builder reads it. No image is built."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from project import ROOT, Project


def builder(*arguments: str, cwd: Path) -> str:
    done = subprocess.run(["ansible-builder", *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def context(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What podman or docker would be given."""
    folder = tmp_path_factory.mktemp("execution-environment")
    for name in ("execution-environment.yml", "requirements.yml"):
        shutil.copy(ROOT / name, folder)
    (folder / "dist").mkdir()
    shutil.copy(tarball, folder / "dist")
    builder("create", cwd=folder)
    return folder / "context"


def test_the_image_gets_the_collection(context: Path, tarball: Path) -> None:
    assert (context / "_build/dist" / tarball.name).read_bytes() == tarball.read_bytes()
    assert "collections dist/*.tar.gz" in (context / "Containerfile").read_text()


def test_it_gets_the_collections_that_ours_depends_on(context: Path) -> None:
    galaxy = yaml.safe_load((context / "_build/requirements.yml").read_text())["collections"]
    ours = yaml.safe_load((ROOT / "galaxy.yml").read_text())["dependencies"]
    assert {one["name"]: one["version"] for one in galaxy} == ours


def test_it_gets_what_the_modules_need(installed: Project, tmp_path: Path) -> None:
    needed = yaml.safe_load(builder("introspect", str(installed.collections.parent), cwd=tmp_path))
    assert "openssh-clients [platform:rpm]  # from collection d2l.gluon_ec2" in needed["system"]
    assert any(line.startswith("boto3") for line in needed["python"])
