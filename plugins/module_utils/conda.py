# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""What an environment file, its pins and a lock want."""

import json
import operator
import re
from typing import NamedTuple

COMPARE = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


class Unreadable(ValueError):
    """What was given is not an environment; the message is one sentence for the user."""


def pip_name(text):
    """The name of a pip requirement, as pip compares names."""
    match = re.match(r"([A-Za-z0-9][\w.-]*)\s*(?:$|[\[(<>=!~;@])", text.strip())
    if not match or " --" in text:
        raise Unreadable(
            f"'{text}' in the pip part is no requirement: write a name, then versions or '@ URL', "
            "and give pip's own options as PIP_* environment variables"
        )
    return re.sub(r"[-_.]+", "-", match[1]).lower()


def conda_name(spec):
    """The package name of a conda match specification such as `conda-forge::python >=3.8`."""
    match = re.fullmatch(r"(?:[^\s\[]*::)?([A-Za-z0-9_][\w.-]*?)\s*(?:[=<>!~\[ ].*)?", spec.strip())
    if not match:
        raise Unreadable(f"'{spec}' among the dependencies is no conda package")
    return match[1].lower()


def replaced(entries, pins, name_of):
    """`entries` with those of a pin's name replaced by the pin, in place; the other pins follow."""
    pins_by_name = {name_of(pin): pin for pin in pins}
    kept = {name_of(entry): entry for entry in entries}
    return list({**kept, **pins_by_name}.values())


def numbers(version):
    """The version as a tuple of numbers without trailing zeros; None for any other kind of version."""
    if not re.fullmatch(r"\d+(\.\d+)*", version):
        return None
    parts = [int(part) for part in version.split(".")]
    while parts and not parts[-1]:
        parts.pop()
    return tuple(parts)


def satisfied(version, wanted):
    """Whether a version is within bounds such as `>=1.2,<2`: True or False where that is certain, else None."""
    if not wanted:
        return True
    terms = [re.fullmatch(r"(==|!=|>=|<=|>|<)(\d+(?:\.\d+)*)", term) for term in wanted.split(",")]
    if numbers(version) is None or not all(terms):
        return None
    return all(COMPARE[term[1]](numbers(version), numbers(term[2])) for term in terms)


def meets(version, pin):
    """Whether the lock's version is certainly one that the pin takes."""
    wanted = re.sub(r"^[\w.-]+\s*(\[[^]]*\])?", "", pin.strip()).replace(" ", "")
    return wanted in (f"=={version}", f"==={version}") or satisfied(version, wanted) is True


class Locked(NamedTuple):
    """A pip distribution of which one version in known files will do; `line` is what pip installs it by."""

    name: str
    version: str
    requirement: str
    line: str


def read_lock(text):
    """{name: Locked} of a requirements file in which each has a version and hashes, as `uv pip compile` writes it."""
    locked = {}
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if not line:
            continue
        requirement = re.split(r"\s--hash[= ]", line)[0].strip()
        version = re.match(r"[^;]*?===?\s*([\w.!+-]+)\s*(?:;|$)", requirement)
        if not version or not re.search(r"\s--hash[= ]sha(256|384|512):[0-9a-f]{64,}", line):
            raise Unreadable(f"'{line[:80]}' in the lock has no '==' with a version, or no '--hash=sha256:...'")
        name = pip_name(requirement)
        if name in locked:
            raise Unreadable(f"{name} stands in the lock twice")
        locked[name] = Locked(name, version[1], requirement, line)
    return locked


class Definition(NamedTuple):
    """What an environment is to hold; `absent` are the names of pip distributions it is not to hold."""

    channels: list
    specs: list
    pip: list
    variables: dict
    absent: list
    locked: dict

    def pinned(self, params):
        """This with the module's pins put in place of entries of the same name, or after them."""
        absent = [pip_name(name) for name in params["pip_absent"]]
        # A pin that the lock does not meet is newer than the lock: then it counts.
        pins = {pip_name(pin): pin for pin in params["pip"]}
        locked = {
            name: one
            for name, one in read_lock(params["pip_lock"] or "").items()
            if name not in absent and meets(one.version, pins.get(name, name))
        }
        pins.update((name, one.requirement) for name, one in locked.items())
        pip = [entry for entry in replaced(self.pip, pins.values(), pip_name) if pip_name(entry) not in absent]
        specs = replaced(self.specs, params["dependencies"], conda_name)
        if pip and "pip" not in map(conda_name, specs):
            specs.append("pip")
        channels = self.channels if params["channels"] is None else params["channels"]
        return Definition(channels, specs, pip, self.variables, absent, locked)

    def rendered(self):
        """The environment file of conda's part; JSON is YAML too."""
        content = {"channels": self.channels, "variables": self.variables, "dependencies": self.specs}
        return json.dumps({key: value for key, value in content.items() if value}, indent=1)


def read_definition(data):
    """The Definition in an environment file's content."""
    if not isinstance(data, dict):
        raise Unreadable("it is no mapping with a list of 'dependencies'")
    known = ["name", "prefix", "channels", "dependencies", "variables"]
    unknown = sorted(set(data) - set(known))
    if unknown:
        raise Unreadable(f"'{unknown[0]}' is not known there; an environment has {', '.join(known)}")
    channels, dependencies = data.get("channels") or [], data.get("dependencies") or []
    conda, pip = [], []
    if not isinstance(dependencies, list) or not isinstance(channels, list):
        raise Unreadable("'channels' and 'dependencies' have to be lists")
    for entry in dependencies:
        if isinstance(entry, str):
            conda.append(entry)
        elif isinstance(entry, dict) and list(entry) == ["pip"] and isinstance(entry["pip"], list):
            pip += entry["pip"]
        else:
            raise Unreadable(f"{json.dumps(entry)} among the dependencies is neither a package nor a 'pip' list")
    if not all(isinstance(entry, str) for entry in channels + pip):
        raise Unreadable("a channel or a pip requirement is not plain text")
    if not isinstance(data.get("variables") or {}, dict):
        raise Unreadable("'variables' has to be a mapping")
    return Definition(channels, conda, pip, data.get("variables") or {}, [], {})


def lines(sentences):
    return "".join(f"{sentence}\n" for sentence in sentences)


def listing(versions):
    """Packages as the lines of a diff."""
    return lines(f"{name} {version}" for name, version in sorted(versions.items()))


def telling(output):
    """The last lines of a failed command's output that say what went wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    words = r"error|cause|could not|cannot|no matching|no space|conflict|not found|failed|denied|refused"
    return "\n".join(([line for line in lines if re.search(words, line, re.I)] or lines)[-6:])
