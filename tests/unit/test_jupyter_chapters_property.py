"""Whatever is in a chapter, and whatever is done to its cells: what was not touched stays byte for byte."""

from __future__ import annotations

import json
import re

import gluon_chapters
from hypothesis import assume, example, given
from hypothesis import strategies as st

# What a chapter may be made of, in any order: more of a chapter's own signs than chance would bring.
SCRAPS = st.sampled_from(
    [
        *["\n", "\r\n", "\r", "\n\n", "\n \t\n", " ", "\t", "\ufeff", "\u3000\n", "\x0c", "\x85", "\u2028"],
        *["word", "数组", "# Title\n", "    indented\n", "- item\n", "$n \\times m$", "![](../img/x.svg)", "%%bash\n"],
        *["```", "````", "~~~", "  ```", "```python\n", "```{.bash}\n", "```so``` is code", "```{.python}\n"],
        *["```{.python .input}\n", "```{.python .input  n=7}\r\n", "~~~{.python .input}\n", "````{.r .input n=2}\n"],
        *["```{.json .output n=7}\n", "[]", '[{"name": "stdout", "output_type": "stream", "text": "1\\n"}]', "[{}]"],
    ]
)
CELLS = st.sampled_from(
    [
        "```{.python .input  n=7}\nrows\n```\n",
        "\n````{.r .input}\r\n```\r\n````  \r\n",
        "~~~{.python .input #id}\n\n~~~\n",
        '```{.python .input}\nx\n```\n\n```{.json .output}\n[{"output_type":"stream","name":"x","text":["1"]}]\n```\n',
    ]
)
CHAPTERS = st.lists(SCRAPS | CELLS | st.text(max_size=5), max_size=20).map("".join)
SOURCES = st.lists(SCRAPS | st.text(max_size=5), max_size=8).map("".join).map(lambda text: re.sub("\r\n?", "\n", text))
NUMBERS = st.integers(0, 99)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
DATA = st.dictionaries(
    st.sampled_from(["text/plain", "text/html", "image/png", "image/svg+xml"]), st.text()
) | st.builds(lambda value: {"application/json": value}, JSON)
METADATA = st.dictionaries(st.text(max_size=5), JSON, max_size=2)
OUTPUTS = st.lists(
    st.fixed_dictionaries(
        {"output_type": st.just("stream"), "name": st.sampled_from(["stdout", "stderr"]), "text": st.text()}
    )
    | st.fixed_dictionaries({"output_type": st.just("display_data"), "data": DATA, "metadata": METADATA})
    | st.fixed_dictionaries(
        {
            "output_type": st.just("execute_result"),
            "data": DATA,
            "metadata": METADATA,
            "execution_count": st.none() | NUMBERS,
        }
    )
    | st.fixed_dictionaries(
        {
            "output_type": st.just("error"),
            "ename": st.text(),
            "evalue": st.text(),
            "traceback": st.lists(st.text(), max_size=3),
        }
    ),
    max_size=4,
)


def opened(text: str) -> dict:
    """A chapter as it comes from a browser that has only opened it."""
    return json.loads(json.dumps(gluon_chapters.read(text)))


def code(notebook: dict) -> list[str]:
    return [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]


def new(kind: str, source: str) -> dict:
    more = {"outputs": [], "execution_count": None} if kind == "code" else {}
    return {"cell_type": kind, "metadata": {}, "source": source, **more}


def written(cell: dict) -> str:
    return cell["metadata"]["chapter"]["text"]


def unclosed(text: str, kind: str = "") -> bool:
    """Whether a fence, that of a cell perhaps, has no end: it is prose, until another cell's fence ends it."""
    lines = gluon_chapters.LINE.findall(text)
    return any(end is None and kind in lines[place] for place, end, _ in gluon_chapters.fences(lines))


def closed(text: str) -> str:
    """The text with an end for a fence that has none. To leave such texts out would leave out most of them."""
    for _ in range(9):
        lines = gluon_chapters.LINE.findall(text)
        opening = next((lines[place] for place, end, _ in gluon_chapters.fences(lines) if end is None), "")
        if not opening:
            break
        text += "\n" + re.search("`{3,}|~{3,}", opening)[0] + "\n"
    return text


@given(CHAPTERS | st.text(), st.booleans())
@example("", False)
@example("\ufeff```{.python .input}\n1\n```", False)
def test_what_was_only_opened_is_saved_byte_for_byte(text: str, outputs: bool) -> None:
    assert gluon_chapters.write(opened(text), outputs) == text


@given(CHAPTERS.map(closed), NUMBERS, SOURCES.map(closed), st.booleans())
def test_an_edited_cell_is_all_that_changes(text: str, place: int, source: str, outputs: bool) -> None:
    notebook = opened(text)
    assume(notebook["cells"] and source.strip())
    place %= len(notebook["cells"])
    before = text[: text.startswith(gluon_chapters.BOM)] + "".join(map(written, notebook["cells"][:place]))
    after = "".join(map(written, notebook["cells"][place + 1 :]))
    notebook["cells"][place]["source"] = source
    saved = gluon_chapters.write(notebook, outputs)
    assert saved.startswith(before) and saved.endswith(after)


@given(CHAPTERS, NUMBERS, SOURCES)
def test_an_edited_code_cell_is_read_as_it_was_saved(text: str, place: int, source: str) -> None:
    notebook = opened(text)
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assume(cells and not unclosed(text, ".input"))
    cells[place % len(cells)]["source"] = source
    assert code(opened(gluon_chapters.write(notebook))) == code(notebook)


@given(
    CHAPTERS,
    st.lists(st.tuples(st.sampled_from(["code", "markdown", "raw", "move", "delete", "turn"]), NUMBERS, SOURCES)),
)
def test_code_cells_are_never_lost(text: str, deeds: list[tuple[str, int, str]]) -> None:
    """New, moved, deleted cells, and prose that became code: the next reader gets the cells that the last one saw."""
    text = text[:1] + text[1:].replace("\ufeff", "")  # in front of a chapter it is something else
    cells = opened(text)["cells"]
    for deed, place, source in deeds:
        place %= len(cells) + 1
        if deed in ("code", "markdown", "raw"):
            # Prose may well be typed so that it becomes a cell; here it is not.
            prose = source.replace("input", "").replace("\ufeff", "")
            cells.insert(place, new(deed, source if deed == "code" else prose))
        elif place < len(cells) and deed == "turn":
            cells[place] |= new("code", cells[place]["source"]) | {"metadata": cells[place]["metadata"]}
        elif place < len(cells):
            cell = cells.pop(place)
            cells[0:0] = [cell] if deed == "move" else []
    assume(any(cell["source"].strip() for cell in cells) and not unclosed(text, ".input"))
    notebook = opened(text) | {"cells": cells}
    saved = gluon_chapters.write(notebook)
    assert code(opened(saved)) == code(notebook)
    assert gluon_chapters.write(opened(saved)) == saved


@given(CHAPTERS, OUTPUTS, st.none() | NUMBERS)
def test_outputs_are_read_as_they_were_saved(text: str, outputs: list[dict], count: int | None) -> None:
    notebook = opened(text + "\n\n")
    notebook["cells"].append(new("code", "run()") | {"outputs": outputs, "execution_count": count})
    saved = gluon_chapters.write(notebook, outputs=True)
    cell = opened(saved)["cells"][-1]
    assert (cell["outputs"], cell["execution_count"]) == (gluon_chapters.normal(outputs), count)
    assert gluon_chapters.write(opened(saved), outputs=True) == saved
    saved.encode("utf-8")
