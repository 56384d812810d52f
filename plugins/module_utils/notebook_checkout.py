# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""A checkout of notebooks: made where there is none, brought forward where that is asked for, else left alone."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from pathlib import Path
from typing import Any

from .notebook_checkout_base import addresses, followed
from .notebook_checkout_git import FULL_ID, NEXT, UPSTREAM, Failed, Git
from .notebook_checkout_tell import answer, shown, tell
from .notebook_checkout_update import Update

ADDRESS = re.compile(r"[^\s-][^\s]*|/.*")
VERSION = re.compile(r"\w[\w./+-]*")
# What Jupyter keeps beside each notebook is no change of the tutorial.
EXCLUDED = ".ipynb_checkpoints/\n"


def work(params: dict[str, Any], check: bool, has_git: bool) -> dict[str, Any]:
    """The whole visit, with the owner's rights; the module's answer, with `msg` where it failed."""
    # A lease on a file (see Files) would else end the process when somebody opens that file.
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    try:
        return _work(params, check, has_git)
    except Failed as error:
        return {"msg": shown(str(error))}
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return {"msg": shown(f"{where}{error.strerror}. Nothing is lost; correct that, and run again to continue.")}


def _work(params: dict[str, Any], check: bool, has_git: bool) -> dict[str, Any]:
    refuse_wrong_values(params)
    folder, version = Path(params["directory"]), params["version"]
    is_there = has_something(folder)
    if not has_git:
        return without_git(folder, version, is_there, params["update"], check)
    git = Git(folder)
    if not is_there:
        return clone(git, params, check)
    refuse_foreign(git, params["user"])
    return update(git, params, check) if params["update"] else leave(git, version)


def refuse_wrong_values(params: dict[str, Any]) -> None:
    if not ADDRESS.fullmatch(params["repository"]):
        raise Failed(f"repository={params['repository']} is no address of a git repository, nor a path of one.")
    if not VERSION.fullmatch(params["version"]) or ".." in params["version"]:
        raise Failed(f"version={params['version']} is no commit, tag or branch.")
    if not re.fullmatch(r"/[^\0\n]*[^/\0\n]", params["directory"]) or "/../" in f"{params['directory']}/":
        raise Failed(f"directory={params['directory']} is no absolute path of a folder.")


def has_something(folder: Path) -> bool:
    """Whether there is anything; an empty folder is taken for nothing."""
    return os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir()))


def refuse_foreign(git: Git, user: str) -> None:
    """Raises Failed, where the folder is no checkout of its own."""
    top = git.perhaps("rev-parse", "--show-toplevel")
    if (git.dir.is_dir() and top and Path(top).samefile(git.folder)) and git.commit("HEAD"):
        return
    if git.folder.is_dir() and git.dir.exists() and git.folder.stat().st_uid != os.geteuid():
        raise Failed(f"{git.folder} is a git checkout that is not {user}'s: give it to {user}, or name its owner.")
    raise foreign(git.folder)


def foreign(folder: Path) -> Failed:
    return Failed(
        f"{folder} exists and is no git checkout of its own, so nothing was touched: move it away, "
        "or name another directory."
    )


def without_git(folder: Path, version: str, is_there: bool, wants_update: bool, check: bool) -> dict[str, Any]:
    """What can be told before git is installed."""
    commit = head_of(folder) if is_there else ""
    if is_there and not commit:
        raise foreign(folder)
    if is_there and (not wants_update or version == commit):
        return answer("unchanged", commit, commit, [])
    if not check:
        raise Failed(f"git is not on this machine, and {folder} needs it: install git, then run again.")
    known = version if FULL_ID.fullmatch(version) else ""
    unknown = "git is not installed yet, so it is not known which files would change."
    return answer("updated", commit, known, [unknown]) if is_there else would_clone(folder, version)


def head_of(folder: Path) -> str:
    """The commit of a checkout, read without git; empty where that shows none."""
    with contextlib.suppress(OSError):
        head = (folder / ".git/HEAD").read_text().strip()
        return (folder / ".git" / head[5:]).read_text().strip() if head.startswith("ref: ") else head
    return ""


def clone(git: Git, params: dict[str, Any], check: bool) -> dict[str, Any]:
    """One commit, without its history. The checkout gets its name when it is whole; an interrupted one is continued."""
    folder, version = git.folder, params["version"]
    if check:
        return would_clone(folder, version)
    part = folder.with_name(f".{folder.name}.part")
    part.mkdir(parents=True, exist_ok=True)
    new = Git(part)
    with new.alone(part):
        # Another run may have finished it while this one waited.
        if not part.exists():
            return _work(params, check, True)
        for lock in new.stale_locks():
            lock.unlink()
        new.run("init", "--quiet", "--initial-branch=notebooks")
        note(new, params["repository"])
        commit = new.obtain(params["repository"], version, params["timeout"], params["retries"])
        (new.dir / "info").mkdir(exist_ok=True)
        (new.dir / "info/exclude").write_text(EXCLUDED)
        new.run("checkout", "--quiet", "--force", "-B", "notebooks", commit, "--")
        new.run("update-ref", UPSTREAM, commit)
        new.run("update-ref", "-d", NEXT)
        part.rename(folder)
    return answer("cloned", "", commit, [f"The notebooks are in {folder}."])


def would_clone(folder: Path, version: str) -> dict[str, Any]:
    known = version if FULL_ID.fullmatch(version) else ""
    return answer("cloned", "", known, [f"The notebooks would be cloned to {folder}."])


def note(git: Git, repository: str) -> None:
    git.run("config", "remote.origin.url", repository)
    git.run("config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
    git.run("config", "gluon.repository", repository)


def follow(git: Git, repository: str, check: bool) -> bool:
    """Have origin name the repository, unless the user gave it another address; whether that is a change."""
    known = addresses(git)
    origin, ours = known.get("remote.origin.url", ""), known.get("gluon.repository", "")
    if not origin or repository == ours or origin not in (ours, repository):
        return False
    if not check:
        note(git, repository)
    return origin != repository


def leave(git: Git, version: str) -> dict[str, Any]:
    """A checkout that is there belongs to who works in it."""
    commit, sentences = git.commit("HEAD"), []
    is_followed = version in (commit, git.commit(UPSTREAM)) or git.contains(version)
    if FULL_ID.fullmatch(version) and not is_followed:
        sentences = [f"{git.folder} stands at {commit} and does not contain {version}. It is left as it is."]
    if (git.dir / "gluon/update.json").exists():
        sentences.append(f"An update of {git.folder} was interrupted; the next one finishes it.")
    return answer("unchanged", commit, commit, sentences)


def update(git: Git, params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Bring the checkout forward. What an interrupted run began comes first, and is all that check mode can see."""
    repository, version = params["repository"], params["version"]
    with git.alone(git.dir):
        run = Update(git, check)
        run.unlock()
        before, commit = run.journal.get("before", ""), run.journal.get("target", "")
        if before:
            run.bring(before, commit)
            if check:
                return tell(run, before, commit, "")
        noted = git.commit(UPSTREAM)
        target = noted if version == noted else git.obtain(repository, version, params["timeout"], params["retries"])
        base = followed(git, repository, target)
        run.bring(base, target)
        is_followed = follow(git, repository, check)
        if not check and (noted != target or version != target):
            git.run("update-ref", UPSTREAM, target)
            git.run("update-ref", "-d", NEXT)
        return tell(run, before or base, target, repository if is_followed else "")
