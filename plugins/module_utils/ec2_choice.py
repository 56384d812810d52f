# MIT licence
"""Which of a project's machines are meant."""

from __future__ import annotations

from typing import Any

from .ec2_project import ALIVE, by_name, name_of, state_of

# The options of every module that is about some of a project's machines.
CHOICE = {
    "project": {"type": "str", "required": True},
    "names": {"type": "list", "elements": "str", "default": []},
    "only": {"type": "list", "elements": "str", "default": []},
    "all": {"type": "bool", "default": False},
}


class UnknownNames(ValueError):
    """Names of which the project has no machine. The message is for users."""


def chosen(found: list[dict[str, Any]], asked: dict[str, Any]) -> list[dict[str, Any]]:
    """The living instances that are meant, the oldest first: all, or those called as `only` says, or as `names` does.

    found: all instances of the project. A name that was given by hand must be one that the project has or had.
    Raises UnknownNames.
    """
    alive = by_name(found)
    known = [*alive, *asked["names"]]
    once = {name_of(one) for one in found}
    unknown = [name for name in asked["only"] if name not in known and name not in once]
    if unknown and not asked["all"]:
        there = ", ".join(dict.fromkeys(name for name in known if name)) or "none"
        raise UnknownNames(
            f"Project {asked['project']} has no machine called {', '.join(unknown)}; its machines are: {there}. Give "
            "some of these in only (ec2_only), or all of them by all=yes (ec2_all)."
        )
    names = list(alive) if asked["all"] else asked["only"] or asked["names"]
    return [one for one in found if state_of(one) in ALIVE and name_of(one) in names]


def label(instance: dict[str, Any]) -> str:
    """Its name, or its id while it has none."""
    return name_of(instance) or instance["InstanceId"]
