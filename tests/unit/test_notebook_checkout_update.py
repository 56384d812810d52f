"""The notebook_checkout module with update: the cases in which what the user wrote could be lost, and is not."""

from __future__ import annotations

import pytest
from notebook_checkout_place import ARRAYS, BOOK, BOTH, CHAPTER, MINE, THEIRS, Place, place, saved, unchanged

__all__ = ["place"]


def test_what_the_user_left_alone_is_the_tutorials(place: Place) -> None:
    target = place.publish({"README.md": "The new book\n", "chapter_two/b.md": "New\n", "old.md": None})
    before = place.git("rev-parse", "HEAD")
    answer = place.good()
    assert (answer["changed"], answer["before"], answer["commit"]) == (True, before, target)
    assert (answer["updated"], answer["added"], answer["removed"]) == (["README.md"], ["chapter_two/b.md"], ["old.md"])
    assert place.git("rev-parse", "notebooks") == target and place.git("status", "--porcelain") == ""
    assert answer["backup"] == "" and place.git("branch", "--format=%(refname:short)") == "notebooks"
    assert place.git("rev-list", "--count", "HEAD") == "1", "the history came along"
    assert unchanged(place)


def test_changes_at_different_lines_are_put_together(place: Place) -> None:
    place.write(ARRAYS, MINE)
    place.publish({ARRAYS: THEIRS})
    answer = place.good()
    assert (answer["merged"], place.read(ARRAYS)) == ([ARRAYS], BOTH)
    assert saved(place, answer["backup"], ARRAYS) == MINE.rstrip("\n")
    assert any(f"put together in {ARRAYS}" in sentence for sentence in answer["sentences"])
    assert any(answer["backup"] in sentence for sentence in answer["sentences"])
    assert unchanged(place)


def test_at_the_same_lines_the_user_wins(place: Place) -> None:
    place.write(ARRAYS, MINE)
    theirs = CHAPTER.replace("# Arrays", "# Their arrays")
    target = place.publish({ARRAYS: theirs})
    answer = place.good()
    copy = f"chapter_one/arrays.upstream-{target[:7]}.md"
    assert answer["kept"] == [{"path": ARRAYS, "upstream": copy}]
    assert (place.read(ARRAYS), place.read(copy)) == (MINE, theirs)
    assert answer["backup"] == "" and any(copy in sentence for sentence in answer["sentences"])
    assert unchanged(place)


def test_a_copy_of_the_tutorials_that_the_user_edited_is_left(place: Place) -> None:
    place.write("README.md", "mine\n")
    target = place.publish({"README.md": "theirs\n"})
    place.write(f"README.upstream-{target[:7]}.md", "my notes\n")
    copy = place.good()["kept"][0]["upstream"]
    assert copy == f"README.upstream-{target[:7]}-2.md"
    assert (place.read(f"README.upstream-{target[:7]}.md"), place.read(copy)) == ("my notes\n", "theirs\n")


def test_an_untracked_file_with_the_name_of_a_new_one_is_renamed(place: Place) -> None:
    place.write("chapter_two/b.md", "mine\n")
    place.publish({"chapter_two/b.md": "theirs\n"})
    answer = place.good()
    [renamed] = answer["renamed"]
    assert renamed["path"] == "chapter_two/b.md" and renamed["to"].startswith("chapter_two/b.yours-20")
    assert (place.read("chapter_two/b.md"), place.read(renamed["to"])) == ("theirs\n", "mine\n")
    assert any(renamed["to"] in sentence for sentence in answer["sentences"])
    assert unchanged(place)


def test_an_untracked_file_that_is_the_tutorials_is_left(place: Place) -> None:
    place.write("b.md", "the same\n")
    place.publish({"b.md": "the same\n"})
    assert place.good()["renamed"] == [] and place.git("status", "--porcelain") == ""


def test_own_commits_go_to_a_backup_and_stay_in_the_files(place: Place) -> None:
    place.write(ARRAYS, MINE)
    place.write("mine.md", "my own chapter\n")
    place.git("add", "--all")
    place.git("commit", "-q", "-m", "mine")
    own = place.git("rev-parse", "HEAD")
    target = place.publish({ARRAYS: THEIRS})
    answer = place.good()
    assert place.git("merge-base", "--is-ancestor", own, answer["backup"]) == ""
    assert (place.read(ARRAYS), place.read("mine.md")) == (BOTH, "my own chapter\n")
    assert place.git("rev-parse", "HEAD") == target
    assert place.git("status", "--porcelain") == f" M {ARRAYS}\n?? mine.md"
    assert unchanged(place)


def test_a_history_that_was_replaced_is_followed(place: Place) -> None:
    place.write(ARRAYS, MINE)
    place.git("commit", "-q", "-a", "-m", "mine")
    own = place.git("rev-parse", "HEAD")
    target = place.publish({**BOOK, ARRAYS: THEIRS}, parent=False)
    answer = place.good()
    assert (place.git("rev-parse", "HEAD"), place.read(ARRAYS)) == (target, BOTH)
    assert place.git("merge-base", "--is-ancestor", own, answer["backup"]) == ""
    assert unchanged(place)


def test_own_commits_stay_where_there_is_nothing_new(place: Place) -> None:
    place.write(ARRAYS, MINE)
    place.git("commit", "-q", "-a", "-m", "mine")
    own = place.git("rev-parse", "HEAD")
    assert place.good()["changed"] is False and place.git("rev-parse", "HEAD") == own


def test_another_branch_stays_as_it_is(place: Place) -> None:
    place.git("checkout", "-q", "-b", "my-work")
    place.write(ARRAYS, MINE)
    place.git("commit", "-q", "-a", "-m", "mine")
    own = place.git("rev-parse", "HEAD")
    target = place.publish({ARRAYS: THEIRS})
    answer = place.good()
    assert (place.git("rev-parse", "my-work"), place.git("rev-parse", "notebooks")) == (own, target)
    assert place.git("branch", "--show-current") == "notebooks" and place.read(ARRAYS) == BOTH
    assert any("Your branch my-work is as you left it" in sentence for sentence in answer["sentences"])
    assert unchanged(place)


def test_commits_on_no_branch_go_to_a_backup(place: Place) -> None:
    place.git("commit", "-q", "--allow-empty", "-m", "mine, on notebooks")
    one = place.git("rev-parse", "HEAD")
    place.git("checkout", "-q", "--detach", "HEAD~")
    place.git("commit", "-q", "--allow-empty", "-m", "mine, on nothing")
    other = place.git("rev-parse", "HEAD")
    place.publish({"README.md": "new\n"})
    backup = place.good()["backup"]
    for commit in (one, other):
        assert place.git("merge-base", "--is-ancestor", commit, backup) == ""
    assert place.git("branch", "--show-current") == "notebooks"


def test_the_stash_is_no_place_for_commits(place: Place) -> None:
    place.git("commit", "-q", "--allow-empty", "-m", "mine")
    own = place.git("rev-parse", "HEAD")
    place.write("README.md", "stashed\n")
    place.git("stash", "-q")
    place.publish({"README.md": "new\n"})
    assert place.git("rev-parse", place.good()["backup"]) == own
    assert place.git("show", "stash@{0}:README.md") == "stashed"


def test_a_branch_of_the_name_backup_is_in_nobodys_way(place: Place) -> None:
    place.git("branch", "backup")
    place.write(ARRAYS, MINE)
    place.publish({ARRAYS: THEIRS})
    backup = place.good()["backup"]
    assert backup.startswith("backups/") and saved(place, backup, ARRAYS) == MINE.rstrip("\n")


def test_two_updates_in_a_second_have_two_backups(place: Place) -> None:
    names = set()
    for number in range(3):
        place.write(ARRAYS, place.read(ARRAYS).replace("# ", f"# {number} ", 1))
        place.publish({ARRAYS: CHAPTER + f"{number}\n"})
        names.add(place.good()["backup"])
    assert len(names) == 3 and "" not in names


@pytest.mark.parametrize("is_new", [False, True])
def test_a_deleted_file_comes_back(place: Place, is_new: bool) -> None:
    (place.checkout / ARRAYS).unlink()
    (place.checkout / "chapter_one").rmdir()
    if is_new:
        place.publish({ARRAYS: THEIRS})
    assert place.good(check=True)["restored"] == [ARRAYS] and not (place.checkout / ARRAYS).exists()
    answer = place.good()
    assert (answer["changed"], answer["restored"]) == (True, [ARRAYS])
    assert place.read(ARRAYS) == (THEIRS if is_new else CHAPTER)
    assert unchanged(place)


def test_a_deletion_that_was_staged_or_committed_comes_back_too(place: Place) -> None:
    place.git("rm", "-q", "README.md")
    place.git("commit", "-q", "-m", "gone")
    place.git("rm", "-q", ARRAYS)
    place.publish({"old.md": "new\n"})
    assert place.good()["restored"] == ["README.md", ARRAYS]


def test_a_file_that_the_tutorial_dropped_and_the_user_changed_stays(place: Place) -> None:
    place.write("old.md", "mine\n")
    place.publish({"old.md": None})
    answer = place.good()
    assert answer["kept"] == [{"path": "old.md", "upstream": ""}] and place.read("old.md") == "mine\n"
    assert unchanged(place)


def test_a_folder_that_is_empty_then_goes_and_one_that_is_not_stays(place: Place) -> None:
    place.publish({"a/b/c.md": "x\n", "d/e.md": "x\n"})
    place.good()
    place.write("d/mine.md", "mine\n")
    place.publish({"a/b/c.md": None, "d/e.md": None})
    assert place.good()["removed"] == ["a/b/c.md", "d/e.md"]
    assert not (place.checkout / "a").exists() and [file.name for file in (place.checkout / "d").iterdir()] == [
        "mine.md"
    ]


def test_check_mode_tells_the_same_and_touches_nothing(place: Place) -> None:
    place.write(ARRAYS, MINE)
    place.write("README.md", "mine\n")
    place.write("new.md", "mine\n")
    (place.checkout / "img/a.png").unlink()
    place.git("add", "README.md")
    place.write("README.md", "mine, later\n")
    place.publish({ARRAYS: THEIRS, "README.md": "theirs\n", "new.md": "theirs\n", "old.md": None, "more.md": "x\n"})
    before, refs, index = place.tree(), place.git("for-each-ref", "refs/heads"), place.git("ls-files", "--stage")
    told = place.good(check=True)
    assert place.tree() == before and place.git("for-each-ref", "refs/heads") == refs
    assert place.git("ls-files", "--stage") == index
    done = place.good()
    for key in ("changed", "before", "commit", "added", "updated", "merged", "restored", "removed", "kept", "state"):
        assert told[key] == done[key], key
    assert [one["path"] for one in told["renamed"]] == [one["path"] for one in done["renamed"]]
    assert bool(told["backup"]) is bool(done["backup"]) is True
    assert told["diff"]["before"] == f"commit {done['before']}\n" and f"\nmerged {ARRAYS}\n" in told["diff"]["after"]
    assert all("would be" in sentence for sentence in told["sentences"])


def test_check_mode_of_nothing_new(place: Place) -> None:
    assert place.good(check=True)["changed"] is False


def test_back_to_an_older_commit(place: Place) -> None:
    old = place.head()
    place.publish({"README.md": "new\n"})
    place.good()
    assert place.good(old)["updated"] == ["README.md"] and place.read("README.md") == BOOK["README.md"]
