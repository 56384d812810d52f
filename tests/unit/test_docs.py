"""The documents: what they quote is what the product says, what they link is there, and both languages say the same."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import documents
import pytest
import yaml
from documents import DOCUMENTS, ROOT

from plugins.module_utils.ec2_catalog import FAMILIES, SYSTEMS

ERRORS = (ROOT / "docs/errors.md").read_text()
QUOTED = re.findall(r"^\| `(.+?)` \|", ERRORS, re.M)
CHAPTER = ROOT / "docs/chapter.md"
README, CHINESE = ((ROOT / name).read_text() for name in ("README.md", "README.zh.md"))
PICTURES = sorted((ROOT / "docs/pictures").glob("*.svg"))


@pytest.fixture(scope="module")
def said() -> str:
    return documents.sentences()


@pytest.mark.parametrize("quote", QUOTED)
def test_a_quoted_error_is_one_that_the_product_gives(quote: str, said: str) -> None:
    # So much of it is literal that it can be of one error only.
    assert len(quote.replace(documents.VALUE, "")) >= 15
    # A name before it may be put there elsewhere.
    assert quote.removeprefix(f"{documents.VALUE} ") in said


def test_an_old_error_would_be_found(said: str) -> None:
    assert QUOTED[0] + " anywhere" not in said


@pytest.mark.parametrize("file", [*DOCUMENTS, ROOT / "README.zh.md"], ids=lambda file: str(file.relative_to(ROOT)))
def test_links_lead_somewhere(file: Path) -> None:
    text = documents.FENCE.sub("", file.read_text())
    links = re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"", text)
    for link in (one or other for one, other in links):
        target, _, part = link.partition("#")
        if not target.startswith(("http://", "https://")):
            there = file.parent / target if target else file
            assert there.exists(), link
            assert not part or part in anchors(there.read_text()), link


def anchors(text: str) -> set[str]:
    """The names of a document's sections, as they stand in links."""
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in re.findall(r"^#+ (.+)$", text, re.M)}


def variables() -> set[str]:
    """All that somebody may set: what inventories have, what roles have, and what playbooks ask for."""
    files = [*ROOT.glob("roles/*/defaults/main.yml"), *ROOT.glob("inventories/aws/group_vars/*.yml")]
    named = {name for file in files for name in yaml.safe_load(file.read_text()) or {}}
    asked = "\n".join(file.read_text() for file in ROOT.glob("playbooks/**/*.yml"))
    return named | set(re.findall(r"\b(\w+)(?= \| default\()", asked)) | set(re.findall(r"(\w+) is defined", asked))


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_variables_are_called_so(file: Path) -> None:
    text = documents.text_of(file)
    given = {name for one in documents.commands(text) + documents.options(text) for name in documents.extra(one)}
    assert given - variables() == set()


def test_settings_of_the_chapter_are_called_so() -> None:
    given = {found[1] for span in documents.spans(CHAPTER.read_text()) if (found := re.match(r"(\w+): \S", span))}
    assert {"ami", "disk_gb", "idle_stop_minutes"} <= given
    assert given - variables() == set()


def test_the_chapter_is_followed_to_its_end() -> None:
    """Its seven steps, in its order, and the exercise."""
    heads = re.findall(r"^## (\S+) \(", CHAPTER.read_text(), re.M)
    assert [len(heads), heads[0], heads[-1]] == [7, "申请账号并登陆", "练习"]


@pytest.mark.parametrize("file", PICTURES, ids=lambda file: file.name)
def test_a_picture_needs_nothing_from_elsewhere(file: Path) -> None:
    text = file.read_text()
    assert ElementTree.fromstring(text).get("viewBox")
    addresses = re.findall(r"""(?:href|src)=["']?([^"'\s>]+)|url\(["']?([^"')]+)""", text)
    assert [one for pair in addresses for one in pair if one and not one.startswith("#")] == []
    assert "<script" not in text and "@import" not in text


@pytest.mark.parametrize("file", PICTURES, ids=lambda file: file.name)
def test_a_picture_shows_no_secret(file: Path) -> None:
    text = "".join(ElementTree.fromstring(file.read_text()).itertext())
    assert not re.search(r"[?]token=|[0-9a-f]{32}|/root|/home", text)


def shape(text: str) -> list[tuple[str, int]]:
    """The sections in order, each as its depth and the rows of its tables."""
    parts = re.split(r"^(#+) .+$", documents.FENCE.sub("", text), flags=re.M)[1:]
    return [(depth, len(re.findall(r"^\|", body, re.M))) for depth, body in zip(parts[::2], parts[1::2], strict=True)]


def typed(text: str) -> list[str]:
    """What a reader types, and the options beside it; names that the languages write each their own way as one."""
    return [
        re.sub(r"名字|NAME|<.*>", "NAME", one) for one in documents.commands(text) + sorted(documents.options(text))
    ]


def test_both_languages_have_the_same_commands() -> None:
    assert typed(CHINESE) == typed(README)


def test_both_languages_have_the_same_sections_and_rows() -> None:
    assert shape(CHINESE) == shape(README)


def test_both_languages_have_the_same_figures() -> None:
    """Row by row: a language may have them in another order."""
    rows = [re.findall(r"^\|.*", text, re.M) for text in (README, CHINESE)]
    figures = [[sorted(re.findall(r"\d[\d.,]*\d|\d", row)) for row in of_one] for of_one in rows]
    assert figures[1] == figures[0]


def rows(head: str) -> list[list[str]]:
    """The cells of the table in a section of docs/support.md."""
    text = (ROOT / "docs/support.md").read_text()
    body = re.search(rf"^## {head}\n(.*?)(?=^## |\Z)", text, re.M | re.S)[1]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\|.*$", body, re.M)]
    return found[2:]


def test_every_system_gpu_edition_and_action_is_said_to_be_tried_or_not() -> None:
    assert {row[0].strip("`") for row in rows("Systems")} == set(SYSTEMS)
    gpus = {name: (gpu, compute) for names, gpu, compute, *_ in rows("GPUs") for name in names.split(", ")}
    assert gpus == {name: (family.gpu, family.compute) for name, family in FAMILIES.items()}
    locks = {row[0].strip("`") for row in rows("Editions")}
    assert locks == {file.stem for file in ROOT.glob("playbooks/editions/*.txt")}
    actions = [name for row in rows("Actions") for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(actions) == sorted(file.stem for file in ROOT.glob("playbooks/*.yml"))


def test_a_family_is_said_to_be_refused_where_it_is() -> None:
    edition = yaml.safe_load((ROOT / "playbooks/editions/d2l-zh-v1.yml").read_text())
    capable = edition["edition_gpu_architectures"]
    for names, _, _, runs, _ in rows("GPUs"):
        for family in (FAMILIES[name] for name in names.split(", ")):
            assert (runs == "yes") == (not family.refused and family.compute in capable), names
