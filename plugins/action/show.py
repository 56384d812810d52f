# MIT licence
"""Show lines to whoever reads along."""

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display


class ActionModule(ActionBase):
    """Documented in plugins/modules/show.py."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(
            argument_spec={
                "lines": {"type": "list", "elements": "str", "required": True},
                "color": {"type": "str"},
            },
        )
        screen = Display()
        for line in args["lines"]:
            screen.display(line, color=args["color"])
        result.update(changed=False)
        return result
