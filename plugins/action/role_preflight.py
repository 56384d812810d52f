# MIT licence
"""Refuse the values that no role could do anything with, of one role or of several, before any of them begins."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleError, AnsibleUndefinedVariable
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

try:
    from ansible.template import trust_as_template

    TRUSTED = {"trusted_as_template": True}
except ImportError:  # ansible-core before 2.19
    TRUSTED = {}

    def trust_as_template(text: str) -> str:
        return text


# libyaml's, where there is one.
SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
ROLES = Path(__file__).absolute().parents[2] / "roles"
# What several roles' variables look like, and what is said of one that does not. What may hold a password is not shown.
FORMS = {
    "bundle": (r"(/\S+)?", "{name}={value} is no absolute path of a file on the machine."),
    "hosts": (
        r"[A-Za-z0-9._:*/,-]*",
        "{name}={value} is no list such as .example.org,10.0.0.5, with commas and without spaces.",
    ),
    "path": (r'(/[^"\\\n]*)?', "{name}={value} is not an absolute path without quotes and backslashes."),
    "prefix": (
        r"(/[A-Za-z0-9._+@-]+){2,}",
        "{name}={value} is not an absolute path of letters, digits and ._+@-, at least two folders deep.",
    ),
    "proxy": (
        r'(https?://([^\s/@:"]+(:[^\s/@"]*)?@)?[^\s/@:"]+:[0-9]+/?)?',
        "{name} is no http://[USER:PASSWORD@]HOST:PORT; in a password, characters such as @ and / are written %40 and "
        "%2F.",
    ),
    "sha256": (r"([0-9a-f]{64})?", "{name}={value} is not 64 hexadecimal digits."),
}


# What a play registers the answer about several roles as, so that each of them asks only what was left open.
AHEAD = "role_preflight_ahead"
HANDED_ON = re.compile(r"{{ (\w+)( \| default\([^()]*\))? }}")
UNKNOWN = object()


class ActionModule(ActionBase):
    """Documented in plugins/modules/role_preflight.py."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        _, asked = self.validate_argument_spec(argument_spec={"roles": {"type": "list", "elements": "str"}})
        role = self._task._role
        if not asked["roles"] and role is None:
            raise AnsibleError("Name the roles to check: this task is in none.")
        there = {path.name: path for path in sorted(ROLES.iterdir())}
        if strange := [name for name in asked["roles"] or [] if name not in there]:
            raise AnsibleError(f"There is no role {', '.join(strange)} beside this plugin, only {', '.join(there)}.")
        paths = [there[name] for name in asked["roles"] or []] or [Path(role._role_path)]
        if not asked["roles"] and (complaint := self._of_rights(paths[0], task_vars)):
            return {"failed": True, "msg": complaint}
        settled = [] if asked["roles"] else (task_vars.get(AHEAD) or {}).get("settled", [])
        shared: dict[str, Any] = {}
        checks = [Check(self, path, task_vars, shared, ahead=bool(asked["roles"])) for path in paths]
        found = [check.of_machine() if check.path.name in settled else check.complaints() for check in checks]
        # One choice may be the value of several roles' variables.
        complaints = list(dict.fromkeys(sentence for sentences in found for sentence in sentences))
        if complaints:
            return {"failed": True, "msg": " ".join([*complaints, "Correct it in your inventory's group_vars."])}
        return {"changed": False, "settled": [check.path.name for check in checks if check.settled]}

    def _of_rights(self, path: Path, variables: dict[str, Any]) -> str:
        """What is to be said where a role that works as root would not; as far as facts tell who it is otherwise."""
        facts = variables.get("ansible_facts") or {}
        becomes = self._templar.template(variables.get("ansible_become", self._task.become))
        if not rules_of(path).get("root") or boolean(becomes, strict=False) or not facts.get("user_uid", 0):
            return ""
        who = facts.get("user_id", facts["user_uid"])
        return (
            f"The role {path.name} works as root, and this play is {who} on the machine: set become: true for the "
            "play, or give ansible-playbook -b."
        )


def rules_of(path: Path) -> dict[str, Any]:
    """What a role's meta/preflight.yml says."""
    return yaml.load((path / "meta/preflight.yml").read_text(encoding="utf-8"), SafeLoader)


class Check:
    """One role's variables, as they are in a task of that role, or as they would be `ahead` of it."""

    def __init__(
        self, action: ActionModule, path: Path, variables: dict[str, Any], shared: dict[str, Any], *, ahead: bool
    ) -> None:
        self.path, self.ahead, self.given, self.shared = path, ahead, variables, shared
        self.rules = rules_of(path)
        # Whether all could be told but what the role asks of its machine.
        self.settled = True
        if ahead:
            variables = {"role_path": str(path)}
            for file in (path / "defaults/main.yml", *path.glob("vars/main.yml"), *path.glob("vars/main/*.yml")):
                # Unsafe is not to copy deeply what is only read, which takes as long as reading it.
                variables |= action._loader.load_from_file(str(file), unsafe=True, **TRUSTED) or {}
            variables |= self.given
        self.templar = action._templar.copy_with_new_env(available_variables=variables)
        self.values: dict[str, Any] = {}

    @cached_property
    def options(self) -> dict[str, dict[str, Any]]:
        """The role's variables, as its argument spec has them."""
        specs = yaml.load((self.path / "meta/argument_specs.yml").read_text(encoding="utf-8"), SafeLoader)
        return specs["argument_specs"]["main"]["options"]

    def complaints(self) -> list[str]:
        # What a value of another type would be said to be besides is of no use.
        wrong = list(self.mistyped()) or [*self.impossible(), *([] if self.ahead else self.broken("machine"))]
        return [*self.unknown(), *self.by_choice(wrong)]

    def of_machine(self) -> list[str]:
        return self.by_choice(self.broken("machine"))

    def by_choice(self, sentences: Iterable[str]) -> list[str]:
        return [re.sub(r"\w+", self.chosen, sentence) for sentence in sentences]

    def unknown(self) -> Iterator[str]:
        known = [*self.options, *self.rules.get("sets", [])]
        prefix = f"{self.path.name}_"
        for name in sorted(name for name in self.given if name.startswith(prefix) and name not in known):
            near = difflib.get_close_matches(name, self.options, n=1)
            meant = f" Did you mean {near[0]}?" if near else ""
            names = ", ".join(sorted(self.options))
            yield f"{name} is no variable of the {self.path.name} role, which knows {names}.{meant}"

    def mistyped(self) -> Iterator[str]:
        # The defaults of a role are as they should be.
        for name, option in self.options.items():
            try:
                self.values[name] = self.value(self.given[name]) if name in self.given else UNKNOWN
            except AnsibleUndefinedVariable:
                raise
            except AnsibleError as error:
                why = "it is made of something that does not fit" if option.get("no_log") else str(error).rstrip(".")
                yield f"{name} cannot be told: {why}."
        for name, option in self.options.items():
            given = {name: self.values[name]} if self.values.get(name, UNKNOWN) is not UNKNOWN else {}
            try:
                result = ArgumentSpecValidator({name: option}).validate(given)
            except (AttributeError, TypeError):
                # Ansible's own mistake with a number where a mapping of a known shape belongs.
                yield f"{name} has to be of type {option['type']}, of the shape that its role's README shows."
                continue
            for message in remove_values(result.error_messages, result._no_log_values):
                yield f"{message[:1].upper()}{message[1:].rstrip('.')}."

    def impossible(self) -> Iterator[str]:
        for name, (low, high) in self.rules.get("ranges", {}).items():
            value = self.values[name]
            if value is not UNKNOWN and not low <= float(value) <= high:
                yield f"{name}={value} is outside {low} to {high}."
        for name, (pattern, words) in self.rules.get("patterns", {}).items():
            if self.differs(name, pattern):
                yield f"{name}={self.values[name]} {words}."
        for name, form in self.rules.get("forms", {}).items():
            pattern, sentence = FORMS[form]
            if self.differs(name, pattern):
                yield sentence.format(name=name, value=self.values[name])
        yield from self.broken("values")

    def broken(self, rules: str) -> Iterator[str]:
        for rule in self.rules.get(rules, []):
            if not self.holds(rule["that"]):
                yield self.templar.template(trust_as_template(rule["msg"])).strip()

    def differs(self, name: str, pattern: str) -> bool:
        value = self.values[name]
        return value is not UNKNOWN and not re.fullmatch(pattern, str(value))

    def chosen(self, word: re.Match[str]) -> str:
        """The variable that somebody has set, where an option only hands on its value; any other word is what it is."""
        name = word[0]
        for _ in range(9 if name in self.options else 0):
            handed_on = HANDED_ON.fullmatch(str(self.given.get(name)))
            if not handed_on or handed_on[1] not in self.given:
                break
            name = handed_on[1]
        return name

    def holds(self, expression: str) -> bool:
        try:
            value = self.templated(trust_as_template("{{ (" + expression + ") | bool }}"))
        except AnsibleUndefinedVariable:
            raise
        except AnsibleError:
            # A value of which this cannot even be asked.
            return False
        return value is UNKNOWN or value in (True, "True")

    def value(self, given: Any) -> Any:
        """What was given; a variable that several roles are handed is made once for all of them."""
        if not HANDED_ON.fullmatch(str(given)):
            return self.templated(given)
        if given not in self.shared:
            self.shared[given] = self.templated(given)
        return self.shared[given]

    def templated(self, text: Any) -> Any:
        """A text's value, or UNKNOWN: what the machine's facts decide cannot be told ahead of them."""
        try:
            return self.templar.template(text)
        except AnsibleUndefinedVariable:
            if self.ahead:
                self.settled = False
                return UNKNOWN
            raise
