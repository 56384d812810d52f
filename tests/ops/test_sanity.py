"""ansible-test's sanity tests, of the installed collection."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOT, Project

pytestmark = pytest.mark.slow

# Its rules about names are others than ruff's, which judges the Python here.
SKIPPED = ["--skip-test", "pylint"]
# ansible-test downloads what installs pip from a site of its own. Python has a pip in it.
BOOTSTRAP = "import ensurepip\n\nensurepip.bootstrap()\n"
PIP = "24.2"  # what ansible-test 2.19 asks for, and the name of its file


@pytest.fixture(scope="module")
def collection(installed: Project) -> Path:
    """A copy of the installed collection beside those that it needs, with the settings of ansible-test."""
    root = installed.folder / "sanity/ansible_collections"
    copy = root / "d2l/gluon_ec2"
    shutil.copytree(installed.collections / "d2l/gluon_ec2", copy)
    (root / "amazon").symlink_to((installed.collections / "amazon").resolve())
    shutil.copytree(ROOT / "tests/sanity", copy / "tests/sanity")
    shutil.move(copy / "tests/sanity/config.yml", copy / "tests/config.yml")
    # The collection has the MIT licence; ansible-test knows one only.
    plugins = [file for kind in ("callback", "inventory", "modules") for file in (copy / "plugins" / kind).glob("*.py")]
    with (copy / "tests/sanity/ignore-2.19.txt").open("a") as ignored:
        ignored.writelines(
            f"{file.relative_to(copy)} validate-modules:missing-gplv3-license # MIT\n" for file in sorted(plugins)
        )
    return copy


def test_it_finds_nothing(collection: Path) -> None:
    # The virtual environments that it makes for its tests are kept from run to run.
    home = ROOT / ".cache/sanity"
    bootstrap = home / f".ansible/test/cache/get_pip_{PIP.replace('.', '_')}.py"
    bootstrap.parent.mkdir(parents=True, exist_ok=True)
    bootstrap.write_text(BOOTSTRAP)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    settings = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    done = subprocess.run(
        [str(Path(sys.prefix) / "bin/ansible-test"), "sanity", "--python", python, *SKIPPED],
        cwd=collection,
        env=settings | {"HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    # Inside of a repository that ignores the folder it would find nothing, and be content.
    assert "All targets skipped" not in done.stdout
