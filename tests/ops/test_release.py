"""The version, its entry in the changelog, and tools/release."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from project import ROOT

VERSION = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
NEEDED = ("tools/release", "tools/say", "galaxy.yml", "CHANGELOG.md", "README.md", "LICENSE", "meta/runtime.yml")
ENTRIES = re.findall(r"^## \[(.+)\] - (.+)$", CHANGELOG, re.M)


def test_the_newest_entry_is_of_this_version() -> None:
    assert ENTRIES[0][0] == VERSION
    assert len(re.findall(r"^## ", CHANGELOG, re.M)) == len(ENTRIES)


def test_entries_have_dates_and_go_backwards() -> None:
    dates = [date for _, date in ENTRIES]
    assert [date for date in dates[1:] if not re.fullmatch(r"\d{4}-\d\d-\d\d", date)] == []
    assert re.fullmatch(r"\d{4}-\d\d-\d\d|unreleased", dates[0])
    numbers = [tuple(map(int, version.split("."))) for version, _ in ENTRIES]
    assert numbers == sorted(set(numbers), reverse=True)


def test_changes_are_of_the_known_kinds() -> None:
    kinds = re.findall(r"^### (.+)$", CHANGELOG, re.M)
    assert kinds
    assert set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_nothing_else_says_which_version_it_is() -> None:
    """But `version_added`, which is of a feature, and changelogs."""
    pattern = rf"gluon.ec2.{{0,20}}[^0-9.]{re.escape(VERSION)}([^0-9.]|$)"
    said = ["git", "grep", "-nE", pattern, "--", ".", ":!CHANGELOG.md"]
    assert subprocess.run(said, cwd=ROOT, capture_output=True, text=True, check=False).stdout == ""


class TestRelease:
    """tools/release, in a repository of its own."""

    @pytest.fixture
    def repository(self, tmp_path: Path) -> Path:
        folder = tmp_path / "repository"
        for name in NEEDED:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        (folder / ".gitignore").write_text("/.venv\n/dist/\n")
        (folder / ".venv").symlink_to(ROOT / ".venv")
        for command in ("init -q -b main", "config user.name x", "config user.email x@example.org"):
            subprocess.run(["git", *command.split()], cwd=folder, check=True)
        self.commit(folder, dated=True)
        return folder

    def commit(self, folder: Path, *, dated: bool) -> None:
        head = f"## [{VERSION}] - {'2026-01-02' if dated else 'unreleased'}"
        text = re.sub(rf"^## \[{re.escape(VERSION)}\] - .*$", head, CHANGELOG, flags=re.M)
        (folder / "CHANGELOG.md").write_text(text)
        subprocess.run(["git", "add", "."], cwd=folder, check=True)
        subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "x"], cwd=folder, check=True)

    def release(self, folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["tools/release"], cwd=folder, capture_output=True, text=True, check=False)

    def tags(self, folder: Path) -> str:
        return subprocess.run(["git", "tag"], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()

    def test_a_release_is_a_tag_and_a_tarball_with_its_checksum(self, repository: Path) -> None:
        done = self.release(repository)
        assert done.returncode == 0, done.stderr
        tarball = repository / f"dist/d2l-gluon_ec2-{VERSION}.tar.gz"
        assert hashlib.sha256(tarball.read_bytes()).hexdigest() in done.stdout
        assert self.tags(repository) == f"v{VERSION}"

    def test_a_version_is_released_once(self, repository: Path) -> None:
        subprocess.run(["git", "tag", f"v{VERSION}"], cwd=repository, check=True)
        done = self.release(repository)
        assert done.returncode == 1
        assert "galaxy.yml" in done.stderr

    def test_changes_that_are_not_committed_are_refused(self, repository: Path) -> None:
        (repository / "LICENSE").write_text("another\n")
        done = self.release(repository)
        assert done.returncode == 1
        assert "LICENSE" in done.stderr
        assert self.tags(repository) == ""

    def test_an_entry_without_a_date_is_refused(self, repository: Path) -> None:
        self.commit(repository, dated=False)
        done = self.release(repository)
        assert done.returncode == 1
        assert f"## [{VERSION}] - " in done.stderr
        assert self.tags(repository) == ""
