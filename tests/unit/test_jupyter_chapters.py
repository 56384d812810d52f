"""How a chapter in markdown is read as a notebook, and what becomes of it when its cells are changed."""

from __future__ import annotations

import json

import gluon_chapters
import pytest

CHAPTER = """# 数组

An *array* has a shape.

```{.python .input  n=7}
rows = [1, 2, 3]
rows
```

In a shell:

```
pip list
```

```{.python .input}
print(sum(rows))
```

```{.json .output n=2}
[{"name": "stdout", "output_type": "stream", "text": "6\\n"}]
```

The end.
"""
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
IMAGE = {"output_type": "display_data", "data": {"image/png": PNG, "text/plain": "<图>"}, "metadata": {}}


def opened(text: str) -> dict:
    """A chapter as it comes from a browser that has only opened it."""
    return json.loads(json.dumps(gluon_chapters.read(text)))


def cells(text: str) -> list[tuple[str, str]]:
    return [(cell["cell_type"], cell["source"]) for cell in gluon_chapters.read(text)["cells"]]


def new(kind: str, source: str, **more: object) -> dict:
    needed = {"outputs": [], "execution_count": None} if kind == "code" else {}
    return {"cell_type": kind, "metadata": {}, "source": source, **needed, **more}


def code(source: str) -> tuple[str, str]:
    return ("code", source)


def prose(source: str) -> tuple[str, str]:
    return ("markdown", source)


READ = {
    "nothing": ("", []),
    "blank lines": ("\n \t\n\n", []),
    "prose alone": ("# Title\n\ntext  \n", [prose("# Title\n\ntext  ")]),
    "no end of the last line": ("```{.python .input}\nx\n```", [code("x")]),
    "no blank lines between": ("a\n```{.python .input}\nx\n```\nb\n", [prose("a"), code("x"), prose("b")]),
    "an empty cell": ("```{.python .input}\n```\n", [code("")]),
    "blank lines in a cell": ("```{.python .input}\n\nx\n\n```\n", [code("\nx\n")]),
    "Windows": ("a\r\n\r\n```{.python .input}\r\nx\r\ny\r\n```\r\n", [prose("a"), code("x\ny")]),
    "a byte order mark": ("\ufeff```{.python .input}\nx\n```\n", [code("x")]),
    "a longer fence": ("````{.python .input}\n```\nx\n````\n", [code("```\nx")]),
    "tildes": ("~~~{.python .input}\n```\n~~~\n", [code("```")]),
    "a fence that ends with a longer one": ("```{.python .input}\nx\n`````\n", [code("x")]),
    "a cell that is shown": (
        "````\n```{.python .input}\nx\n```\n````\n",
        [prose("````\n```{.python .input}\nx\n```\n````")],
    ),
    "a cell without an end": ("a\n\n```{.python .input}\nx\n", [prose("a\n\n```{.python .input}\nx")]),
    "a fence without an end above": ("~~~\n\n```{.python .input}\nx\n```\n", [prose("~~~"), code("x")]),
    "backticks within a line": ("```so``` is\n\n```{.python .input}\nx\n```\n", [prose("```so``` is"), code("x")]),
    "an indented fence": ("  ```{.python .input}\n  x\n  ```\n", [prose("  ```{.python .input}\n  x\n  ```")]),
    "another kind of block": ("```{.bash}\nls\n```\n", [prose("```{.bash}\nls\n```")]),
    "a name that only sounds like it": ("```python input\nx\n```\n", [prose("```python input\nx\n```")]),
    "a caption about .input": (
        '```{.python caption="of .input"}\n```\n',
        [prose('```{.python caption="of .input"}\n```')],
    ),
    "more attributes": ('```{.python .input #id n=3 caption="a b"}\nx\n```\n', [code("x")]),
    "R": ("```{.r .input}\nx\n```\n", [code("%%R\nx")]),
    "a shell": ("```{.bash .input}\nls\n```\n", [code("%%bash\nls")]),
    "a magic": ("```{.python .input}\n%%time\nx\n```\n", [code("%%time\nx")]),
    "outputs of no cell": ("a\n\n```{.json .output}\n[]\n```\n", [prose("a\n\n```{.json .output}\n[]\n```")]),
}
NO_OUTPUTS = {
    "no JSON": "[{",
    "no list": "7",
    "a list of something else": "[7]",
    "an unknown kind": '[{"output_type": "smell"}]',
    "half of one": '[{"output_type": "stream", "name": "stdout"}]',
    "text that is none": '[{"output_type": "stream", "name": "stdout", "text": [1]}]',
    "a number that no browser reads": '[{"output_type": "display_data", "data": {"application/json": NaN}}]',
    "no end of brackets": "[" * 100000,
}


@pytest.mark.parametrize(("text", "expected"), READ.values(), ids=READ)
def test_cells(text: str, expected: list) -> None:
    assert cells(text) == expected
    assert gluon_chapters.write(opened(text)) == text


@pytest.mark.parametrize("block", NO_OUTPUTS.values(), ids=NO_OUTPUTS)
def test_a_block_that_is_no_output_is_prose(block: str) -> None:
    text = f"```{{.python .input}}\nx\n```\n\n```{{.json .output n=1}}\n{block}\n```\n"
    assert [kind for kind, _ in cells(text)] == ["code", "markdown"]
    assert gluon_chapters.write(opened(text), outputs=True) == text


def test_counts_and_outputs_are_read() -> None:
    found = [cell for cell in opened(CHAPTER)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in found] == [7, None]
    assert [cell["outputs"] for cell in found] == [[], [{"name": "stdout", "output_type": "stream", "text": "6\n"}]]


def test_a_run_stays_in_the_browser() -> None:
    notebook = opened(CHAPTER)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell.update(outputs=[IMAGE], execution_count=40)
    assert gluon_chapters.write(notebook) == CHAPTER


def test_what_a_browser_adds_to_a_cell_is_not_written() -> None:
    notebook = opened(CHAPTER)
    notebook["metadata"]["kernelspec"] = {"name": "julia"}
    for cell in notebook["cells"]:
        cell["metadata"].update(scrolled=True, tags=["x"])
        cell["id"] = "abc"
    assert gluon_chapters.write(notebook, outputs=True) == CHAPTER


def test_an_edited_cell_keeps_its_head_and_loses_the_outputs_that_are_not_its_own() -> None:
    notebook = opened(CHAPTER)
    notebook["cells"][1]["source"] = "rows = [数]"
    notebook["cells"][3]["source"] = "1"
    stored = CHAPTER[CHAPTER.index("```{.json") : CHAPTER.index("The end")]
    expected = CHAPTER.replace("[1, 2, 3]\nrows", "[数]").replace("print(sum(rows))", "1").replace(stored, "")
    assert gluon_chapters.write(notebook) == expected


def test_prose_is_edited_within_its_blank_lines() -> None:
    notebook = opened("\n\na\n\n\n```{.python .input}\nx\n```\n\n\n\nb\n\n\n")
    notebook["cells"][0]["source"], notebook["cells"][2]["source"] = "c", "d"
    assert gluon_chapters.write(notebook) == "\n\nc\n\n\n```{.python .input}\nx\n```\n\n\n\nd\n\n\n"


def test_new_cells_get_blank_lines_around_them() -> None:
    notebook = opened("a\n```{.python .input}\nx\n```")
    notebook["cells"][1:1] = [new("markdown", "新"), new("code", "y\n")]
    notebook["cells"].append(new("raw", "z"))
    assert (
        gluon_chapters.write(notebook)
        == "a\n\n新\n\n```{.python .input}\ny\n\n```\n\n```{.python .input}\nx\n```\n\nz\n"
    )


def test_moved_and_deleted_cells_are_otherwise_as_they_were() -> None:
    notebook = opened(CHAPTER)
    intro, rows, _shell, total, end = notebook["cells"]
    notebook["cells"] = [total, intro, end, rows]
    parts = [
        CHAPTER.index(word) for word in ("```{.python .input  n=7}", "In a shell", "```{.python .input}", "The end")
    ]
    texts = {"intro": CHAPTER[: parts[0]], "rows": CHAPTER[parts[0] : parts[1]], "total": CHAPTER[parts[2] : parts[3]]}
    assert gluon_chapters.write(notebook) == texts["total"] + texts["intro"] + "The end.\n\n" + texts["rows"][:-1]


def test_a_windows_chapter_gets_new_lines_of_its_kind() -> None:
    notebook = opened("a\r\n\r\n```{.python .input}\r\nx\r\n```\r\n")
    notebook["cells"][1]["source"] = "x\ny"
    notebook["cells"].append(new("code", "z", outputs=[IMAGE]))
    saved = gluon_chapters.write(notebook, outputs=True)
    assert "\r\nx\r\ny\r\n" in saved and saved.count("\r\n") == saved.count("\n")


def test_a_cell_that_shows_a_fence_gets_a_longer_one() -> None:
    text = gluon_chapters.write(opened("") | {"cells": [new("code", '"""\n```\n"""'), new("code", "x")]})
    assert cells(text) == [code('"""\n```\n"""'), code("x")]


def test_a_fence_that_was_not_closed_does_not_take_cells_in() -> None:
    notebook = opened("a\n\n```{.python .input}\nx\n```\n")
    notebook["cells"][0]["source"] = "```\nls"
    assert cells(gluon_chapters.write(notebook)) == [prose("```\nls\n```"), code("x")]


def test_an_empty_chapter_stays_empty_though_a_browser_shows_a_cell() -> None:
    for text in ("", "\ufeff", "\n\n"):
        notebook = opened(text)
        notebook["cells"] = [new("code", "")]
        assert gluon_chapters.write(notebook) == text


def test_a_cell_of_another_language_stays_one() -> None:
    notebook = opened("```{.r .input}\nx\n```\n\n```{.bash .input}\nls\n```\n")
    notebook["cells"][0]["source"] = "%%R\ny"
    notebook["cells"][1]["source"] = "ls()"
    assert gluon_chapters.write(notebook) == "```{.r .input}\ny\n```\n\n```{.python .input}\nls()\n```\n"


def test_prose_becomes_code_and_code_prose() -> None:
    notebook = opened("a\n\n```{.python .input  n=7}\nb\n```\n")
    notebook["cells"][0].update(cell_type="code", outputs=[], execution_count=None)
    notebook["cells"][1].update(cell_type="markdown")
    assert gluon_chapters.write(notebook) == "```{.python .input}\na\n```\n\nb\n"


def test_outputs_are_written_where_they_are_wanted() -> None:
    notebook = opened("```{.python .input  n=7}\nplot()\n```\n\n```{.python .input}\n1\n```\n")
    notebook["cells"][0].update(outputs=[IMAGE], execution_count=8)
    saved = gluon_chapters.write(notebook, outputs=True)
    shown = json.dumps([IMAGE], indent=1, sort_keys=True)
    stored = f"```{{.json .output n=8}}\n{shown}\n```\n"
    assert saved == f"```{{.python .input  n=8}}\nplot()\n```\n\n{stored}\n```{{.python .input}}\n1\n```\n"
    assert opened(saved)["cells"][0]["outputs"] == [IMAGE]
    assert gluon_chapters.write(opened(saved)) == saved


def test_outputs_that_a_browser_spells_otherwise_are_the_same() -> None:
    notebook = opened(CHAPTER)
    notebook["cells"][3]["outputs"] = [
        {"output_type": "stream", "name": "stdout", "text": ["6"]},
        {"output_type": "stream", "name": "stdout", "text": "\n"},
    ]
    assert gluon_chapters.write(notebook, outputs=True) == CHAPTER


def test_cleared_outputs_are_gone() -> None:
    notebook = opened(CHAPTER)
    notebook["cells"][3]["outputs"] = []
    assert ".output" not in gluon_chapters.write(notebook, outputs=True)


def test_a_pasted_image_goes_into_the_text() -> None:
    attachments = {"a b.png": {"image/png": PNG}, "unused.png": {"image/png": PNG}}
    notebook = opened("a\n")
    notebook["cells"][0].update(source="![x](attachment:a%20b.png)", attachments=attachments)
    assert gluon_chapters.write(notebook) == f"![x](data:image/png;base64,{PNG})\n"


@pytest.mark.parametrize(
    "kept", [None, 7, {}, {"at": "0", "text": "x"}, {"at": 0, "text": CHAPTER}, {"at": 0, "text": ""}]
)
def test_a_memory_that_is_none_is_not_believed(kept: object) -> None:
    notebook = opened("") | {
        "cells": [new("code", "x") | {"metadata": {"chapter": kept}}],
        "metadata": {"chapter": kept},
    }
    assert gluon_chapters.write(notebook) == "```{.python .input}\nx\n```\n"


def test_a_notebook_saved_as_one_has_no_chapter_in_it() -> None:
    notebook = opened(CHAPTER)
    gluon_chapters.forget(notebook)
    assert "chapter" not in json.dumps(notebook)


def test_the_time_it_takes_grows_with_the_text_alone() -> None:
    """A fence for each line, none of which ends: a search to the end for each would take minutes."""
    text = "".join(f"~~~{{.python .input n={n}}}\n" for n in range(200_000))
    assert len(cells(text)) == 1
