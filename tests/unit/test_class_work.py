"""What a student wrote comes to this computer, and nothing of it does harm there."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from plugins.module_utils.class_work import Bounds, Broken, components, plain, take
from plugins.modules import class_work

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = (ROOT / "playbooks/files/their_work.py").read_text()
BOUNDS = Bounds(1000, 3000, 50)
# `ssh -F config -o ... name command`, done here.
SSH = '#!/bin/sh\nwhile [ $# -gt 2 ]; do shift; done\n[ "$1" = silent ] && exec sleep 60\nexec sh -c "$2"\n'


def stream(*lines: dict[str, Any] | bytes) -> io.BytesIO:
    return io.BytesIO(b"".join(one if isinstance(one, bytes) else json.dumps(one).encode() + b"\n" for one in lines))


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if not file.is_dir()}


class TestStream:
    def test_files_come_with_their_folders(self, tmp_path: Path) -> None:
        taken = take(stream({"path": "a/b/笔记.ipynb", "size": 3}, b"abc", {"end": True}), tmp_path, BOUNDS)
        assert (taken.files, taken.bytes, taken.skipped) == (1, 3, [])
        assert files_in(tmp_path) == {"a/b/笔记.ipynb": b"abc"}
        assert (tmp_path / "a/b/笔记.ipynb").stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize(
        "path", ["../out", "a/../../out", "/etc/out", "", ".", "a//b", "a/", None, 7, "x/.git/config", ".GIT", "a\0b"]
    )
    def test_a_path_that_leads_elsewhere_is_left_out_and_the_rest_comes(self, tmp_path: Path, path: object) -> None:
        folder = tmp_path / "in"
        folder.mkdir()
        lines = stream({"path": path, "size": 3}, b"out", {"path": "fine", "size": 2}, b"in", {"end": True})
        taken = take(lines, folder, BOUNDS)
        assert files_in(tmp_path) == {"in/fine": b"in"}
        assert len(taken.skipped) == 1

    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            ("a\nb", "a%0Ab"),
            ("-rf", "%2Drf"),
            ("\u202egnp.exe", "%E2%80%AEgnp.exe"),
            ("\x1b]0;owned\x07", "%1B]0;owned%07"),
            ("100% C:\\x|y*?", "100%25 C%3A%5Cx%7Cy%2A%3F"),
            ("\udcff", "%FF"),
            ("\ud800", "%ED%A0%80"),
            ("end. ", "end.%20"),
            ("HEAD", "%48EAD"),
            ("head", "%48EAD"),
            ("{{ lookup('pipe', 'id') }}.md", "{{ lookup('pipe', 'id') }}.md"),
        ],
    )
    def test_odd_letters_are_written_as_in_an_address(self, name: str, shown: str) -> None:
        assert plain(name) == shown
        assert components(f"folder/{name}") == ["folder", shown]

    def test_nothing_is_replaced(self, tmp_path: Path) -> None:
        lines = stream({"path": "a", "size": 1}, b"1", {"path": "a", "size": 1}, b"2", {"path": "a/b", "size": 0})
        taken = take(io.BytesIO(lines.read() + b'{"end": true}\n'), tmp_path, BOUNDS)
        assert files_in(tmp_path) == {"a": b"1"}
        assert [why for _, why in taken.skipped] == ["File exists"] * 2

    @pytest.mark.parametrize(
        ("lines", "said"),
        [
            ([], "broke off"),
            ([{"path": "a", "size": 9}, b"12"], "broke off"),
            ([b'{"path": "a", "size'], "broke off"),
            ([b"x" * (1 << 17)], "lines without end"),
            ([[1]], "something else"),
            ([{"path": "a", "size": 1001}], "more bytes"),
            ([{"path": "a", "size": -1}], "more bytes"),
            ([{"path": "a", "size": True}], "more bytes"),
            ([part for n in range(4) for part in ({"path": f"{n}", "size": 900}, b"x" * 900)], "more bytes"),
            ([{"path": f"{n}", "size": 0} for n in range(51)], "more files"),
            ([{"skipped": f"{n}", "why": ""} for n in range(51)], "more files"),
        ],
    )
    def test_what_is_no_such_stream_is_refused(self, tmp_path: Path, lines: list[Any], said: str) -> None:
        with pytest.raises(Broken, match=said):
            take(stream(*lines), tmp_path, BOUNDS)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A student's home with a checkout of two chapters and a picture."""
    folder = tmp_path / "home/tutorial"
    folder.mkdir(parents=True)
    for name in ("one.md", "two.md", "picture.svg"):
        (folder / name).write_text(f"the book's {name}\n")
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["commit", "-q", "-m", "book"],
        ["update-ref", "refs/gluon/upstream", "HEAD"],
    ):
        me = ("-c", "user.name=me", "-c", "user.email=me@example.org")
        subprocess.run(["git", "-C", folder, *me, *command], check=True)
    return folder.parent


@pytest.fixture
def collect(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """The module, with an `ssh` that does here what it is to do there."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ssh").write_text(SSH)
    (tmp_path / "bin/ssh").chmod(0o755)
    (tmp_path / "bin/python3").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(home))

    def run(check: bool = False, **options: Any) -> dict[str, Any]:
        asked = {"name": "li-wei", "config": "config", "program": PROGRAM, "folder": "tutorial"}
        asked |= {"destination": str(tmp_path / "collected/li-wei/now"), **options, "_ansible_check_mode": check}
        told = io.StringIO()
        with patch_module_args(asked), contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
            class_work.main()
        return json.loads(told.getvalue().strip().splitlines()[-1])

    return run


class TestCollection:
    def test_what_differs_and_what_is_new_comes(
        self, collect: Callable[..., dict[str, Any]], home: Path, tmp_path: Path
    ) -> None:
        folder = home / "tutorial"
        (folder / "one.md").write_text("mine\n")
        (folder / "two.md").write_text("committed\n")
        commit = [
            "git",
            "-C",
            folder,
            "-c",
            "user.name=me",
            "-c",
            "user.email=me@example.org",
            "commit",
            "-q",
            "-m",
            "me",
        ]
        subprocess.run([*commit, "two.md"], check=True)
        (folder / "picture.svg").unlink()
        (folder / "own work").mkdir()
        (folder / "own work/笔记.ipynb").write_text("{}")
        (folder / ".ipynb_checkpoints").mkdir()
        (folder / ".ipynb_checkpoints/one.md").write_text("older")
        result = collect()
        assert (result["changed"], result["files"], result["left_out"]) == (True, 3, [])
        assert files_in(tmp_path / "collected") == {
            "li-wei/now/one.md": b"mine\n",
            "li-wei/now/two.md": b"committed\n",
            "li-wei/now/own work/笔记.ipynb": b"{}",
        }

    def test_nothing_new_leaves_nothing(self, collect: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
        result = collect()
        assert (result["changed"], result["files"]) == (False, 0)
        assert files_in(tmp_path / "collected") == {}

    def test_an_earlier_collection_stays(
        self, collect: Callable[..., dict[str, Any]], home: Path, tmp_path: Path
    ) -> None:
        (home / "tutorial/one.md").write_text("first")
        collect()
        (home / "tutorial/one.md").write_text("second")
        assert "no collection replaces another" in collect()["msg"]
        assert files_in(tmp_path / "collected") == {"li-wei/now/one.md": b"first"}

    def test_check_mode_counts_and_writes_nothing(
        self, collect: Callable[..., dict[str, Any]], home: Path, tmp_path: Path
    ) -> None:
        (home / "tutorial/new.md").write_text("new")
        assert collect(check=True)["files"] == 1
        assert not (tmp_path / "collected").exists()

    def test_links_pipes_large_files_and_repositories_are_left_out_and_named(
        self, collect: Callable[..., dict[str, Any]], home: Path, tmp_path: Path
    ) -> None:
        folder, secret = home / "tutorial", tmp_path / "secret"
        secret.mkdir()
        (secret / "key").write_text("SECRET")
        (folder / "to-file").symlink_to(secret / "key")
        (folder / "to-folder").symlink_to(secret)
        os.mkfifo(folder / "pipe")
        (folder / "large").write_bytes(b"x" * 1_000_001)
        # As large as can be said, and nothing on the disk.
        with (folder / "one.md").open("wb") as sparse:
            sparse.truncate(1 << 40)
        (folder / "evil/.git").mkdir(parents=True)
        (folder / "evil/.git/config").write_text("[core]\nfsmonitor = touch /tmp/owned\n")
        (folder / "two.md").rename(folder / "a\nb\x1b[2J")
        result = collect(file_mb=1)
        assert files_in(tmp_path / "collected/li-wei/now") == {"a%0Ab%1B[2J": b"the book's two.md\n"}
        assert result["left_out"] == [
            "to-folder: it is a link",
            "large: it has 1000001 bytes, more than 1000000",
            f"one.md: it has {1 << 40} bytes, more than 1000000",
            "pipe: it is no file",
            "to-file: it is a link",
        ]
        assert (tmp_path / "collected/li-wei/now-skipped.txt").read_text().splitlines() == result["left_out"]

    def test_all_of_it_has_a_bound(self, collect: Callable[..., dict[str, Any]], home: Path) -> None:
        for number in range(3):
            (home / f"tutorial/{number}").write_bytes(b"x" * 600_000)
        assert "more than 4 files" in " ".join(collect(files=4, check=True)["left_out"])
        assert collect(mb=1)["files"] == 1

    def test_one_that_sends_something_else_leaves_nothing(
        self, collect: Callable[..., dict[str, Any]], tmp_path: Path
    ) -> None:
        half = """print('{"path": "a", "size": 1}\\nx{"path": "b", "size": 5}\\nxx', end="")"""
        assert "li-wei did not send its files: it broke off" in collect(program=half)["msg"]
        assert "There is no folder" in collect(folder="elsewhere")["msg"]
        assert list(tmp_path.glob("collected/li-wei/.*")) == []
        assert files_in(tmp_path / "collected") == {}

    def test_one_that_never_ends_is_ended(self, collect: Callable[..., dict[str, Any]]) -> None:
        assert "its time was up" in collect(name="silent", timeout=1)["msg"]
