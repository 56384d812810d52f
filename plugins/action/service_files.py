# MIT licence
"""Make a service's files of their templates, and visit the machine where it is not known to have them."""

from __future__ import annotations

import hashlib
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader


class Variables(dict):
    """A task's variables, for the template lookup, which copies all of them deeply, a tenth of a second each time.

    It does so to add some of its own, which a copy of the outermost mapping serves as well.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return dict(self)


class ActionModule(ActionBase):
    """Documented in plugins/modules/service_files.py."""

    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        asked = dict(self._task.args)
        templates, known = asked.pop("templates", None) or {}, asked.pop("known", None) or {}
        texts = self._texts(list(templates.values()), task_vars)
        files = {**(asked.get("files") or {}), **dict(zip(templates, texts, strict=True))}
        if files and asked.keys() <= {"files", "validate"} and self._digests(files).items() <= known.items():
            return {"changed": False, "written": [], "removed": [], "started": [], "stopped": []}
        return self._execute_module(module_args={**asked, "files": files}, task_vars=task_vars)

    def _texts(self, names: list[str], task_vars: dict[str, Any]) -> list[str]:
        lookup = lookup_loader.get("ansible.builtin.template", loader=self._loader, templar=self._templar)
        return lookup.run(names, Variables(task_vars)) if names else []

    def _digests(self, files: dict[str, str]) -> dict[str, str]:
        return {path: hashlib.sha256(str(text).encode()).hexdigest() for path, text in files.items()}
