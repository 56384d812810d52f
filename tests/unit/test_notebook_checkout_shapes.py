"""The notebook_checkout module and files that are no plain text: bits, names, line endings, links, folders."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest
from notebook_checkout_place import ARRAYS, BOOK, BOTH, IMAGE, MINE, THEIRS, Place, git, place, unchanged

__all__ = ["place"]


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
