"""The notebook_checkout module where the user works with git: staged content, locks, merges, other remotes."""

from __future__ import annotations

import subprocess

import pytest
from notebook_checkout_place import BOOK, Place, git, place, saved, unchanged

from plugins.module_utils import notebook_checkout_git

__all__ = ["place"]


def test_what_was_staged_goes_to_the_backup(place: Place) -> None:
    place.write("README.md", "staged\n")
    place.write("new.md", "staged and new\n")
    place.git("add", "--all")
    place.write("README.md", "in the file\n")
    (place.checkout / "new.md").unlink()
    place.publish({"old.md": "new\n"})
    answer = place.good()
    assert saved(place, answer["backup"], "README.md") == "staged"
    assert saved(place, answer["backup"], "new.md") == "staged and new"
    assert place.read("README.md") == "in the file\n" and place.git("diff", "--cached") == ""
    assert unchanged(place)


def test_what_is_staged_and_in_the_file_needs_no_backup(place: Place) -> None:
    place.write("README.md", "both\n")
    place.git("add", "--all")
    place.git("add", "--intent-to-add", place.checkout / "README.md")
    place.publish({"old.md": "new\n"})
    assert place.good()["backup"] == "" and place.read("README.md") == "both\n"


def test_a_lock_that_an_ended_git_left_is_removed(place: Place) -> None:
    place.publish({"README.md": "new\n"})
    (place.checkout / ".git/index.lock").touch()
    assert place.good(check=True)["changed"] and (place.checkout / ".git/index.lock").exists()
    for lock in ["HEAD.lock", "refs/heads/notebooks.lock", "refs/heads/backup/x.lock", "shallow.lock"]:
        (place.checkout / ".git" / lock).parent.mkdir(exist_ok=True)
        (place.checkout / ".git" / lock).touch()
    answer = place.good()
    assert answer["updated"] == ["README.md"]
    assert any(".git/index.lock" in sentence for sentence in answer["sentences"])
    assert list((place.checkout / ".git").rglob("*.lock")) == [] and unchanged(place)


def test_a_lock_of_a_git_that_works_is_waited_for(place: Place) -> None:
    place.publish({"README.md": "new\n"})
    lock = place.checkout / ".git/index.lock"
    lock.touch()
    with subprocess.Popen(["git", "-C", str(place.checkout), "hash-object", "--stdin"], stdin=subprocess.PIPE) as busy:
        answer = place()
        busy.stdin.close()
    assert "A git command is at work on" in answer["msg"] and lock.exists()
    assert place.read("README.md") == BOOK["README.md"]


def test_git_used_by_the_user_meanwhile_is_noticed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.publish({"README.md": "new\n"})
    run, is_done = notebook_checkout_git.Git.run, []

    def interfering(self: notebook_checkout_git.Git, *arguments: str, **more: object) -> bytes:
        if arguments[:1] == ("update-index",) and not is_done:
            is_done.append(True)
            place.write("old.md", "staged meanwhile\n")
            place.git("add", "old.md")
            place.write("old.md", "and changed\n")
        return run(self, *arguments, **more)

    monkeypatch.setattr(notebook_checkout_git.Git, "run", interfering)
    answer = place.good()
    assert saved(place, answer["backup"], "old.md") == "staged meanwhile"
    assert (place.read("README.md"), place.read("old.md")) == ("new\n", "and changed\n")


def conflict(place: Place) -> None:
    place.git("checkout", "-q", "-b", "other")
    place.write("README.md", "one\n")
    place.git("commit", "-q", "-a", "-m", "one")
    place.git("checkout", "-q", "notebooks")
    place.write("README.md", "two\n")
    place.git("commit", "-q", "-a", "-m", "two")


@pytest.mark.parametrize("command", ["merge", "rebase", "cherry-pick"])
def test_a_merge_that_waits_for_its_user_is_refused(place: Place, command: str) -> None:
    conflict(place)
    subprocess.run(
        ["git", "-C", place.checkout, "-c", "user.name=a", "-c", "user.email=a", command, "other"], check=False
    )
    assert place.good()["changed"] is False, "there is nothing new"
    place.publish({"README.md": "new\n"})
    before = place.tree()
    answer = place()
    assert f"in the middle of a {command}" in answer["msg"] and f"git {command} --abort" in answer["msg"]
    assert place.tree() == before and place.git("branch", "--list", "backup/*") == ""
    place.git(command, "--abort")
    assert place.good()["changed"] is True


def test_a_conflict_of_the_stash_is_refused(place: Place) -> None:
    place.write("README.md", "stashed\n")
    place.git("stash", "-q")
    place.write("README.md", "committed\n")
    place.git("commit", "-q", "-a", "-m", "mine")
    subprocess.run(["git", "-C", place.checkout, "stash", "pop", "-q"], check=False, capture_output=True)
    place.publish({"README.md": "new\n"})
    before = place.tree()
    assert "has a conflict in README.md that is not resolved" in place()["msg"]
    assert place.tree() == before


def test_a_change_of_remote_is_followed(place: Place) -> None:
    mirror = place.folder / "mirror.git"
    git(place.folder, "clone", "-q", "--bare", str(place.upstream), str(mirror))
    answer = place.good(repository=str(mirror))
    assert answer["changed"] and answer["sentences"] == [f"The remote origin is {mirror} now."]
    assert place.git("config", "remote.origin.url") == str(mirror)
    assert place.good(repository=str(mirror))["changed"] is False
    place.upstream = mirror
    place.publish({"README.md": "from the mirror\n"})
    assert place.good()["updated"] == ["README.md"]


def test_a_remote_of_the_users_stays(place: Place) -> None:
    place.git("config", "remote.origin.url", "https://example.org/my/fork.git")
    place.publish({"README.md": "new\n"})
    assert place.good()["updated"] == ["README.md"]
    assert place.git("config", "remote.origin.url") == "https://example.org/my/fork.git"
