# MIT licence
"""Whether a module has anything to do, asked with less around it than Ansible puts around a module.

Most runs of most modules find all as it should be, which takes less time than Ansible's own code around them: it is
packed anew for each task, and sent, unpacked and compiled on the machine each time. So an action plugin (conda_env.py)
first sends this file with the module's and has `ask` run it. The module is the same; only what it imports of Ansible is
the class below, and it ends where it would begin to change something. In all other respects than "there is nothing to
do", such as failing, its answer does not count: the module is then run as usual.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
import types
from typing import Any, NoReturn

PACKAGE = "gluon_ec2_plugins"


def stop(module: Any) -> None:
    """For a module that is about to begin: end here, where it was only asked whether it would."""
    if isinstance(module, AnsibleModule):
        module.exit_json(changed=True)


class AnsibleModule:
    """As much as our modules use of Ansible's class of this name until they begin; the options are as it read them."""

    options: dict[str, Any]

    def __init__(self, **_: Any) -> None:
        self.params, self.check_mode, self.no_log_values = self.options, False, set()

    @property
    def tmpdir(self) -> str:
        self.folder = tempfile.TemporaryDirectory()
        return self.folder.name

    def run_command(self, command: list[str], data: str | None = None, **_: Any) -> tuple[int, str, str]:
        done = subprocess.run(command, input=data or "", capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    def exit_json(self, **told: Any) -> NoReturn:
        print(json.dumps(told))
        sys.exit(0)

    def fail_json(self, **_: Any) -> NoReturn:
        sys.exit(1)


class Sources:
    """Imports from texts, by the full names of what is imported; None is a package.

    A finder and loader without their classes of importlib.abc, whose import takes longer than all that is read here.
    """

    def __init__(self, texts: dict[str, str | None]) -> None:
        self.texts = texts

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name in self.texts:
            return importlib.util.spec_from_loader(name, self, is_package=self.texts[name] is None)
        return None

    def create_module(self, spec: Any) -> None:
        """As Python makes modules."""

    def exec_module(self, module: types.ModuleType) -> None:
        text = self.texts[module.__name__]
        exec(compile(text or "", f"<{module.__name__}>", "exec"), module.__dict__)


def ask(name: str, texts: dict[str, str | None], options: dict[str, Any]) -> None:
    """Run a module of these texts, which prints its answer or ends with an error."""
    AnsibleModule.options = options
    there = {
        f"{PACKAGE}.module_utils.ahead": {"AnsibleModule": AnsibleModule, "stop": stop},
        "ansible.module_utils.basic": {"AnsibleModule": AnsibleModule},
        # Only for what has begun.
        "ansible.module_utils.urls": {"open_url": None},
    }
    for path, names in there.items():
        sys.modules[path] = types.ModuleType(path)
        vars(sys.modules[path]).update(names)
    packages = ("ansible", "ansible.module_utils", PACKAGE, f"{PACKAGE}.modules", f"{PACKAGE}.module_utils")
    sys.meta_path.insert(0, Sources({**texts, **dict.fromkeys(packages)}))
    importlib.import_module(f"{PACKAGE}.modules.{name}").main()
