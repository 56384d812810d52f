"""Look at what the environment needs of the machine, in one visit; changes nothing, prints JSON, or why it cannot be.

look.py QUESTION, where QUESTION is JSON: packages, user, directory, version, proof.
"""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from pathlib import Path


def missing(packages: list[str]) -> list[str]:
    """Those of the Debian packages that are not installed."""
    query = ["dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Package}\n", *packages]
    lines = subprocess.run(query, capture_output=True, text=True).stdout.splitlines()
    installed = {line[3:] for line in lines if line.startswith("ii ")}
    return [package for package in packages if package not in installed]


def interrupted(journal: Path = Path("/var/lib/dpkg/updates")) -> bool:
    """Whether dpkg has begun what it has not finished; while there is a journal of that, apt refuses to work."""
    audit = subprocess.run(["dpkg", "--audit"], capture_output=True, text=True).stdout
    return bool(audit.strip() or any(journal.glob("[0-9]*")))


NO_GIT = 127


def checkout(directory: Path, version: str, user: pwd.struct_passwd) -> dict[str, str]:
    """Whether the folder is absent, somebody's other folder (foreign) or a checkout, and of what commit.

    `follows` is 'no' where the checkout is known not to contain the version.
    """
    if not os.path.lexists(directory) or (directory.is_dir() and not any(directory.iterdir())):
        return {"state": "absent", "commit": "", "follows": ""}
    asked = _git(directory, user, "rev-parse", "--verify", "HEAD")
    if asked.returncode == NO_GIT and (head := _head(directory)):
        # A checkout that came on a disk to a machine on which git is yet to be installed.
        return {"state": "checkout", "commit": head, "follows": "yes" if head == version else ""}
    commit = asked.stdout.strip()
    if not (directory / ".git").exists() or not commit:
        return {"state": "foreign", "commit": "", "follows": ""}
    contained = _git(directory, user, "merge-base", "--is-ancestor", version, "HEAD").returncode == 0
    return {"state": "checkout", "commit": commit, "follows": "yes" if contained else "no"}


def _git(directory: Path, user: pwd.struct_passwd, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run git as the owner: a repository's configuration can name commands, which are not to run as root."""
    owner = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    command, environment = ["git", "-C", str(directory), *arguments], {**os.environ, "HOME": user.pw_dir}
    try:
        return subprocess.run(command, capture_output=True, text=True, env=environment, **owner)
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, NO_GIT, "", "git is missing")


def _head(directory: Path) -> str:
    """The commit of a checkout, read without git; empty where that shows none."""
    try:
        head = (directory / ".git/HEAD").read_text().strip()
        return (
            (directory / ".git" / head.removeprefix("ref: ")).read_text().strip() if head.startswith("ref: ") else head
        )
    except OSError:
        return ""


def proven(proof: Path) -> list[str]:
    """The requirements with which MXNet was last imported."""
    return json.loads(proof.read_text() or "[]") if proof.is_file() else []


def main(question: dict) -> dict[str, object]:
    """The whole answer. Exits with a sentence where nothing can be built."""
    try:
        user = pwd.getpwnam(question["user"])
    except KeyError:
        sys.exit(
            f"gluon_env_user={question['user']} does not exist here: name a login of this machine, such as the one you "
            "use by SSH."
        )
    found = checkout(Path(question["directory"]), question["version"], user)
    if found["state"] == "foreign":
        sys.exit(
            f"{question['directory']} exists and is no git checkout, so nothing was touched: move it away, or set "
            "gluon_env_directory to another folder."
        )
    lacking = missing(question["packages"])
    return {
        "missing": lacking,
        "interrupted": bool(lacking) and interrupted(),
        "proven": proven(Path(question["proof"])),
        **found,
    }


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
