"""tools/terminal-picture: what a terminal showed, as a picture without anything from elsewhere."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from documents import ROOT


def draw(folder: Path, recording: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "recording").write_bytes(recording.encode())
    files = [str(folder / "recording"), str(folder / "picture.svg")]
    return subprocess.run(["tools/terminal-picture", *files, *options], cwd=ROOT, capture_output=True, text=True)


def words(folder: Path) -> str:
    text = "".join(ElementTree.fromstring((folder / "picture.svg").read_text()).itertext())
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_it_shows_what_stood_there_at_the_end(tmp_path: Path) -> None:
    lines = ["Script started on today", "\x1b[0;32mok: [reader]\x1b[0m", "5 %\r100 % 完成", ""]
    assert draw(tmp_path, "\r\n".join(lines), "--title", "site.yml").returncode == 0
    said = words(tmp_path)
    assert "ok: [reader]" in said and "100 % 完成" in said and "site.yml" in said
    assert "started" not in said and "5 %\n" not in said
    # Green is a colour of its own.
    assert len(set(re.findall(r"\.terminal-r\d+ { fill: (#\w+)", (tmp_path / "picture.svg").read_text()))) > 1


def test_it_says_how_much_of_a_long_run_it_leaves_out(tmp_path: Path) -> None:
    assert (
        draw(
            tmp_path, "".join(f"line {one}.\r\n" for one in range(90)), "--part=:2", "--part=9:10", "--part=-3:"
        ).returncode
        == 0
    )
    assert re.findall(r"line (\d+)\.", words(tmp_path)) == ["0", "1", "9", "87", "88", "89"]
    assert re.findall(r"\.\.\. (\d+) more", words(tmp_path)) == ["7", "77"]


def test_it_is_whole_in_itself(tmp_path: Path) -> None:
    draw(tmp_path, "one\r\n")
    assert re.findall(r"https?://(?!www\.w3\.org/)", (tmp_path / "picture.svg").read_text()) == []


def test_it_draws_no_token(tmp_path: Path) -> None:
    done = draw(tmp_path, "http://127.0.0.1:8888/tree?token=c0ffee\r\n")
    assert done.returncode != 0
    assert "show_token=never" in done.stderr
    assert not (tmp_path / "picture.svg").exists()


def test_nothing_is_no_picture(tmp_path: Path) -> None:
    assert "has no line" in draw(tmp_path, "Script started on today\r\n").stderr
