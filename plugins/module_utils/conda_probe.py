# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""What an environment has, found without starting conda and without the network."""

import ast
import json
import re
from pathlib import Path

from .conda import conda_name, numbers, satisfied

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
import json, re, sys
from email import message_from_string
asked = json.load(sys.stdin)
from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name
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
        # d.metadata would parse the description too, which is most of the file
        text = d.read_text("METADATA") or d.read_text("PKG-INFO") or d.read_text("") or ""
        about, folder = message_from_string(text.split("\n\n", 1)[0]), d._path
        name = canonicalize_name(about["Name"] or "")
        # pip writes INSTALLER last: without it, and not conda's, this is where an interrupted pip stopped.
        cut_off = folder.suffix == ".dist-info" and name not in asked["conda"] and not d.read_text("INSTALLER")
        if asked["interrupted"] and cut_off:
            broken.append(str(folder))
        elif not folder.name.startswith("~"):
            needs = about.get_all("Requires-Dist", []) if folder.suffix == ".dist-info" else d.requires or []
            found.setdefault(name, (about["Version"], needs, source(d.read_text("direct_url.json"))))
except ImportError:
    from pip._vendor import pkg_resources
    for d in pkg_resources.working_set:
        found[canonicalize_name(d.project_name)] = (d.version, [str(r) for r in d.requires()], None)
nothing = (None, [], None)
def applies(marker, extras):
    return not marker or any(marker.evaluate({"extra": extra}) for extra in extras or [""])
def optional(need):
    "Whether it is plain, without reading all of it, that only some extra needs it. Most are such."
    marker = need.partition(";")[2]
    return re.search(r"\bextra *== *['\"]\w", marker) and not re.search(r"\bor\b", marker)
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
    queue += [(need, name, r.extras) for need in found.get(name, nothing)[1] if r.extras or not optional(need)]
unmet += ["%s (to be uninstalled)" % name for name in asked["absent"] if name in found]
print(json.dumps({"installed": {name: d[0] for name, d in found.items()}, "broken": broken, "unmet": unmet}))
"""


def packages(prefix):
    """{name: version} of the conda packages. A record is named name-version-build, and only its name may hold a '-'."""
    stems = (path.stem.rsplit("-", 2) for path in Path(prefix, "conda-meta").glob("*.json"))
    return {stem[0]: stem[1] for stem in stems if len(stem) == 3}


def met(spec, installed):
    """Whether the installed conda packages meet a spec: True or False where that is certain, else None."""
    name = conda_name(spec)
    if name not in installed:
        return False
    wanted, version = spec.strip()[len(name) :].replace(" ", ""), installed[name]
    if not spec.lower().startswith(name) or numbers(version) is None:
        return None
    fuzzy = re.fullmatch(r"=?(\d+(?:\.\d+)*)\.\*|=(\d+(?:\.\d+)*)", wanted)
    if fuzzy:
        start = (fuzzy[1] or fuzzy[2]) + "."
        return True if f"{version}.".startswith(start) else None if f"{version}.0.0.0.".startswith(start) else False
    return satisfied(version, wanted)


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
