"""The tutorial has the book's shape, and survives being opened and saved byte for byte."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from local_ec2.upstream.repository import COMMITS, TUTORIAL

CHAPTERS = {
    "chapter_deep-learning-basics/linear-regression-gluon.md": 5,
    "chapter_deep-learning-computation/use-gpu.md": 3,
    "chapter_prerequisite/ndarray.md": 5,
}
FENCED = re.compile(r"^(?P<raw>```(?P<attributes>.*)\n(?P<code>[\s\S]*?)\n```\n)", re.M)
INPUT = re.compile(r"\{\.python \.input  n=(\d+)\}")


def read(text: str) -> list[tuple[int | None, str]]:
    """Cells as notedown's strict match reads them: (n of a code cell or None, source)."""
    cells, at = [], 0
    for block in FENCED.finditer(text):
        cells.append((None, text[at : block.start()].strip()))
        code = INPUT.fullmatch(block["attributes"])
        cells.append((int(code[1]), block["code"]) if code else (None, block["raw"]))
        at = block.end()
    cells.append((None, text[at:].strip()))
    return [cell for cell in cells if cell[1]]


def written(cells: list[tuple[int | None, str]]) -> str:
    """The file that notedown writes of cells without outputs.

    A fence that is prose is read with its line's end; the jupyter role takes that off again before saving.
    """
    blocks = [
        source.rstrip("\n") if n is None else f"```{{.python .input  n={n}}}\n{source}\n```" for n, source in cells
    ]
    return "\n\n".join(blocks) + "\n"


def test_these_are_all_the_chapters():
    assert {str(path.relative_to(TUTORIAL)) for path in TUTORIAL.glob("chapter_*/*.md")} == set(CHAPTERS)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_saved_chapter_is_the_chapter(chapter):
    text = (TUTORIAL / chapter).read_text()
    assert written(read(text)) == text


@pytest.mark.parametrize(("chapter", "count"), CHAPTERS.items())
def test_cells_are_numbered_as_a_fresh_kernel_runs_them(chapter, count):
    numbers = [n for n, _ in read((TUTORIAL / chapter).read_text()) if n is not None]
    assert numbers == list(range(1, count + 1))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_cells_are_python_and_shell_blocks_are_prose(chapter):
    for n, source in read((TUTORIAL / chapter).read_text()):
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
