"""The tutorial as a git repository whose commit ids are the same wherever it is built."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from local_ec2.say import Refusal

TUTORIAL = Path(__file__).parent / "tutorial"
SOURCES = [TUTORIAL]
NAME = "gluon-tutorials-zh.git"

# A chapter a commit, the way a book grows; a history also gives shallow clones something to leave out.
COMMITS = [
    ("Environment", "2026-11-01T09:00:00Z", ["README.md", "environment.yml"]),
    ("Arrays and autograd", "2026-11-02T09:00:00Z", ["chapter_prerequisite"]),
    ("Linear regression", "2026-11-03T09:00:00Z", ["chapter_deep-learning-basics", "img"]),
    ("Using a GPU", "2026-11-04T09:00:00Z", ["."]),
]
BRANCH = "main"


def build(folder: Path, say: Callable[[str], None]) -> None:
    """Make the bare repository in `folder`."""
    repository = folder / NAME
    with tempfile.TemporaryDirectory() as temporary:
        tree = Path(temporary) / "tutorial"
        shutil.copytree(TUTORIAL, tree, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
        _git(tree, "init", "--quiet", "--object-format=sha1", f"--initial-branch={BRANCH}")
        # Neither the umask nor line endings of this checkout may show in a commit id.
        _git(tree, "config", "core.fileMode", "false")
        for message, date, paths in COMMITS:
            _git(tree, "add", "--force", "--", *paths)
            _git(tree, "commit", "--quiet", f"--message={message}", date=date)
        _git(tree, "clone", "--quiet", "--bare", "--no-hardlinks", ".", str(repository))
    # A pinned commit is fetched by its id, also when a branch has moved on; nothing is ever pushed.
    for key, value in {"uploadpack.allowReachableSHA1InWant": "true", "http.receivepack": "false"}.items():
        _git(repository, "config", key, value)
    _git(repository, "remote", "remove", "origin")


def head(folder: Path) -> str:
    """The id of the newest commit in the repository that `build` made in `folder`."""
    return _git(folder / NAME, "rev-parse", BRANCH).strip()


def _git(directory: Path, *arguments: str, date: str = "") -> str:
    """Run git without anybody's configuration; raises Refusal with git's own words."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    for role in ("AUTHOR", "COMMITTER"):
        environment[f"GIT_{role}_NAME"] = "gluon-ec2"
        environment[f"GIT_{role}_EMAIL"] = "gluon-ec2@example.org"
        environment[f"GIT_{role}_DATE"] = date
    if not shutil.which("git"):
        raise Refusal("git is not on this machine, and it serves the tutorial: install git, then run again.")
    done = subprocess.run(["git", *arguments], cwd=directory, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise Refusal(f"the tutorial's repository was not made, git {arguments[0]} said: {done.stderr.strip()}")
    return done.stdout
