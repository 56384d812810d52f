# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""Which commit of the tutorial the work in a checkout began with."""

from __future__ import annotations

from .notebook_checkout_git import UPSTREAM, Failed, Git


def followed(git: Git, repository: str, target: str) -> str:
    """The newest commit of the tutorial's that the checked-out one contains. Raises Failed where there is none.

    What the last update noted; something newer, which the user pulled from the same repository; in a clone that was
    made before there were notes, the commit that it began with.
    """
    noted, head = git.commit(UPSTREAM), git.commit("HEAD")
    if noted and noted in (head, target):
        return noted
    upstream = [name for name in (noted, target) if name]
    base = git.perhaps("merge-base", "HEAD", *upstream, *_branches(git, _remotes(git, repository)))
    if base or noted:
        return base.partition("\n")[0] or noted
    roots = git.text("rev-list", "--max-parents=0", "HEAD").split()
    base = roots[0] if len(roots) == 1 and git.is_shallow() else ""
    base = base or git.perhaps("merge-base", "HEAD", *_branches(git, _remotes(git))).partition("\n")[0]
    if base and set(git.tree(base).items()) & set(git.tree(target).items()):
        return base
    raise Failed(
        f"{git.folder} holds another repository than {repository}: they have no commit and no file in common, so "
        "nothing was touched. Move it away, or name another folder."
    )


def addresses(git: Git) -> dict[str, str]:
    """Of each remote, by the name of the setting; and of the repository that the module followed last."""
    listed = git.perhaps("config", "--null", "--get-regexp", r"^(remote\..*\.url|gluon\.repository)$")
    lines = (line.partition("\n") for line in listed.split("\0") if line)
    return {key: url for key, _, url in lines}


def _remotes(git: Git, repository: str = "") -> list[str]:
    found = {key: url for key, url in addresses(git).items() if key.startswith("remote.")}
    return [key[len("remote.") : -len(".url")] for key, url in found.items() if repository in ("", url)]


def _branches(git: Git, names: list[str]) -> list[str]:
    folders = ["refs/gluon/heads", "refs/gluon/tags", *(f"refs/remotes/{name}" for name in names)]
    return git.text("for-each-ref", "--format=%(refname)", *(f"{folder}/" for folder in folders)).split()
