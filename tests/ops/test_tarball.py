"""What is in the tarball: the product, all of it, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from project import ROOT

PRODUCT = ("docs/", "meta/", "playbooks/", "plugins/", "roles/")
BESIDE = {"CHANGELOG.md", "bindep.txt", "LICENSE", "README.md", "README.zh.md"}
NOT_FOR_USERS = {"docs/development.md"}
MADE = {"FILES.json", "MANIFEST.json"}


@pytest.fixture(scope="module")
def content(tarball: Path) -> dict[str, bytes]:
    """The files by name."""
    with tarfile.open(tarball) as archive:
        return {one.name: archive.extractfile(one).read() for one in archive if one.isfile() or one.issym()}


def test_it_is_the_product_and_nothing_else(content: dict[str, bytes]) -> None:
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    there = {name for name in files if (ROOT / name).exists()}
    product = {name for name in there if name.startswith(PRODUCT) or name in BESIDE} - NOT_FOR_USERS
    assert set(content) - MADE == product


def test_no_file_names_a_folder_of_this_machine(content: dict[str, bytes]) -> None:
    here = "|".join(re.escape(path) for path in (str(ROOT), sys.prefix))
    found = re.compile(rf"(?<![\w.])({here})(?![\w-])".encode())
    assert [name for name, text in content.items() if found.search(text)] == []


def test_it_is_small(tarball: Path) -> None:
    assert tarball.stat().st_size < 1_000_000


def test_it_says_which_version_it_is(content: dict[str, bytes], tarball: Path) -> None:
    about = json.loads(content["MANIFEST.json"])["collection_info"]
    assert tarball.name == f"d2l-gluon_ec2-{about['version']}.tar.gz"
    assert about["dependencies"] == {"amazon.aws": ">=10.0.0"}
