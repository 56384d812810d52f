"""A machine of an earlier release, and then this one: it goes forward, and what its reader has stays."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from project import ROLES, ROOT, Project, Run, built

pytestmark = pytest.mark.slow

# What a reader does: a change to a file of the tutorial, and a file of their own.
READ = """
set -e
cd /home/admin/*/
echo 'a thought of the reader' >>README.md
echo 'print(1)' >mine.py
chown admin: README.md mine.py
"""
# And what may not be lost or become another: also the token, by which their browser is signed in.
KEPT = """
set -e
cd /home/admin/*/
tail -n1 README.md
cat mine.py
sha256sum </etc/jupyter/token
stat -c %i /home/admin
"""
ASK = """
import urllib.request
token = open("/etc/jupyter/token").read().strip()
request = urllib.request.Request("http://127.0.0.1:8888/api/status", headers={"Authorization": f"token {token}"})
print(urllib.request.urlopen(request).status)
"""


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def earlier() -> str:
    """The commit of UPGRADE_FROM, else the last release, else the first commit that has all that the examples use."""
    if named := os.environ.get("UPGRADE_FROM"):
        commit = git("rev-parse", "--verify", "--quiet", f"{named}^{{commit}}")
        assert commit, f"UPGRADE_FROM is {named!r}, and no commit here is called so."
        return commit
    if release := git("describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD^"):
        return release
    # In a shallow clone its oldest commit seems to have brought everything.
    if git("rev-parse", "--is-shallow-repository") != "false":
        pytest.skip("this is a clone without history: UPGRADE_FROM=COMMIT names what to upgrade from")
    return git(
        "log", "-1", "--diff-filter=A", "--format=%H", "--", "roles/*/defaults/main.yml", "playbooks/*/*.cpu.txt"
    )


@dataclass
class Upgrade:
    """A machine that was upgraded."""

    project: Project
    before: str
    run: Run


@pytest.fixture(scope="module")
def upgrade(
    shared_cloud: None, projects: Callable[..., Project], tarball: Path, tmp_path_factory: pytest.TempPathFactory
) -> Upgrade:
    commit = earlier()
    source, target = tmp_path_factory.mktemp("earlier"), tmp_path_factory.mktemp("tarball")
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", str(source)], input=archive, check=True)
    project = projects()
    project.install(tarball)
    project.machine("upgrade")
    project.install(built(source, target))
    # A role may be younger, and come with the upgrade.
    old = project.examples(*[role for role in ROLES if (source / "roles" / role).is_dir()])
    project.install(tarball)
    assert old.rc == 0, old.output
    project.on_machine(READ)
    before = project.on_machine(KEPT)
    return Upgrade(project, before, project.examples(*ROLES, more=("-e", "gluon_env_update=true")))


def test_it_succeeds(upgrade: Upgrade) -> None:
    assert upgrade.run.rc == 0, upgrade.run.output


def test_what_the_reader_has_stays(upgrade: Upgrade) -> None:
    assert "a thought of the reader" in upgrade.before
    assert upgrade.project.on_machine(KEPT) == upgrade.before


def test_the_notebook_answers_with_the_same_token(upgrade: Upgrade) -> None:
    assert upgrade.project.on_machine(f"python3 - <<'END'\n{ASK}\nEND") == "200"


def test_then_nothing_is_left_to_do(upgrade: Upgrade) -> None:
    again = upgrade.project.examples(*ROLES, more=("-e", "gluon_env_update=true"))
    assert again.rc == 0, again.output
    assert again.changed == 0
