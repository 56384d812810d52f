"""The notebook_checkout module where there is no checkout, where one is left alone, and what it refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from notebook_checkout_place import BOOK, Place, empty, git, raw

from plugins.module_utils import notebook_checkout

__all__ = ["empty"]


def test_one_commit_is_cloned_to_a_branch_for_the_readers_commits(empty: Place) -> None:
    answer = empty.good()
    assert (answer["state"], answer["before"], answer["commit"]) == ("cloned", "", empty.head())
    assert empty.tree() == {path: raw(content) for path, content in BOOK.items()}
    assert empty.git("branch", "--show-current") == "notebooks"
    assert empty.git("rev-list", "--count", "HEAD") == "1"
    assert empty.git("config", "remote.origin.url") == str(empty.upstream)
    assert empty.git("status", "--porcelain") == ""
    assert [path.name for path in empty.home.iterdir()] == ["book"]


@pytest.mark.parametrize("update", [False, True])
def test_a_second_run_changes_nothing(empty: Place, update: bool) -> None:
    empty.good()
    before = snapshot(empty.checkout)
    assert empty.good(update=update)["changed"] is False
    assert snapshot(empty.checkout) == before


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and time of every file, git's too."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_what_jupyter_keeps_is_no_change(empty: Place) -> None:
    empty.good()
    empty.write("chapter_one/.ipynb_checkpoints/arrays-checkpoint.md", "x")
    assert empty.git("status", "--porcelain") == ""


@pytest.mark.parametrize("version", ["main", "v1", "commit"])
def test_a_version_is_a_branch_a_tag_or_a_commit(empty: Place, version: str) -> None:
    head = empty.head()
    git(empty.upstream, "-c", "user.name=a", "-c", "user.email=a", "tag", "-a", "-m", "first", "v1", f"{head}~")
    old = git(empty.upstream, "rev-parse", f"{head}~")
    wanted = {"main": head, "v1": old, "commit": old}[version]
    assert empty.good(old if version == "commit" else version)["commit"] == wanted
    assert empty.git("rev-parse", "HEAD") == wanted


def test_an_empty_folder_is_taken(empty: Place) -> None:
    empty.checkout.mkdir()
    assert empty.good()["state"] == "cloned"


def foreign_folder(place: Place) -> None:
    place.write("thesis.tex", "mine")


def foreign_file(place: Place) -> None:
    place.checkout.write_text("mine")


def broken_link(place: Place) -> None:
    place.checkout.symlink_to("/nowhere")


def folder_in_a_repository(place: Place) -> None:
    git(place.home, "init", "-q")
    git(place.home, "commit", "-q", "--allow-empty", "-m", "mine")
    place.write("thesis.tex", "mine")


def not_yet_a_commit(place: Place) -> None:
    place.write("thesis.tex", "mine")
    place.git("init", "-q")


def linked_worktree(place: Place) -> None:
    git(place.home, "init", "-q", "other")
    git(place.home / "other", "commit", "-q", "--allow-empty", "-m", "mine")
    git(place.home / "other", "worktree", "add", "-q", str(place.checkout))


FOREIGN = [foreign_folder, foreign_file, broken_link, folder_in_a_repository, not_yet_a_commit, linked_worktree]


@pytest.mark.parametrize("make", FOREIGN)
@pytest.mark.parametrize("update", [False, True])
def test_what_is_no_checkout_is_refused_untouched(empty: Place, make: object, update: bool) -> None:
    make(empty)
    before = snapshot(empty.home)
    for check in (True, False):
        answer = empty(check=check, update=update)
        assert "is no git checkout of its own, so nothing was touched" in answer["msg"]
    assert snapshot(empty.home) == before


def test_check_mode_before_a_clone(empty: Place) -> None:
    answer = empty.good(check=True)
    assert (answer["changed"], answer["state"], answer["commit"]) == (True, "cloned", empty.head())
    assert answer["diff"] == {"before": "", "after": f"commit {empty.head()}\n"}
    assert empty.good("main", check=True)["commit"] == ""
    assert list(empty.home.iterdir()) == []


def test_without_git_check_mode_tells_what_it_can(empty: Place) -> None:
    params = {
        "repository": str(empty.upstream),
        "directory": str(empty.checkout),
        "user": "me",
        "timeout": 9,
        "retries": 0,
    }

    def tell(version: str, update: bool, check: bool = True) -> dict:
        return notebook_checkout.work({**params, "version": version, "update": update}, check, has_git=False)

    head = empty.head()
    assert tell(head, False)["state"] == "cloned"
    assert "git is not on this machine" in tell(head, False, check=False)["msg"]
    empty.good()
    for update in (False, True):
        assert (tell(head, update)["changed"], tell(head, update)["commit"]) == (False, head)
    other = "1" * 40
    assert tell(other, False, check=False)["changed"] is False
    told = tell(other, True)
    assert (told["changed"], told["before"], told["commit"]) == (True, head, other)
    assert told["sentences"] == ["git is not installed yet, so it is not known which files would change."]
    shutil.rmtree(empty.checkout / ".git")
    assert "is no git checkout" in tell(head, True)["msg"]


def test_an_update_that_was_not_asked_for_is_not_made(empty: Place) -> None:
    old = git(empty.upstream, "rev-parse", "main~")
    empty.good(old)
    empty.write("README.md", "mine\n")
    (empty.checkout / ".git/index.lock").touch()
    before = snapshot(empty.checkout)
    answer = empty.good(update=False)
    assert (answer["changed"], answer["commit"]) == (False, old)
    assert answer["sentences"] == [
        f"{empty.checkout} stands at {old} and does not contain {empty.head()}. It is left as it is."
    ]
    assert snapshot(empty.checkout) == before


def test_own_commits_on_the_version_are_no_other_version(empty: Place) -> None:
    empty.good()
    empty.git("commit", "-q", "--allow-empty", "-m", "mine")
    assert empty.good(update=False)["sentences"] == []


@pytest.mark.parametrize("stage", ["init", "fetch", "checkout"])
def test_an_interrupted_clone_is_continued(empty: Place, stage: str) -> None:
    part = empty.home / ".book.part"
    git(empty.home, "init", "-q", str(part))
    (part / ".git/config.lock").touch()
    if stage != "init":
        git(part, "fetch", "-q", "--depth=1", str(empty.upstream), "main")
        (part / ".git/shallow.lock").touch()
    if stage == "checkout":
        git(part, "checkout", "-q", "-B", "notebooks", "FETCH_HEAD")
        (part / "README.md").write_text("half of it")
        (part / ".git/index.lock").touch()
    empty.good()
    assert empty.tree() == {path: raw(content) for path, content in BOOK.items()}
    assert [path.name for path in empty.home.iterdir()] == ["book"]
    assert empty.git("status", "--porcelain") == ""


WRONG = {
    "an option": {"repository": "--upload-pack=touch"},
    "nothing": {"repository": ""},
    "a space": {"repository": "https://example.org/a b"},
    "an option as version": {"version": "--all"},
    "a refspec": {"version": "main:refs/heads/notebooks"},
    "a range": {"version": "a..b"},
    "a relative folder": {"directory": "book"},
    "the root": {"directory": "/"},
    "above": {"directory": "/home/../etc"},
    "a newline": {"directory": "/home/a\nb"},
}


@pytest.mark.parametrize("given", WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_refused_in_a_sentence(empty: Place, given: dict[str, str]) -> None:
    [(name, value)] = given.items()
    said = empty(**given)["msg"]
    assert said.startswith(f"{name}={value} is no ")
    assert list(empty.home.iterdir()) == []


def test_a_path_with_spaces_and_other_letters(empty: Place) -> None:
    empty.checkout = empty.home / "my 书 $(touch x)"
    empty.good()
    empty.publish({"README.md": "new\n"})
    assert empty.good()["updated"] == ["README.md"]
    assert not (empty.home / "x").exists()


def test_a_folder_may_be_named_by_a_link(empty: Place) -> None:
    elsewhere = empty.home / "disk/book"
    empty.good(directory=str(elsewhere))
    empty.checkout.symlink_to(elsewhere)
    empty.write("README.md", "mine\n")
    empty.publish({"chapter_one/arrays.md": "new\n"})
    assert empty.good()["updated"] == ["chapter_one/arrays.md"] and empty.checkout.is_symlink()


def test_hooks_of_the_repository_do_not_run(empty: Place) -> None:
    empty.good()
    hooks = empty.checkout / ".git/hooks"
    hooks.mkdir()
    for name in ("post-checkout", "reference-transaction", "post-index-change", "pre-auto-gc"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {empty.home}/ran\n")
        (hooks / name).chmod(0o755)
    empty.publish({"README.md": "new\n"})
    empty.good()
    assert not (empty.home / "ran").exists()
    empty.git("commit", "-q", "--allow-empty", "-m", "mine")
    assert (empty.home / "ran").exists(), "they run for the user"


def test_the_environment_does_not_lead_elsewhere(empty: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    git(empty.home, "init", "-q", "other")
    for name, value in {"GIT_DIR": ".git", "GIT_WORK_TREE": "", "GIT_INDEX_FILE": "index"}.items():
        monkeypatch.setenv(name, str(empty.home / "other" / value))
    before = snapshot(empty.home / "other")
    answer = empty(version="main")
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name)
    assert answer["state"] == "cloned" and snapshot(empty.home / "other") == before
    assert empty.git("status", "--porcelain") == ""
