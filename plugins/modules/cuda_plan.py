#!/usr/bin/python
# MIT licence
"""What a machine's GPU wants: looks, and says what is left to do."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: cuda_plan
short_description: Look at a machine's GPUs, driver and CUDA toolkits, and say what is left to do
version_added: 0.2.0
description:
  - Recognises NVIDIA GPUs by their PCI ids, without a driver, and works out from tables which driver and toolkits fit
    them, what of that is missing, and what does not fit.
  - Changes nothing, so that it tells the same in check mode. The role C(cuda) has the tables, and does what is left.
options:
  asked:
    description: The options of the role C(cuda), without their prefix.
    type: dict
    required: true
  tables:
    description: The tables of the role, by the names C(gpus), C(architectures), C(useless), C(platforms),
      C(nvidia_driver) and C(toolkits).
    type: dict
    required: true
  system:
    description: Distribution and its major version, such as C(Debian 12).
    type: str
    required: true
attributes:
  check_mode:
    support: full
    description: Changes nothing in either mode.
author:
  - The gluon-ec2 authors (@d2l-ai)
"""

EXAMPLES = r"""
- name: Look at the GPU
  cuda_plan:
    asked: {gpu: auto, driver: auto}
    tables: "{{ tables }}"
    system: Debian 12
"""

RETURN = r"""
plan:
  description: What is left to do. Its C(complaints) are sentences for what does not fit; then nothing may be done.
  type: dict
  returned: always
look:
  description: What the machine shows.
  type: dict
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.cuda_look import look
from ..module_utils.cuda_plan import SOURCES, files_of, plan

OPTIONS = {
    "argument_spec": {
        "asked": {"type": "dict", "required": True},
        "tables": {"type": "dict", "required": True},
        "system": {"type": "str", "required": True},
    },
}


def main() -> None:
    module = AnsibleModule(**OPTIONS, supports_check_mode=True)
    asked, tables, system = (module.params[name] for name in ("asked", "tables", "system"))
    platform = tables["platforms"].get(system, {})
    names = ["dkms", *platform.get("build_tools", [])]
    seen = look(platform.get("components", []), SOURCES, names, files_of(asked, platform))
    module.exit_json(changed=False, look=seen, plan=plan(asked, tables, seen, system))


if __name__ == "__main__":
    main()
