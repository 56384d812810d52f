# MIT licence
"""A class's roster: who gets a machine, what it is called, and what is wrong with the list.

A machine's name follows from its own student alone, so that nobody's changes when others come and go.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .ec2_inputs import MOST_MACHINES, NAME, TYPE, nearest, shown

try:
    import yaml
except ImportError:  # Ansible itself needs it.
    yaml = None

KEYS = ("name", "email", "type", "machine")
EMAIL = re.compile(r"[^@\s<>\"]{1,64}@[^@\s<>\"]+\.[^@\s<>\".]+")
MOST_BYTES = 1 << 20
# What the inventory calls something else, and what looks like an instance's id.
TAKEN = re.compile(r"all|ungrouped|localhost|gluon|gluon_asleep|i-[0-9a-f]+", re.IGNORECASE)
LONGEST = 40


class Refused(Exception):
    """args are the sentences."""


if yaml:

    class Loader(yaml.BaseLoader):
        """Every scalar is text, as a name is: `No` is one. What YAML would quietly drop or multiply is refused."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                at = self.peek_event().start_mark
                raise Refused(f"Line {at.line + 1} repeats another part of the file (*): write it out.")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[str, Any]:
            keys = Counter(key.value for key, _ in node.value if isinstance(key.value, str))
            for key in [key for key, count in keys.items() if count > 1]:
                raise Refused(f"The entry of line {node.start_mark.line + 1} has {shown(key)} twice: keep one of them.")
            return super().construct_mapping(node, deep)


def read(path: Path) -> Any:
    """What stands in a roster's file. Raises Refused."""
    example = (
        "A roster is a list, an entry for each student: - {name: Li Wei, email: li@example.org, type: g4dn.xlarge}"
    )
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise Refused(
            f"The roster {shown(str(path))} cannot be read ({error.strerror}): name it with -e roster=FILE. {example}."
        ) from error
    if len(content) > MOST_BYTES:
        raise Refused(f"The roster {shown(str(path))} has more than {MOST_BYTES} bytes: is it another file?")
    try:
        return yaml.load(content.decode("utf-8-sig"), Loader)
    except UnicodeDecodeError as error:
        raise Refused(f"The roster {shown(str(path))} is not UTF-8 at byte {error.start}: save it as UTF-8.") from error
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        why = getattr(error, "problem", None) or "it is nested too deeply or has characters that YAML forbids"
        raise Refused(f"The roster {shown(str(path))} is no YAML{where}: {why}. {example}.") from error


def machine_of(name: str) -> str:
    """The machine of a student who was given none: the name in ASCII letters, or what is always the same for it."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = "-".join(re.findall(r"[a-z0-9]+", plain))[:LONGEST].strip("-")
    if len(slug) < 2 or TAKEN.fullmatch(slug):
        return f"student-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return slug


def students(listed: Any) -> list[dict[str, str]]:
    """The students: name, email and type (both may be empty), machine. Raises Refused with all complaints."""
    if not isinstance(listed, list) or not listed:
        raise Refused("The roster is no list of students: write an entry for each, like - {name: Li Wei}.")
    if len(listed) > MOST_MACHINES:
        raise Refused(
            f"{len(listed)} students are more than one run may launch for ({MOST_MACHINES}): make two rosters."
        )
    found, wrong = [], []
    for place, given in enumerate(listed, 1):
        # A key with nothing behind it is one that was left out.
        entry = {key: "" if text is None else text for key, text in given.items()} if isinstance(given, dict) else given
        complaints = list(complaints_about(entry))
        label = f"Entry {place}"
        if isinstance(entry, dict) and isinstance(entry.get("name"), str):
            label += f" ({shown(entry['name'])})"
        wrong += [f"{label} {complaint}" for complaint in complaints]
        if not complaints:
            told = {key: unicodedata.normalize("NFC", " ".join(entry.get(key, "").split())) for key in KEYS}
            found.append(told | {"machine": told["machine"] or machine_of(told["name"])})
    wrong += twice(found)
    if wrong:
        raise Refused(*wrong)
    return found


def complaints_about(entry: Any) -> Iterator[str]:
    """What is wrong with one entry, each the end of a sentence that begins with where it stands."""
    if not isinstance(entry, dict):
        yield f"is {shown(entry)} rather than a student: write - {{name: ...}}."
        return
    for key in [key for key in entry if key not in KEYS]:
        yield f"has {shown(key)}, which a student has not: there are {', '.join(KEYS)}.{nearest(str(key), list(KEYS))}"
    for key in [key for key in KEYS if not isinstance(entry.get(key, ""), str)]:
        yield f"has the {key} {shown(entry[key])}, which is no text: write it in quotes."
    texts = {key: entry[key] for key in KEYS if isinstance(entry.get(key), str)}
    name, email, kind, machine = (texts.get(key, "").strip() for key in KEYS)
    if not name and isinstance(entry.get("name", ""), str):
        yield "has no name: write name: with what is to stand on the sheet."
    elif len(name) > 100 or not all(char.isprintable() or char == "\u3000" for char in name):
        yield f"has the name {shown(name)}: up to 100 characters that can be printed are allowed."
    if email and (not EMAIL.fullmatch(email) or len(email) > 254 or not email.isprintable()):
        yield f"has the e-mail address {shown(email)}, which is none: correct it, or leave it out."
    if kind and not TYPE.fullmatch(kind):
        yield (
            f"has the type {shown(kind)}: one looks like g4dn.xlarge, a family, a dot, a size. Leave it out for "
            "instance_types."
        )
    if machine and (not NAME.fullmatch(machine) or TAKEN.fullmatch(machine)):
        yield (
            f"has the machine {shown(machine)}: letters, digits, dashes and underscores are allowed, 63 at most, a "
            "letter or digit first, and no word that the inventory has taken (all, localhost, gluon, i-...)."
        )


def twice(found: list[dict[str, str]]) -> Iterator[str]:
    """Who or what stands there twice."""
    for key, what, way_out in (
        ("name", "students are called", "give each something that tells them apart, as it stands on the sheets"),
        ("email", "students have the e-mail address", "is one of them there twice?"),
        ("machine", "students would have the machine", "give one of them another with machine: NAME"),
    ):
        for value, count in Counter(one[key].casefold() for one in found if one[key]).items():
            if count > 1:
                theirs = [one for one in found if one[key].casefold() == value]
                # One complaint is enough for one student who is there twice.
                if key == "name" or len({one["name"].casefold() for one in theirs}) > 1:
                    who = "" if key == "name" else f" ({', '.join(one['name'] for one in theirs)})"
                    yield f"{count} {what} {shown(theirs[0][key])}{who}: {way_out}."
