"""Which commit of the tutorial the work in a checkout began with, where nothing was noted."""

from __future__ import annotations

from pathlib import Path

import pytest
from notebook_checkout_place import ARRAYS, BOOK, BOTH, MINE, THEIRS, Place, git, place

__all__ = ["place"]


def work(place: Place, commit: bool) -> None:
    place.write(ARRAYS, MINE)
    if commit:
        place.git("commit", "-q", "-a", "-m", "mine")


def forget(place: Place) -> None:
    """As checkouts were before there were notes."""
    place.git("update-ref", "-d", "refs/gluon/upstream")
    place.git("config", "--unset", "gluon.repository")


@pytest.mark.parametrize("commit", [False, True])
def test_a_clone_from_before_there_were_notes(place: Place, commit: bool) -> None:
    forget(place)
    work(place, commit)
    place.publish({ARRAYS: THEIRS, "old.md": None})
    answer = place.good()
    assert (answer["merged"], answer["removed"], place.read(ARRAYS)) == ([ARRAYS], ["old.md"], BOTH)
    assert place.good()["changed"] is False


def test_nothing_new_for_a_clone_without_notes(place: Place) -> None:
    forget(place)
    work(place, commit=True)
    own = place.git("rev-parse", "HEAD")
    assert place.good()["changed"] is False
    assert place.git("rev-parse", "HEAD") == own


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A clone that the user made, with all the history."""
    place = Place(tmp_path, monkeypatch)
    place.publish({"README.md": "First edition\n"})
    place.publish(BOOK)
    git(place.home, "clone", "-q", str(place.upstream), str(place.checkout))
    return place


@pytest.mark.parametrize("commit", [False, True])
def test_a_clone_of_the_users_keeps_its_branch_and_its_history(full: Place, commit: bool) -> None:
    work(full, commit)
    own = full.git("rev-parse", "main")
    target = full.publish({ARRAYS: THEIRS, "old.md": None})
    answer = full.good()
    assert (answer["merged"], answer["removed"], full.read(ARRAYS)) == ([ARRAYS], ["old.md"], BOTH)
    assert (full.git("rev-parse", "main"), full.git("rev-parse", "notebooks")) == (own, target)
    assert full.git("rev-list", "--count", "notebooks") == "3" and not (full.checkout / ".git/shallow").exists()
    assert any("Your branch main is as you left it" in sentence for sentence in answer["sentences"])
    assert full.good()["changed"] is False


def test_a_clone_of_the_users_that_is_up_to_date_is_left(full: Place) -> None:
    assert full.good()["changed"] is False and full.git("branch", "--show-current") == "main"


def test_commits_that_the_user_pushed_to_a_fork_are_still_the_users(full: Place) -> None:
    fork = full.folder / "fork.git"
    git(full.folder, "clone", "-q", "--bare", str(full.upstream), str(fork))
    full.git("remote", "set-url", "origin", str(fork))
    work(full, commit=True)
    full.git("push", "-q", "origin", "main")
    full.publish({ARRAYS: THEIRS})
    assert full.good()["merged"] == [ARRAYS] and full.read(ARRAYS) == BOTH


def test_what_the_user_pulled_is_the_tutorials(place: Place) -> None:
    work(place, commit=True)
    place.publish({"README.md": "Second edition\n"})
    place.git("-c", "pull.rebase=false", "pull", "-q", "--no-edit", str(place.upstream), "main")
    place.git("fetch", "-q", "origin")
    place.publish({"README.md": "Third edition\n", ARRAYS: THEIRS})
    answer = place.good()
    assert (answer["updated"], answer["merged"], answer["kept"]) == (["README.md"], [ARRAYS], [])
    assert place.good()["changed"] is False


def test_another_repository_is_refused_untouched(place: Place) -> None:
    other = place.folder / "other.git"
    git(place.folder, "init", "-q", "--bare", "-b", "main", str(other))
    place.upstream = other
    place.publish({"README.md": "Another book\n", "x.md": "x\n"})
    forget(place)
    before, refs = place.tree(), place.git("for-each-ref", "refs/heads")
    answer = place()
    assert "holds another repository than" in answer["msg"] and "nothing was touched" in answer["msg"]
    assert place.tree() == before and place.git("for-each-ref", "refs/heads") == refs


def test_an_own_repository_is_refused_untouched(place: Place) -> None:
    place.checkout = place.home / "mine"
    git(place.home, "init", "-q", "mine")
    place.write("README.md", "mine\n")
    place.git("add", "--all")
    place.git("commit", "-q", "-m", "mine")
    assert "holds another repository than" in place()["msg"] and place.read("README.md") == "mine\n"
