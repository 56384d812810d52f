"""Every command of the documents is run by a test, or the document says beside it that it was not."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import documents
import pytest
import yaml
from documents import DOCUMENTS, ROOT

PROOF = yaml.safe_load(Path(__file__).with_name("docs_commands.yml").read_text())
# What a reader puts in place of it.
PLACEHOLDER = re.compile(r"[A-Z]{3}")


def given() -> dict[str, list[Path]]:
    """Each command, and each option that is named alone, with the documents that have it."""
    found: dict[str, list[Path]] = {}
    for file in DOCUMENTS:
        text = documents.text_of(file)
        for command in documents.commands(text) + documents.options(text):
            found.setdefault(command, []).append(file)
    return found


def proof_of(command: str) -> tuple[str, str]:
    """Its kind, and its entry: of that name, or of a beginning that ends in …"""
    for kind, entries in PROOF.items():
        if command in entries:
            return kind, command
    for kind, entries in PROOF.items():
        for name in entries:
            if name.endswith("…") and command.startswith(name[:-1]):
                return kind, name
    return "", ""


MARKED = [command for command in given() if proof_of(command)[0] in ("aws", "by hand", "not run")]


def test_there_is_proof_for_each_and_for_no_other() -> None:
    used = {command: proof_of(command) for command in given()}
    assert [command for command, (kind, _) in used.items() if not kind] == []
    assert {name for kind in PROOF for name in PROOF[kind]} - {name for _, name in used.values()} == set()


@cache
def defined(file: Path) -> dict[str, tuple[str, set[str]]]:
    """What a file defines, methods too, by name: its source, and the names that this uses."""
    text = file.read_text()
    found: dict[str, tuple[str, set[str]]] = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [one.id for one in targets if isinstance(one, ast.Name)]
        else:
            continue
        inside = list(ast.walk(node))
        uses = {one.id for one in inside if isinstance(one, ast.Name)}
        uses |= {one.attr for one in inside if isinstance(one, ast.Attribute)}
        # Fixtures are named by arguments, and by usefixtures.
        uses |= {one.arg for one in inside if isinstance(one, ast.arg)}
        marks = [one for mark in getattr(node, "decorator_list", []) for one in ast.walk(mark)]
        uses |= {one.value for one in marks if isinstance(one, ast.Constant) and isinstance(one.value, str)}
        for name in names:
            source, used = found.get(name, ("", set()))
            found[name] = (f"{source}\n{ast.get_source_segment(text, node)}", used | uses)
    return found


def reached(test: str) -> str:
    """The source of a test with all that it uses of its file, of conftest.py and of the helpers beside them."""
    name, *path = test.split("::")
    file = ROOT / name
    beside = re.findall(r"^(?:from|import) (\w+)", file.read_text(), re.M)
    places = [file, *(file.with_name(f"{one}.py") for one in ["conftest", *beside])]
    known: dict[str, tuple[str, set[str]]] = {}
    for place in reversed([one for one in places if one.exists()]):
        known |= defined(place)
    assert set(path) <= set(defined(file)), f"there is no {test}"
    sources: dict[str, str] = {}
    left = [path[-1]]
    while left:
        one = left.pop()
        sources[one], uses = known[one]
        left += [use for use in uses & set(known) if use not in sources]
    return "\n".join(sources.values())


def words(command: str) -> list[str]:
    """Patterns that the code of a test has, if it runs the command."""
    found = []
    for part in command.split():
        if play := re.fullmatch(r"(?:playbooks/)?([a-z_]+)\.yml", part):
            found.append(rf"\b{play[1]}\.yml|[\"']{play[1]}[\"']")
        elif re.fullmatch(r"--[a-z]+|tools/\S+", part):
            found.append(re.escape(part))
    for name, value in documents.extra(command).items():
        plain = value not in ("", "yes") and not PLACEHOLDER.search(value) and not value[0].isdigit()
        # As a string of -e, as an argument, or in a mapping.
        found.append(rf"\b{name}\b" + (rf"\W.{{0,25}}\b{re.escape(value)}\b" if plain else ""))
    if target := re.match(r"(?:sudo )?make ([a-z-]+)", command):
        recipe = re.search(rf"^{target[1]}:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M)
        assert recipe, command
        found += [re.escape(one) for one in re.findall(r"tools/(?!venv)[a-z-]+", recipe[1])]
    return found


@pytest.mark.parametrize("command", PROOF["run"])
def test_its_test_runs_it(command: str) -> None:
    proof = PROOF["run"][command]
    test, names = (proof, words(command)) if isinstance(proof, str) else (proof["test"], proof["names"])
    code = reached(test)
    assert names, f"say under names what shows that {test} runs it"
    assert [one for one in names if not re.search(one, code)] == []


@pytest.mark.parametrize("command", MARKED)
def test_where_no_test_runs_it_the_document_says_so(command: str) -> None:
    kind, name = proof_of(command)
    says = PROOF[kind][name]
    for file in given()[command]:
        intro, *sections = re.split(r"^(?=## )", file.read_text(), flags=re.M)
        near = [intro, *(one for one in sections if command in " ".join(one.split()))]
        said = " ".join(" ".join(near).split())
        assert re.search(says, said, re.IGNORECASE), f"{file.name} does not say: {says}"


@pytest.mark.parametrize("command", [one for one in given() if one.startswith("python -m ")])
def test_programs_are_where_they_are_said_to_be(command: str) -> None:
    place = ROOT / command.split()[2].replace(".", "/")
    assert place.with_suffix(".py").exists() or (place / "__main__.py").exists()


@pytest.mark.parametrize("module", [one for one in given() if one.startswith("ansible-doc ")])
def test_modules_have_their_documentation(module: str) -> None:
    told = subprocess.run(
        [Path(sys.executable).with_name("ansible-doc"), *module.split()[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert module.split()[-1] in told.stdout


def test_the_parts_of_the_tests_are_named() -> None:
    told = subprocess.run(
        [sys.executable, "tests/run.py", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "PART" in told.stdout
    for part in ("whole", "molecule", "cuda-slow"):
        assert part in told.stdout
