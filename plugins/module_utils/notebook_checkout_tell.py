# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""What became of a checkout, told as data and as sentences for who works in it."""

from __future__ import annotations

import os
from typing import Any

from .notebook_checkout_update import Update

LISTS = ("added", "updated", "merged", "restored", "removed")
MOST = 8  # names in a sentence


def answer(state: str, before: str, commit: str, sentences: list[str]) -> dict[str, Any]:
    """The module's answer where nothing is to be told of files."""
    told = {"changed": state != "unchanged", "state": state, "before": before, "commit": commit, "backup": ""}
    diff = {"before": f"commit {before}\n" if before else "", "after": f"commit {commit or 'not known yet'}\n"}
    return {**told, **{name: [] for name in LISTS}, "kept": [], "renamed": [], "sentences": sentences, "diff": diff}


def tell(run: Update, before: str, commit: str, origin: str) -> dict[str, Any]:
    """What an update did, or in check mode would do. `origin` is the new address of the remote, where it has one."""
    lists = {name: [shown(path) for path, action in sorted(run.done.items()) if action == name] for name in LISTS}
    kept = {path: run.copies.get(path, "") for path, action in run.done.items() if action == "kept"}
    told = {
        **lists,
        "kept": [{"path": shown(path), "upstream": shown(name)} for path, name in sorted(kept.items())],
        "renamed": [{"path": shown(path), "to": shown(name)} for path, name in sorted(run.renamed.items())],
    }
    is_changed = run.has_moved or any(told.values()) or bool(run.unlocked or origin)
    result = answer("updated" if is_changed else "unchanged", before, commit, [])
    lines = [f"{action} {path}\n" for action in LISTS for path in lists[action]]
    lines += [f"kept {one['path']}, the tutorial's is {one['upstream'] or 'not taken'}\n" for one in told["kept"]]
    lines += [f"renamed {one['path']} to {one['to']}\n" for one in told["renamed"]]
    result["diff"]["after"] += "".join(lines)
    return {**result, **told, "backup": run.backup, "sentences": sentences(run, told, before, commit, origin)}


def sentences(run: Update, told: dict[str, Any], before: str, commit: str, origin: str) -> list[str]:
    was, were, lies = ("would be", "would be", "would lie") if run.check else ("was", "were", "lies")
    found = []
    if run.has_moved:
        counts = [f"{len(told[name])} {name}" for name in (*LISTS, "kept", "renamed") if told[name]]
        files = ", ".join(counts) or "no file differs"
        found.append(f"The tutorial {was} brought from {before[:7]} to {commit[:7]} in {run.git.folder}: {files}.")
    if told["restored"]:
        found.append(f"What had been deleted {was} fetched back: {several(told['restored'])}.")
    if told["merged"]:
        found.append(f"Your changes and the tutorial's {were} put together in {several(told['merged'])}.")
    for one in told["kept"]:
        copy = f"; the tutorial's {lies} beside it, as {one['upstream']}" if one["upstream"] else ""
        found.append(f"{one['path']} {was} kept as you have it{copy}.")
    for path, name in sorted(run.renamed.items()):
        if run.done.get(path) == "renamed":
            found.append(f"Your {shown(path)} {was} renamed to {shown(name)}, because the tutorial uses that name.")
        else:
            found.append(f"What was saved in {shown(path)} while it was looked at {was} put into {shown(name)}.")
    if run.backup:
        found.append(f"What you had before {was} saved in the branch {run.backup} (git show {run.backup}).")
    if run.left_branch:
        found.append(f"Your branch {run.left_branch} is as you left it; the checkout {was} switched to notebooks.")
    if run.unlocked:
        found.append(f"A git command had been cut off, and its lock was removed: {several(run.unlocked)}.")
    if origin:
        found.append(f"The remote origin is {origin} now.")
    return found


def several(names: list[str]) -> str:
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(names[:MOST]) + more


def shown(path: str) -> str:
    """A path as text; a name need not be."""
    return os.fsencode(path).decode(errors="backslashreplace")
