"""A chapter in markdown as a notebook, and back: byte for byte, but for the cells that were changed.

A code cell is a block that begins with ```{.python .input}, and ```{.json .output} after it are its outputs; whatever
else stands between two code cells is one markdown cell. Each cell takes along, in its metadata, how it was written: one
that is still the same goes back as it was, wherever it was moved. What markdown has no place for is not saved: other
metadata, the kernel's name, and that a cell was raw (it is prose then). An image pasted into a cell goes into its text.

It runs on Python 3.6, as the book's first edition does.
"""

import itertools
import json
import re
from typing import NamedTuple
from urllib.parse import quote

KEY = "chapter"
BOM = "\ufeff"
LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")
NEWLINE = re.compile(r"\r\n?|\n")
# In backticks there is no fence: ```so``` is code within a line.
OPENING = re.compile(r"(`{3,}(?!.*`)|~{3,})(.*)")
COUNT = re.compile(r"(?<=[\s{])n=([0-9]{1,9})(?=[\s}])")
# What the kernel for Python needs to run a cell in another language.
MAGICS = {"r": "%%R\n", "bash": "%%bash\n", "ruby": "%%ruby\n"}


class Written(NamedTuple):
    """A cell as the chapter has it: these texts, one after another, are its bytes."""

    lead: str  # blank lines before it
    head: str  # the line that opens a code cell; empty for prose
    body: str
    close: str
    stored: str  # the blocks with its outputs, and the blank lines before each
    trail: str  # the end of prose's last line; blank lines at the end of the chapter
    outputs: tuple

    @property
    def text(self):
        return "".join(self[:6])

    @property
    def source(self):
        """What is to be seen in the cell; browsers end every line by a line feed."""
        body = NEWLINE.sub("\n", self.body)
        return MAGICS.get(language(self.head), "") + body[:-1] if self.head else body


def classes(head):
    """The classes of a block whose first line has {.these .classes key=value} and nothing else after its fence."""
    found = OPENING.match(head.rstrip())
    attributes = found and re.match(r"[ \t]*\{(.*)\}$", found.group(2))
    words = re.sub(r"\"[^\"]*\"|'[^']*'", "", attributes.group(1)).split() if attributes else []
    return [word[1:] for word in words if word.startswith(".")]


def language(head):
    """The one of a code cell that needs a magic, else python."""
    found = classes(head)
    return "python" if "python" in found else next((name for name in found if name in MAGICS), "python")


def closes(line, fence):
    line = line.rstrip()
    return len(line) >= len(fence) and not line.strip(fence[0])


def fences(lines):
    """Yield each fenced block: its first line, its last (None for a fence that nothing closes), its fence."""
    place, hopeless = 0, {}
    while place < len(lines):
        opening = OPENING.match(lines[place].rstrip("\r\n"))
        if opening:
            fence, end = opening.group(1), None
            if len(fence) < hopeless.get(fence[0], len(fence) + 1):
                end = next((n for n in range(place + 1, len(lines)) if closes(lines[n], fence)), None)
            if end is None:
                hopeless[fence[0]] = min(len(fence), hopeless.get(fence[0], len(fence)))
            yield place, end, fence
            place = end or place
        place += 1


def joined(text):
    """A text that notebook files may keep as a list of lines."""
    return text if isinstance(text, str) else "".join(text)


def normal(outputs):
    """Outputs, however a browser or a file spells them, in one way; raise an error if they are none."""
    found = []
    for one in outputs:
        kind = one["output_type"]
        if kind == "stream":
            name, text = one["name"] + "", joined(one["text"])
            if found and found[-1].get("name") == name:
                found[-1]["text"] += text
            else:
                found.append({"output_type": kind, "name": name, "text": text})
        elif kind == "error":
            told = {key: one[key] + "" for key in ("ename", "evalue")}
            found.append({"output_type": kind, "traceback": [line + "" for line in one["traceback"]], **told})
        elif kind in ("display_data", "execute_result"):
            data = {mime: value if mime.endswith("json") else joined(value) for mime, value in one["data"].items()}
            output = {"output_type": kind, "data": data, "metadata": dict(one.get("metadata") or {})}
            if kind == "execute_result":
                output["execution_count"] = one.get("execution_count")
            found.append(output)
        else:
            raise ValueError(kind)
    return found


def understood(text):
    """Outputs that are kept as JSON, None if they are none that a browser could read."""
    try:
        found = normal(json.loads(text))
        json.dumps(found, allow_nan=False)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return tuple(found)


def parse(text):
    """Split a chapter into cells, as it has them written. Without cells, it is blank."""
    lines, cells, start = LINE.findall(text), [], 0

    def between(first, last):
        return "".join(lines[first:last])

    def prose(last):
        """Append what lies before the last line, if it says anything."""
        first, end = start, last
        while first < last and not lines[first].strip():
            first += 1
        while end > first and not lines[end - 1].strip():
            end -= 1
        if first < end:
            body = between(first, end)
            said = body.rstrip("\r\n")
            cells.append(Written(between(start, first), "", said, "", "", body[len(said) :] + between(end, last), ()))
        elif cells and last == len(lines):
            cells[-1] = cells[-1]._replace(trail=between(start, last))

    for place, end, _ in fences(lines):
        if end is None:
            continue
        kind, before = classes(lines[place]), place
        while before > start and not lines[before - 1].strip():
            before -= 1
        if "input" in kind:
            prose(before)
            body = between(place + 1, end)
            cells.append(Written(between(before, place), lines[place], body, lines[end], "", "", ()))
        elif {"json", "output"} <= set(kind) and before == start and cells and cells[-1].head:
            outputs = understood(between(place + 1, end))
            if outputs is None:
                continue
            stored = cells[-1].stored + between(start, end + 1)
            cells[-1] = cells[-1]._replace(stored=stored, outputs=cells[-1].outputs + outputs)
        else:
            continue
        start = end + 1
    prose(len(lines))
    return cells


def count(head):
    found = COUNT.search(head)
    return int(found.group(1)) if found else None


def read(text):
    """The notebook that a chapter is, as a plain dictionary (nbformat 4.4: later ones want names that a cell keeps)."""
    cells, bom = [], text[: text.startswith(BOM)]
    for place, written in enumerate(parse(text[len(bom) :])):
        more = {"cell_type": "markdown"}
        if written.head:
            more = {"cell_type": "code", "execution_count": count(written.head), "outputs": list(written.outputs)}
        cells.append({"metadata": {KEY: {"at": place, "text": written.text}}, "source": written.source, **more})
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    # A browser shows an empty cell where there is none; it is not to be saved.
    metadata[KEY] = bom if cells else text
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 4}


def memory(cell):
    """Which of the chapter's cells it was and how that was written; (None, None) if it is new."""
    kept = cell.get("metadata", {}).get(KEY)
    if isinstance(kept, dict) and isinstance(kept.get("at"), int) and isinstance(kept.get("text"), str):
        found = parse(kept["text"])
        if len(found) == 1:
            return kept["at"], found[0]
    return None, None


def shown(cell):
    """The cell's text, an image pasted into it included."""
    text = NEWLINE.sub("\n", joined(cell["source"]))
    for name, bundle in sorted((cell.get("attachments") or {}).items(), reverse=True):
        for mime, data in itertools.islice(bundle.items(), 1):
            address = f"data:{mime};base64," + "".join(joined(data).split())
            text = text.replace("attachment:" + name, address).replace("attachment:" + quote(name), address)
    return text


def seen(cell):
    """The outputs that a browser has for the cell."""
    return understood(json.dumps(cell.get("outputs") or [])) or ()


def code(cell, source, old, newline, outputs):
    """The text of a code cell that is new or was changed."""
    head, close = old.head or "```{.python .input}" + newline, old.close or "```" + newline
    magic, now = MAGICS.get(language(head), ""), cell.get("execution_count")
    if not source.startswith(magic):
        head = re.sub(rf"\.{language(head)}(?=[\s}}])", ".python", head, count=1)
        magic = ""
    if outputs and now is not None and now != count(head):
        brace = head.rindex("}")
        head = COUNT.sub("", head[:brace] + " ").rstrip() + f"  n={now}" + head[brace:]
    opening = fence = OPENING.match(head.rstrip("\r\n")).group(1)
    body = old.body
    if source != old.source or not old.head:
        body = source[len(magic) :].replace("\n", newline) + newline
        inside = re.findall(rf"^[ \t]*({fence[0]}{{3,}})", source, re.M)
        fence = fence[0] * max([len(fence), *(len(other) + 1 for other in inside)])
    text = fence + head[len(opening) :] + body + fence + close[len(close.rstrip()) :]
    if outputs and seen(cell):
        made = json.dumps(seen(cell), indent=1, sort_keys=True).replace("\n", newline)
        number = "" if now is None else f" n={now}"
        text = newline.join([text.rstrip("\r\n"), "", f"```{{.json .output{number}}}", made, "```", ""])
    return text


def write(notebook, outputs=False):
    """The chapter that a notebook is; without outputs, only those stay that it had and whose cell is the same."""
    known = [(cell, *memory(cell)) for cell in notebook["cells"]]
    blank = notebook["metadata"].get(KEY)
    if isinstance(blank, str) and not any(old or joined(cell["source"]).strip() for cell, _, old in known):
        return blank
    before = "".join(old.text for _, _, old in known if old)
    newline = "\r\n" if before.count("\r\n") * 2 > before.count("\n") else "\n"
    pieces, wanted = [], []
    for cell, place, old in known:
        is_code, source = cell["cell_type"] == "code", shown(cell)
        same = bool(old) and source == old.source and is_code == bool(old.head)
        if same and is_code and outputs:
            same = (cell.get("execution_count"), seen(cell)) == (count(old.head), old.outputs)
        if not old or is_code != bool(old.head):
            old = Written(old.lead if old else "", "", "", "", "", "" if is_code else newline, ())
        if same:
            text = old.text
        elif is_code:
            text = old.lead + code(cell, source, old, newline, outputs) + old.trail
        else:
            text = old.lead + source.replace("\n", newline) + old.trail
        if is_code:
            wanted.append(source)
        if text.strip():
            pieces.append((place, is_code, text))
    text = put_together(pieces, newline)
    if [cell.source for cell in parse(text) if cell.head] != wanted:
        # A fence that somebody forgot to close would take the cells below it in.
        text = put_together([(place, is_code, closed(text, newline)) for place, is_code, text in pieces], newline)
    return BOM * str(blank).startswith(BOM) + text


def closed(text, newline):
    """Prose with an end to the first of its fences that has none."""
    fence = next((fence for _, end, fence in fences(LINE.findall(text)) if end is None), "")
    return text.rstrip("\r\n") + newline + fence + newline if fence else text


def put_together(pieces, newline):
    """Cells that are beside each other as they were are not touched; others get a blank line between them."""
    text, last, was_code, blank = "", None, True, True
    for place, is_code, piece in pieces:
        lines = LINE.findall(piece)
        beside = place is not None and last is not None and place == last + 1 and (is_code or was_code)
        if text and text[-1] not in "\r\n":
            text += newline
        if not text and place != 0:
            piece = "".join(itertools.dropwhile(lambda line: not line.strip(), lines))
        elif text and not beside and not blank and lines[0].strip():
            text += newline
        text += piece
        last, was_code, blank = place, is_code, not lines[-1].strip()
    return text


def forget(notebook):
    """Remove from a notebook that is saved as one what only a chapter needs."""
    for one in [notebook, *notebook.get("cells", [])]:
        one.get("metadata", {}).pop(KEY, None)
