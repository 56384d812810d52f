"""The notebook_checkout module with update: the cases in which what the user wrote could be lost, and is not."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest
from notebook_checkout_place import BOOK, CHAPTER, IMAGE, Place, git, place

from plugins.module_utils import notebook_checkout_git

__all__ = ["place"]

ARRAYS = "chapter_one/arrays.md"
MINE = CHAPTER.replace("# Arrays", "# My arrays")
THEIRS = CHAPTER.replace("`a.T`", "`a.T` and of `a.T.T`")
BOTH = MINE.replace("`a.T`", "`a.T` and of `a.T.T`")


def saved(place: Place, branch: str, path: str) -> str:
    return place.git("show", f"{branch}:{path}")


def unchanged(place: Place) -> bool:
    """Whether one more run changes nothing, and leaves nothing of its own."""
    before = place.tree()
    answer = place.good()
    assert not (place.checkout / ".git/gluon").exists() and "gluon/next" not in place.git("for-each-ref")
    return answer["changed"] is False and place.tree() == before


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


def test_back_to_an_older_commit(place: Place) -> None:
    old = place.head()
    place.publish({"README.md": "new\n"})
    place.good()
    assert place.good(old)["updated"] == ["README.md"] and place.read("README.md") == BOOK["README.md"]


def test_a_bit_of_permission_goes_with_who_changed_it(place: Place) -> None:
    place.publish({"mine.sh": "1\n", "theirs.sh": "1\n", "both.sh": "1\n2\n3\n4\n5\n"})
    place.good()
    (place.checkout / "mine.sh").chmod(0o700)
    (place.checkout / "theirs.sh").chmod(0o640)
    place.write("both.sh", "0\n1\n2\n3\n4\n5\n")
    place.publish(
        {"mine.sh": "2\n", "theirs.sh": None, "theirs.sh!": "2\n", "both.sh": None, "both.sh!": "1\n2\n3\n4\n5\n6\n"}
    )
    place.good()
    modes = {name: stat.S_IMODE((place.checkout / name).stat().st_mode) for name in ("mine.sh", "theirs.sh", "both.sh")}
    assert modes == {"mine.sh": 0o700, "theirs.sh": 0o750, "both.sh": 0o755}
    assert place.read("both.sh") == "0\n1\n2\n3\n4\n5\n6\n" and unchanged(place)


NAMES = [
    "a b.md",
    "章/书 一.md",
    "new\nline.md",
    "tab\t.md",
    'quote".md',
    "-dash.md",
    "back\\slash.md",
    os.fsdecode(b"\xff.md"),
]


def test_any_name_is_taken(place: Place) -> None:
    old, new = "1\n2\n3\n4\n5\n", "1\n2\n3\n4\n5\n6\n"
    place.publish(dict.fromkeys(NAMES, old))
    place.good()
    for name in NAMES:
        place.write(name, f"0\n{old}")
    place.publish(dict.fromkeys(NAMES, new))
    answer = place.good()
    assert len(answer["merged"]) == len(NAMES) and str(answer).encode()
    assert {place.read(name) for name in NAMES} == {f"0\n{new}"}
    assert unchanged(place)


def test_a_long_name_has_room_for_a_label(place: Place) -> None:
    name = "书" * 83 + ".md"
    place.publish({name: "1\n"})
    place.good()
    place.write(name, "mine\n")
    place.publish({name: "2\n"})
    assert place.read(place.good()["kept"][0]["upstream"]) == "2\n"


def test_binary_files_are_not_merged(place: Place) -> None:
    place.write("img/a.png", IMAGE + b"mine")
    place.publish({"img/a.png": b"theirs" + IMAGE})
    [kept] = place.good()["kept"]
    assert (place.checkout / "img/a.png").read_bytes() == IMAGE + b"mine"
    assert (place.checkout / kept["upstream"]).read_bytes() == b"theirs" + IMAGE


def test_line_endings_of_windows_stay_the_users(place: Place) -> None:
    place.write(ARRAYS, MINE.replace("\n", "\r\n"))
    place.publish({ARRAYS: THEIRS})
    assert place.good()["merged"] == [ARRAYS]
    assert (place.checkout / ARRAYS).read_bytes() == BOTH.replace("\n", "\r\n").encode()


@pytest.mark.parametrize("setting", ["core.autocrlf", "attributes"])
def test_line_endings_that_git_writes_are_no_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    place = Place(tmp_path, monkeypatch)
    if setting == "attributes":
        place.publish({".gitattributes": "*.md text eol=crlf\n"})
    else:
        (place.login / ".gitconfig").write_text("[core]\nautocrlf = true\n")
    place.publish(BOOK)
    place.good()
    assert (place.checkout / "README.md").read_bytes() == b"The book\r\n"
    place.write(ARRAYS, MINE.replace("\n", "\r\n"))
    place.publish({"README.md": "New\n", ARRAYS: THEIRS, "old.md": None})
    answer = place.good()
    assert (answer["updated"], answer["merged"], answer["removed"]) == (["README.md"], [ARRAYS], ["old.md"])
    assert (place.checkout / "README.md").read_bytes() == b"New\r\n"
    assert (place.checkout / ARRAYS).read_bytes() == BOTH.replace("\n", "\r\n").encode()
    assert place.git("status", "--porcelain") == f" M {ARRAYS}" and unchanged(place)


def test_a_merged_notebook_is_one_or_it_is_no_merge(place: Place) -> None:
    old, new = "[\n1\n\n\n\n\n]\n", "[\n1\n\n\n, 2\n\n]\n"
    place.publish({"list.ipynb": old, "object.ipynb": old})
    place.good()
    mine = {"list.ipynb": old.replace("[", '["mine",'), "object.ipynb": old.replace("[", '{"mine":').replace("]", "}")}
    for name, content in mine.items():
        json.loads(content)
        place.write(name, content)
    place.publish({"list.ipynb": new, "object.ipynb": new})
    answer = place.good()
    assert answer["merged"] == ["list.ipynb"] and json.loads(place.read("list.ipynb")) == ["mine", 1, 2]
    assert answer["kept"][0]["path"] == "object.ipynb" and place.read("object.ipynb") == mine["object.ipynb"]


def link(place: Place, path: str) -> str:
    return os.readlink(place.checkout / path)  # noqa: PTH115


def test_links_are_files_of_their_own(place: Place) -> None:
    place.publish({"theirs@": "README.md", "mine@": "README.md", "turned": "a file\n"})
    place.good()
    (place.checkout / "mine").unlink()
    (place.checkout / "mine").symlink_to("/nowhere")
    place.publish({"theirs@": "./old.md", "mine@": "old.md", "turned": None, "turned@": "old.md", "new@": "img/"})
    answer = place.good()
    assert (answer["updated"], answer["added"]) == (["theirs", "turned"], ["new"])
    links = {name: link(place, name) for name in ("theirs", "mine", "turned", "new")}
    assert links == {"theirs": "./old.md", "mine": "/nowhere", "turned": "old.md", "new": "img/"}
    assert link(place, answer["kept"][0]["upstream"]) == "old.md"
    place.publish({"theirs@": "README.md"})
    assert place.good()["updated"] == ["theirs"]


@pytest.mark.parametrize("target", ["outside", "nowhere"])
def test_nothing_is_written_behind_a_link_of_the_users(place: Place, target: str) -> None:
    outside = place.folder / "outside"
    outside.mkdir()
    (outside / "arrays.md").write_text("mine, elsewhere\n")
    (place.checkout / ARRAYS).unlink()
    (place.checkout / "chapter_one").rmdir()
    (place.checkout / "chapter_one").symlink_to(place.folder / target)
    place.publish({ARRAYS: THEIRS, "chapter_one/new.md": "new\n", "README.md": "new\n"})
    answer = place.good()
    assert [one["path"] for one in answer["kept"]] == [ARRAYS, "chapter_one/new.md"]
    assert answer["updated"] == ["README.md"] and [file.name for file in outside.iterdir()] == ["arrays.md"]
    assert (outside / "arrays.md").read_text() == "mine, elsewhere\n"
    assert place.good()["kept"] == [] and (place.checkout / "chapter_one").is_symlink()


def test_a_folder_of_the_users_where_a_file_comes(place: Place) -> None:
    place.write("appendix/mine.md", "mine\n")
    place.publish({"appendix": "a file\n"})
    [renamed] = place.good()["renamed"]
    assert place.read("appendix") == "a file\n" and place.read(f"{renamed['to']}/mine.md") == "mine\n"
    assert unchanged(place)


def test_a_file_of_the_users_where_a_folder_comes(place: Place) -> None:
    place.write("appendix", "mine\n")
    place.publish({"appendix/one.md": "1\n", "appendix/two.md": "2\n"})
    answer = place.good()
    [renamed] = answer["renamed"]
    assert answer["added"] == ["appendix/one.md", "appendix/two.md"]
    assert place.read(renamed["to"]) == "mine\n" and place.read("appendix/two.md") == "2\n"
    assert unchanged(place)


@pytest.mark.parametrize("is_changed", [False, True])
def test_a_folder_of_the_tutorial_becomes_a_file_and_back(place: Place, is_changed: bool) -> None:
    place.publish({"part/a.md": "a\n", "part/b.md": "b\n"})
    place.good()
    if is_changed:
        place.write("part/a.md", "mine\n")
    place.publish({"part/a.md": None, "part/b.md": None, "part": "a file\n"})
    told, answer = place.good(check=True), place.good()
    assert place.read("part") == "a file\n" and told["added"] == answer["added"]
    # Their new names tell the second.
    assert [one["path"] for one in told["renamed"]] == [one["path"] for one in answer["renamed"]]
    if is_changed:
        assert place.read(f"{answer['renamed'][0]['to']}/a.md") == "mine\n"
        place.write("part", "mine too\n")
    else:
        assert (answer["renamed"], answer["added"]) == ([], ["part"])
    place.publish({"part": None, "part/a.md": "a\n"})
    answer = place.good()
    assert place.read("part/a.md") == "a\n"
    assert [place.read(one["to"]) for one in answer["renamed"]] == (["mine too\n"] if is_changed else [])
    assert unchanged(place)


def test_a_file_that_the_user_made_a_folder_stays_one(place: Place) -> None:
    (place.checkout / "README.md").unlink()
    place.write("README.md/mine", "mine\n")
    target = place.publish({"README.md": "new\n"})
    [kept] = place.good()["kept"]
    assert kept["upstream"] == f"README.upstream-{target[:7]}.md" and place.read("README.md/mine") == "mine\n"


def test_submodules_are_left_alone(place: Place) -> None:
    head = place.head()
    index = place.folder / "index"
    tree = {**os.environ, "GIT_INDEX_FILE": str(index)}
    for command in (["read-tree", head], ["update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module"]):
        subprocess.run(["git", "-C", place.upstream, *command], env=tree, check=True)
    made = subprocess.run(
        ["git", "-C", place.upstream, "write-tree"], env=tree, check=True, capture_output=True, text=True
    )
    commit = git(place.upstream, "commit-tree", made.stdout.strip(), "-p", head, "-m", "a module")
    git(place.upstream, "update-ref", "refs/heads/main", commit)
    place.write("module/mine", "mine\n")
    assert place.good()["commit"] == commit and place.read("module/mine") == "mine\n"
    place.publish({"README.md": "new\n"})
    assert place.good()["updated"] == ["README.md"] and place.read("module/mine") == "mine\n"


def test_a_tree_that_leads_into_gits_own_folder_is_refused(place: Place) -> None:
    blob = git(place.upstream, "hash-object", "-w", "--stdin", data=b"#!/bin/sh\n")
    inner = git(place.upstream, "mktree", data=f"100755 blob {blob}\tpost-checkout\n".encode())
    hooks = git(place.upstream, "mktree", data=f"040000 tree {inner}\thooks\n".encode())
    tree = git(place.upstream, "mktree", data=f"040000 tree {hooks}\t.git\n".encode())
    commit = git(place.upstream, "commit-tree", tree, "-p", place.head(), "-m", "evil")
    git(place.upstream, "update-ref", "refs/heads/main", commit)
    before = place.tree()
    assert "invalid path '.git/hooks/post-checkout'" in place()["msg"]
    assert not (place.checkout / ".git/hooks/post-checkout").exists() and place.tree() == before


def test_a_file_that_cannot_be_read_is_told_before_anything_is_done(place: Place) -> None:
    if os.geteuid() == 0:
        pytest.skip("root can read everything")
    (place.checkout / ARRAYS).chmod(0)
    place.publish({ARRAYS: THEIRS, "README.md": "new\n"})
    assert f"{place.checkout / ARRAYS} cannot be used" in place()["msg"]
    assert place.read("README.md") == BOOK["README.md"]
