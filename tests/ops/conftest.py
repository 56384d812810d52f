"""The tarball, and empty projects in which it is installed."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from project import ROOT, Project, built


@pytest.fixture(scope="session")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ROOT, tmp_path_factory.mktemp("tarball"))


@pytest.fixture(scope="session")
def projects() -> Iterator[Callable[..., Project]]:
    """Makes empty projects, and ends with them."""
    made: list[Project] = []

    def make(**options: Path) -> Project:
        # Short: a socket's path has at most 107 characters.
        made.append(Project(Path(tempfile.mkdtemp(prefix="ops-")), **options))
        return made[-1]

    yield make
    for project in made:
        project.terminate()
        shutil.rmtree(project.folder)


@pytest.fixture(scope="session")
def installed(projects: Callable[..., Project], tarball: Path) -> Project:
    """A project with the collection, and no machine."""
    project = projects()
    project.install(tarball)
    return project
