#!/usr/bin/python
# MIT licence
"""A small service as it should be: its files, its settings and its units, in one visit."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: service_files
short_description: Have the files and units of a small service as they should be
version_added: 0.1.0
description:
  - Writes the text files of a service that differ, each whole or not at all, removes those that are to be gone, and has
    systemd know, enable and run its units. One connection does it, where a task for each file takes one each.
  - Files and folders belong to root and are readable by all, so none of them is a place for a secret.
  - Where a file changed, the units are started again, also when it was an earlier run that changed it and broke off.
options:
  files:
    description: Path of each file, and its text.
    type: dict
    default: {}
  templates:
    description: >-
      Path of each further file, and the name of the template that its text is made of, which is looked for like one of
      P(ansible.builtin.template#lookup).
    type: dict
    default: {}
  known:
    description: >-
      Path and SHA-256 of files that somebody has seen to be root's and readable by all. Where that is all of O(files)
      and O(templates), and nothing else is asked, the target is not visited.
    type: dict
    default: {}
  executables:
    description: Those of O(files) that are programs.
    type: list
    elements: path
    default: []
  validate:
    description: >-
      Path of a file of O(files), and a command that says by its exit status whether it may be written. The draft's path
      is put in for C(%s).
    type: dict
    default: {}
  folders:
    description: Folders that are there. Those that the files lie in need not be named.
    type: list
    elements: path
    default: []
  absent:
    description: Files that are removed, and then folders, those in which nothing else lies.
    type: list
    elements: path
    default: []
  units:
    description: Units that start now and at every boot.
    type: list
    elements: str
    default: []
  absent_units:
    description: Units that are stopped and start no more. They may be unknown.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Says what would be written, removed, started and stopped, and touches nothing.
    support: full
  diff_mode:
    description: Shows the files before and after.
    support: full
author:
  - The gluon-ec2 authors (@d2l-ai)
"""

EXAMPLES = r"""
- name: Have a timer
  service_files:
    templates:
      /etc/systemd/system/tidy.service: tidy.service.j2
      /etc/systemd/system/tidy.timer: tidy.timer.j2
    units: [tidy.timer]

- name: Be rid of it
  service_files:
    absent: [/etc/systemd/system/tidy.service, /etc/systemd/system/tidy.timer]
    absent_units: [tidy.timer]
"""

RETURN = r"""
written:
  description: Files that differed, and folders that were not there.
  type: list
  elements: str
  returned: always
removed:
  description: Files and folders that were removed.
  type: list
  elements: str
  returned: always
started:
  description: Units that were enabled, started or started again.
  type: list
  elements: str
  returned: always
stopped:
  description: Units that were stopped and disabled.
  type: list
  elements: str
  returned: always
"""

import os
import shlex
import stat
import tempfile
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

ASKED = "Id,LoadState,ActiveState,UnitFileState,NeedDaemonReload,ActiveEnterTimestampMonotonic"


def kept(path: Path, mode: int) -> bytes | None:
    """Content of a file that is root's with this mode; None for anything else, which is then written anew."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    as_it_should_be = stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) == mode and found.st_uid == 0
    return path.read_bytes() if as_it_should_be else None


def make_folder(path: Path) -> None:
    """With those above it, whatever the umask."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir()
        path.chmod(0o755)


class Service:
    """Compares, and outside check mode does what is to be done."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.real = not module.check_mode
        self.told: dict[str, list[str]] = {"written": [], "removed": [], "started": [], "stopped": []}
        self.diff: list[dict[str, str]] = []

    def systemctl(self, *arguments: str) -> str:
        status, out, err = self.module.run_command(["systemctl", *arguments])
        if status:
            self.module.fail_json(msg=f"systemctl {' '.join(arguments)}: {(err or out).strip()}", **self.told)
        return out

    def states(self, units: list[str]) -> dict[str, dict[str, str]]:
        """By unit, what systemd knows of it."""
        if not units:
            return {}
        blocks = self.systemctl("show", "-p", ASKED, *units).strip().split("\n\n")
        return {
            unit: dict(line.split("=", 1) for line in blocks[index].splitlines()) for index, unit in enumerate(units)
        }

    def write(self, path: Path, text: str, mode: int) -> None:
        before = kept(path, mode)
        if before == text.encode():
            return
        self.told["written"].append(str(path))
        shown = "" if before is None else before.decode(errors="replace")
        self.diff.append({"before_header": str(path), "after_header": str(path), "before": shown, "after": text})
        if self.real:
            make_folder(path.parent)
            handle, draft = tempfile.mkstemp(prefix=".service_files.", dir=path.parent)
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode())
                os.fchown(handle, 0, 0)
                os.fchmod(handle, mode)
            self.validate(path, draft)
            Path(draft).replace(path)

    def validate(self, path: Path, draft: str) -> None:
        command = [word.replace("%s", draft) for word in shlex.split(self.module.params["validate"].get(str(path), ""))]
        status, out, err = self.module.run_command(command) if command else (0, "", "")
        if status:
            Path(draft).unlink()
            words = (err or out).strip().replace(draft, str(path))
            self.module.fail_json(msg=f"{path} stays as it was, since its new text is refused: {words}", **self.told)

    def remove(self, path: Path) -> None:
        """A folder in which something else lies stays."""
        if path.is_dir() and not path.is_symlink():
            going = set(self.told["removed"])
            if any(str(entry) not in going for entry in path.iterdir()):
                return
            what = path.rmdir
        elif path.is_symlink() or path.exists():
            what = path.unlink
        else:
            return
        self.told["removed"].append(str(path))
        if self.real:
            what()

    def stop(self, units: list[str]) -> None:
        for unit, state in self.states(units).items():
            if state["LoadState"] == "not-found" and state["ActiveState"] == "inactive":
                continue
            if state["ActiveState"] == "inactive" and state["UnitFileState"] not in ("enabled", "enabled-runtime"):
                continue
            self.told["stopped"].append(unit)
            if self.real:
                self.systemctl("disable", "--now", unit)

    def start(self, units: list[str], files: list[Path]) -> None:
        """systemd reads what changed, and the units run with it."""
        states = self.states(units)
        touched = bool(self.told["written"] or self.told["removed"])
        if self.real and (touched or any(state["NeedDaemonReload"] == "yes" for state in states.values())):
            self.systemctl("daemon-reload")
        newest = max((path.stat().st_mtime for path in files if path.exists()), default=0)
        for unit, state in states.items():
            # A run that broke off has written, and started nothing again.
            age = time.clock_gettime(time.CLOCK_MONOTONIC) - int(state["ActiveEnterTimestampMonotonic"] or 0) / 1e6
            stale = self.told["written"] or state["NeedDaemonReload"] == "yes" or newest > time.time() - age
            if state["ActiveState"] == "active" and state["UnitFileState"] == "enabled" and not stale:
                continue
            self.told["started"].append(unit)
            if self.real:
                self.systemctl("enable", unit)
                self.systemctl("restart", unit)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "dict", "default": {}},
            # These two the action plugin has taken out.
            "templates": {"type": "dict", "default": {}},
            "known": {"type": "dict", "default": {}},
            "executables": {"type": "list", "elements": "path", "default": []},
            "validate": {"type": "dict", "default": {}},
            "folders": {"type": "list", "elements": "path", "default": []},
            "absent": {"type": "list", "elements": "path", "default": []},
            "units": {"type": "list", "elements": "str", "default": []},
            "absent_units": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    asked, service = module.params, Service(module)
    try:
        service.stop(asked["absent_units"])
        for folder in map(Path, asked["folders"]):
            if not folder.is_dir():
                service.told["written"].append(str(folder))
                if service.real:
                    make_folder(folder)
        for path, text in asked["files"].items():
            service.write(Path(path), str(text), 0o755 if path in asked["executables"] else 0o644)
        for path in asked["absent"]:
            service.remove(Path(path))
        service.start(asked["units"], [Path(path) for path in asked["files"]])
    except OSError as error:
        where = error.filename or "a file"
        module.fail_json(msg=f"{where} cannot be read or written: {error.strerror}. Mend that, and run this again.")
    module.exit_json(changed=any(service.told.values()), diff=service.diff, **service.told)


if __name__ == "__main__":
    main()
