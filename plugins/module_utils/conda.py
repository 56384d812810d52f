# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""What an environment file wants and what an environment has, found without starting conda and without the network."""

import ast
import json
import operator
import re
from pathlib import Path
from typing import NamedTuple

# Run by conda's own Python, because the machine's need not read YAML. All scalars stay text: `no` is a package.
READ_YAML = r"""
import json, sys
try:
    import yaml
    compose = yaml.compose
except ImportError:
    from ruamel.yaml import YAML
    compose = YAML(typ="safe", pure=True).compose
seen = set()
def plain(node):
    if id(node) in seen:
        raise ValueError("an alias (*) is not taken")
    seen.add(id(node))
    if isinstance(node.value, str):
        return node.value
    if node.id == "sequence":
        return [plain(item) for item in node.value]
    keys = [key.value for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError("the key '%s' stands there twice" % key)
    return {key.value: plain(value) for key, value in node.value}
try:
    with open(sys.argv[1], encoding="utf-8") as file:
        root = compose(file)
    answer = {"data": plain(root) if root else None}
except RecursionError:
    answer = {"error": "it is nested too deeply"}
except Exception as error:
    mark = getattr(error, "problem_mark", None)
    where = "line %d: " % (mark.line + 1) if mark else ""
    answer = {"error": where + str(getattr(error, "problem", None) or error)}
print(json.dumps(answer))
"""

# Run by the environment's own Python (3.6 or later): markers, names and versions mean what its pip takes them for.
ASK_PIP = r"""
import json, sys
from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name
asked = json.load(sys.stdin)
found, broken = {}, []
def source(text):
    url = json.loads(text or "{}")
    if "vcs_info" in url:
        revision = url["vcs_info"].get("requested_revision")
        return url["vcs_info"]["vcs"] + "+" + url["url"] + ("@" + revision if revision else "")
    return url.get("url")
try:
    from importlib.metadata import distributions
    for d in distributions():
        name, folder = canonicalize_name(d.metadata["Name"] or ""), d._path
        # pip writes INSTALLER last: without it, and not conda's, this is where an interrupted pip stopped.
        cut_off = folder.suffix == ".dist-info" and name not in asked["conda"] and not d.read_text("INSTALLER")
        if asked["interrupted"] and cut_off:
            broken.append(str(folder))
        elif not folder.name.startswith("~"):
            found.setdefault(name, (d.version, d.requires or [], source(d.read_text("direct_url.json"))))
except ImportError:
    from pip._vendor import pkg_resources
    for d in pkg_resources.working_set:
        found[canonicalize_name(d.project_name)] = (d.version, [str(r) for r in d.requires()], None)
nothing = (None, [], None)
def applies(marker, extras):
    return not marker or any(marker.evaluate({"extra": extra}) for extra in extras or [""])
def problem(r, parent):
    version, _, url = found.get(canonicalize_name(r.name), nothing)
    if version is None:
        return "missing, %s needs it" % parent if parent else "missing"
    if not parent and r.url and r.url.split("#")[0] != url:
        return "%s is installed" % (url or version)
    if not parent and not r.specifier.contains(version, prereleases=True):
        return "%s is installed" % version
unmet, seen, queue = [], set(), [(text, None, []) for text in asked["wanted"]]
for text, parent, extras in queue:
    try:
        r = Requirement(text)
    except Exception:
        if not parent:
            unmet.append("%s (not a requirement that pip can read)" % text)
        continue
    name = canonicalize_name(r.name)
    key = (name, tuple(sorted(r.extras)), parent and "needed")
    if key in seen or parent and name in asked["absent"] or not applies(r.marker, extras):
        continue
    seen.add(key)
    wrong = problem(r, parent)
    if wrong:
        unmet.append("%s (%s)" % (r.name if parent else text, wrong))
    queue += [(need, name, r.extras) for need in found.get(name, nothing)[1]]
unmet += ["%s (to be uninstalled)" % name for name in asked["absent"] if name in found]
print(json.dumps({"installed": {name: d[0] for name, d in found.items()}, "broken": broken, "unmet": unmet}))
"""


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


class Definition(NamedTuple):
    """What an environment is to hold; `absent` are the names of pip distributions it is not to hold."""

    channels: list
    specs: list
    pip: list
    variables: dict
    absent: list

    def pinned(self, params):
        """This with the module's pins put in place of entries of the same name, or after them."""
        absent = [pip_name(name) for name in params["pip_absent"]]
        pip = [entry for entry in replaced(self.pip, params["pip"], pip_name) if pip_name(entry) not in absent]
        specs = replaced(self.specs, params["dependencies"], conda_name)
        if pip and "pip" not in map(conda_name, specs):
            specs.append("pip")
        channels = self.channels if params["channels"] is None else params["channels"]
        return Definition(channels, specs, pip, self.variables, absent)

    def rendered(self):
        """An environment file's text; JSON is YAML too."""
        content = {"channels": self.channels, "variables": self.variables}
        content = {key: value for key, value in content.items() if value}
        return json.dumps(
            {**content, "dependencies": [*self.specs, *([{"pip": self.pip}] if self.pip else [])]}, indent=1
        )


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
    return Definition(channels, conda, pip, data.get("variables") or {}, [])


def packages(prefix):
    """{name: version} of the conda packages. A record is named name-version-build, and only its name may hold a '-'."""
    stems = (path.stem.rsplit("-", 2) for path in Path(prefix, "conda-meta").glob("*.json"))
    return {stem[0]: stem[1] for stem in stems if len(stem) == 3}


def numbers(version):
    """The version as a tuple of numbers without trailing zeros; None for any other kind of version."""
    if not re.fullmatch(r"\d+(\.\d+)*", version):
        return None
    parts = [int(part) for part in version.split(".")]
    while parts and not parts[-1]:
        parts.pop()
    return tuple(parts)


def met(spec, installed):
    """Whether the installed conda packages meet a spec: True or False where that is certain, else None."""
    name = conda_name(spec)
    if name not in installed:
        return False
    wanted, version = spec.strip()[len(name) :].replace(" ", ""), installed[name]
    if not spec.lower().startswith(name) or numbers(version) is None:
        return None
    if not wanted:
        return True
    fuzzy = re.fullmatch(r"=?(\d+(?:\.\d+)*)\.\*|=(\d+(?:\.\d+)*)", wanted)
    if fuzzy:
        start = (fuzzy[1] or fuzzy[2]) + "."
        return True if f"{version}.".startswith(start) else None if f"{version}.0.0.0.".startswith(start) else False
    terms = [re.fullmatch(r"(==|!=|>=|<=|>|<)(\d+(?:\.\d+)*)", term) for term in wanted.split(",")]
    if not all(terms):
        return None
    return all(COMPARE[term[1]](numbers(version), numbers(term[2])) for term in terms)


def asked_for(prefix):
    """Names that were once asked for in this environment, as its history tells."""
    names = set()
    for action, specs in re.findall(r"^# (\w+) specs: (\[.*\])$", Path(prefix, "conda-meta/history").read_text(), re.M):
        found = {conda_name(spec) for spec in ast.literal_eval(specs)}
        names = names - found if action == "remove" else names | found
    return names


def prunable(prefix, wanted):
    """Conda packages that were asked for, no longer are, and that no installed package depends on."""
    left = (asked_for(prefix) & set(packages(prefix))) - {conda_name(spec) for spec in wanted} - {"pip"}
    if not left:
        return []
    records = [json.loads(path.read_text()) for path in Path(prefix, "conda-meta").glob("*-*-*.json")]
    needed = {depend.split()[0] for record in records for depend in record.get("depends", [])}
    return sorted(left - needed)


def unset(prefix, variables):
    """Names of the variables that the environment does not set to the wanted value."""
    state = Path(prefix, "conda-meta", "state")
    have = json.loads(state.read_text()).get("env_vars", {}) if state.is_file() else {}
    return [name for name, value in variables.items() if str(have.get(name)) != str(value)]


def lines(sentences):
    return "".join(f"{sentence}\n" for sentence in sentences)


def listing(versions):
    """Packages as the lines of a diff."""
    return lines(f"{name} {version}" for name, version in sorted(versions.items()))


def telling(output):
    """The last lines of a failed command's output that say what went wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    words = r"error|could not|cannot|no matching|no space|conflict|not found|failed|denied|refused"
    return "\n".join(([line for line in lines if re.search(words, line, re.I)] or lines)[-6:])
