"""The tutorial has the book's shape, and survives being opened and saved byte for byte."""

import ast
import re
from pathlib import Path

import gluon_chapters
import pytest
import yaml

from local_ec2.upstream.repository import COMMITS, TUTORIAL

CHAPTERS = {
    "chapter_deep-learning-basics/linear-regression-gluon.md": 5,
    "chapter_deep-learning-computation/use-gpu.md": 3,
    "chapter_prerequisite/ndarray.md": 5,
}


def read(chapter: str) -> list[tuple[int | None, str]]:
    """Cells as a reader gets them: (n of a code cell or None, source)."""
    cells = gluon_chapters.read((TUTORIAL / chapter).read_text())["cells"]
    return [(cell.get("execution_count"), cell["source"]) for cell in cells]


def test_these_are_all_the_chapters():
    assert {str(path.relative_to(TUTORIAL)) for path in TUTORIAL.glob("chapter_*/*.md")} == set(CHAPTERS)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_saved_chapter_is_the_chapter(chapter):
    text = (TUTORIAL / chapter).read_text()
    assert gluon_chapters.write(gluon_chapters.read(text)) == text


@pytest.mark.parametrize(("chapter", "count"), CHAPTERS.items())
def test_cells_are_numbered_as_a_fresh_kernel_runs_them(chapter, count):
    numbers = [n for n, _ in read(chapter) if n is not None]
    assert numbers == list(range(1, count + 1))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_cells_are_python_and_shell_blocks_are_prose(chapter):
    for n, source in read(chapter):
        if n is None:
            assert ".input" not in source
        else:
            ast.parse(re.sub(r"^%.*$", "", source, flags=re.M))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_images_are_there(chapter):
    for image in re.findall(r"!\[.*?\]\((.+?)\)", (TUTORIAL / chapter).read_text()):
        assert (TUTORIAL / chapter).parent.joinpath(image).is_file()


def test_the_environment_file_has_the_book_s_form():
    file = yaml.safe_load((TUTORIAL / "environment.yml").read_text())
    assert file["name"] == "gluon"
    python, pip = file["dependencies"]
    assert python == "python=3.11"
    assert all(re.fullmatch(r"[a-z]+==[\d.]+", pin) for pin in pip["pip"])


def test_the_history_ends_with_the_whole_tutorial():
    named = {path for _, _, paths in COMMITS for path in paths}
    assert COMMITS[-1][2] == ["."]
    assert all(Path(TUTORIAL, path).exists() for path in named)
