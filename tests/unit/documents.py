"""The documents as a reader has them: their commands, their code spans, and what the product can print."""

from __future__ import annotations

import ast
import itertools
import re
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "roles").glob("*/README.md"))]
# What may print a sentence that docs/errors.md quotes.
PRODUCT = ("plugins/**/*.py", "roles/*/tasks/*.yml", "roles/*/vars/**/*.yml", "roles/*/files/*", "playbooks/**/*.yml")
PROGRAMS = ("tools/*", "local_ec2/*.py")
VALUE = "…"
# Beginnings of what a reader types. Other code spans are names, settings and outputs.
TYPED = re.compile(r"(sudo )?(ansible(-\w+)? |make |python -m |tools/|git |aws |ssh |openssl |timedatectl )")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


def text_of(file: Path) -> str:
    """A document without what it quotes: the book's own steps and the errors, which are first columns of tables."""
    text = file.read_text()
    return re.sub(r"^\|[^|]*", "|", text, flags=re.M) if file.stem in ("chapter", "errors") else text


def fenced(text: str) -> list[str]:
    """The commands of blocks for a shell: a line each, without comments, `&&` taken apart."""
    lines = [line for kind, body in FENCE.findall(text) if kind == "sh" for line in body.splitlines()]
    return [part.strip() for line in lines for part in re.sub(r"(^|\s)#.*", "", line).split("&&") if part.strip()]


def spans(text: str) -> list[str]:
    """Code spans, those in double backticks too; a line end in one is a space."""
    found = re.findall(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", FENCE.sub("", text), re.S)
    return [" ".join(body.split()) for _, body in found]


def commands(text: str) -> list[str]:
    """What a reader is told to type, in order."""
    return fenced(text) + [span for span in spans(text) if TYPED.match(span)]


def options(text: str) -> list[str]:
    """What a reader is told to add to a command."""
    return [span for span in spans(text) if span.startswith("-e ")]


def _python(text: str) -> list[str]:
    """The strings of a Python file, joined as Python joins them, with … for each value."""
    tree, parts = ast.parse(text), set()
    joined = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    for node in joined:
        parts |= {id(child) for child in ast.walk(node) if child is not node}
    found = [
        "".join(VALUE if isinstance(one, ast.FormattedValue) else one.value for one in node.values) for node in joined
    ]
    # A docstring prints nothing.
    parts |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    whole = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in parts)
    return found + [node.value for node in whole if isinstance(node.value, str)]


def _template(text: str) -> list[str]:
    """The words of a YAML file with … for each value: what stands in braces, and what stands between quoted pieces."""
    plain = " ".join(text.split())
    return [re.sub(r"\{\{.*?\}\}", VALUE, plain), re.sub(r"'\s*~.*?~\s*'", VALUE, plain)]


def _shell(text: str) -> list[str]:
    return [re.sub(r"\$(\((?:[^()]|\([^()]*\))*\)|\{[^}]*\}|\w+|\*)", VALUE, text)]


def sentences() -> str:
    """All that the product can print, with … for each value."""
    found: list[str] = []
    for pattern in (*PRODUCT, *PROGRAMS):
        for file in sorted(ROOT.glob(pattern)):
            if file.suffix not in (".py", ".yml", "") or not file.is_file():
                continue
            text = file.read_text()
            read = {".py": _python, ".yml": _template}.get(file.suffix, _shell)
            if text.startswith("#!") and "python" in text.splitlines()[0]:
                read = _python
            found += read(text)
    return "\n".join(" ".join(one.split()) for one in found)


def extra(command: str) -> dict[str, str]:
    """The variables that a command gives with -e, by name; the value of a JSON mapping is the mapping."""
    words, found = shlex.split(command), {}
    for option, value in itertools.pairwise(words):
        if option == "-e" and value.startswith("{"):
            found |= {name: "" for name in re.findall(r'^\{"(\w+)"', value)}
        elif option == "-e" and "=" in value:
            name, _, rest = value.partition("=")
            found[name] = rest
    return found
