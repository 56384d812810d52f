#!/usr/bin/python
# Copyright: the gluon-ec2 authors
# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""A conda environment kept as an environment file and a few pins say."""

DOCUMENTATION = r"""
module: conda_env
short_description: Keep a conda environment as its environment file says
description:
  - Builds, completes and repairs a conda environment from an environment file, or from the same written in the play.
  - What is missing is found without the network, so a run with nothing to do is quick and changes nothing.
    Afterwards it is looked for again; the module fails if it is still missing.
  - An environment is judged by what is in it. One that an interrupted run left half built is completed by the next run.
  - Two runs never meet in one environment. The second waits, see O(lock_timeout).
  - A folder that is not an environment, and the base environment, are refused and left alone.
options:
  prefix:
    description: Folder of the environment.
    type: path
    required: true
  state:
    description: Whether the environment is to be there.
    type: str
    choices: [present, absent]
    default: present
  file:
    description: Environment file on the target, at most 1 MB. Its C(name) and C(prefix) are not used.
    type: path
  definition:
    description: The same as O(file), written in the play.
    type: dict
  dependencies:
    description: Conda packages that replace those of the same name in the file, or are added to it.
    type: list
    elements: str
    default: []
  pip:
    description:
      - Pip requirements that replace those of the same name in the file, or are added to it.
      - Each is a name with versions, extras, a marker or C(@ URL).
      - The options of pip itself are C(PIP_*) variables of the task's environment.
    type: list
    elements: str
    default: []
  pip_absent:
    description: >-
      Names taken out of the file's pip part, and uninstalled. Meant for a distribution whose files another one of
      O(pip) replaces. All that comes is downloaded before this one goes.
    type: list
    elements: str
    default: []
  pip_lock:
    description:
      - Text of a requirements file in which every requirement has C(==), a version and hashes, as C(uv pip compile
        --generate-hashes) and C(pip-compile --generate-hashes) write it.
      - They are installed exactly so, and in place of requirements of the same name, but for one of O(pip) that they do
        not meet.
      - No dependency is looked for beside them. Where one is a source, it is built by what the environment has.
    type: str
    default: ""
  uv:
    description:
      - A uv to install the pip part with, by version and hash, such as C(uv==0.9.11 --hash=sha256:...).
        It is downloaded for the time of a build, and installs the same in less time.
      - Where it is empty, and for Pythons before 3.8, the environment's own pip does it.
    type: str
    default: ""
  proxy:
    description: >-
      Proxy for conda, pip and uv, such as V(http://proxy.example.org:3128) or
      V(http://USER:PASSWORD@proxy.example.org:3128).
    type: str
  no_proxy:
    description: Hosts that are reached without it, as in E(no_proxy), with commas between them.
    type: str
  ca_bundle:
    description: File on the target with the certificates that conda, pip and uv trust servers by.
    type: path
  pip_index:
    description: >-
      Address of a package index, for pip and uv, in place of the one in pip's configuration. It may have a password
      in it.
    type: str
  channels:
    description: Channels in place of the file's.
    type: list
    elements: str
  prune:
    description: Also remove conda packages that were asked for once and no longer are.
    type: bool
    default: false
  executable:
    description: The conda to use.
    type: path
    default: /opt/miniconda3/bin/conda
  free_space:
    description: Free space in MiB without which no new environment is begun.
    type: int
    default: 0
  lock_timeout:
    description: Seconds to wait for another run on the same environment.
    type: int
    default: 1800
attributes:
  check_mode:
    description: Tells whether it would change something.
    support: partial
    details: Which further packages would come along is not known.
  diff_mode:
    description: Shows the packages before and after; in check mode what is missing.
    support: full
author: [The gluon-ec2 authors (@d2l-ai)]
"""

EXAMPLES = r"""
- name: Build the tutorial's environment with today's pins
  conda_env:
    prefix: /opt/miniconda3/envs/gluon
    file: /home/ubuntu/d2l-zh/environment.yml
    dependencies: [python=3.11]
    pip: [mxnet-cu117==1.9.1, numpy==1.23.5]
    pip_absent: [mxnet]

- name: Build an environment from the play
  conda_env:
    prefix: /opt/miniconda3/envs/plot
    definition:
      channels: [conda-forge]
      dependencies: [python=3.12, {pip: [matplotlib]}]

- name: Remove it
  conda_env:
    prefix: /opt/miniconda3/envs/plot
    state: absent
"""

RETURN = r"""
created:
  description: Whether there was no environment before.
  returned: state is present
  type: bool
unmet:
  description: What was missing or wrong at the start, a sentence each.
  returned: state is present
  type: list
  elements: str
  sample: ["numpy==1.23.5 (1.22.0 is installed)"]
packages:
  description: Name and version of every package at the end.
  returned: state is present, and there is an environment
  type: dict
  sample: {mxnet: 1.9.1}
"""

import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import ahead, conda, network
from ..module_utils.conda_environment import Environment
from ..module_utils.failed import Failed

OPTIONS = {
    "argument_spec": {
        "prefix": {"type": "path", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "file": {"type": "path"},
        "definition": {"type": "dict"},
        "dependencies": {"type": "list", "elements": "str", "default": []},
        "pip": {"type": "list", "elements": "str", "default": []},
        "pip_absent": {"type": "list", "elements": "str", "default": []},
        "pip_lock": {"type": "str", "default": ""},
        "uv": {"type": "str", "default": ""},
        **network.OPTIONS,
        "pip_index": {"type": "str", "no_log": True},
        "channels": {"type": "list", "elements": "str"},
        "prune": {"type": "bool", "default": False},
        "executable": {"type": "path", "default": "/opt/miniconda3/bin/conda"},
        "free_space": {"type": "int", "default": 0},
        "lock_timeout": {"type": "int", "default": 1800},
    },
    "mutually_exclusive": [("file", "definition")],
    "required_if": [("state", "present", ("file", "definition"), True)],
}


def wanted(environment, params):
    """The file's or the play's definition with the pins put in. Fails in a sentence that names the fault."""
    try:
        given = environment.read(Path(params["file"])) if params["file"] else params["definition"]
        return conda.read_definition(given).pinned(params)
    except conda.Unreadable as error:
        return environment.fail(f"{params['file'] or 'The definition'} cannot be used: {error}.")


def keep(environment, module):
    """state=present."""
    file, is_new = module.params["file"], not environment.exists()
    if not environment.conda.is_file() and not module.check_mode:
        environment.fail(f"There is no conda at {environment.conda}; install it first, or name another executable.")
    if module.check_mode and not (environment.conda.is_file() and (not file or Path(file).is_file())):
        module.exit_json(changed=is_new, created=is_new, unmet=[f"{environment.prefix} (missing)"] if is_new else [])
    definition = wanted(environment, module.params)
    before = environment.survey(definition)
    if module.check_mode or not (before.unmet or environment.lock.exists()):
        diff = {"prepared": conda.lines(before.unmet)}
        told = {"unmet": before.unmet, "packages": before.installed, "diff": diff}
        module.exit_json(changed=bool(before.unmet), created=is_new, **told)
    ahead.stop(module)
    with environment.locked() as interrupted:
        is_new = not environment.exists()
        before = after = environment.survey(definition, interrupted)
        if before.unmet or interrupted:
            after = environment.build(definition, before, interrupted)
    diff = {"before": conda.listing(before.installed), "after": conda.listing(after.installed)}
    told = {"created": is_new, "unmet": before.unmet, "packages": after.installed, "diff": diff}
    module.exit_json(changed=bool(before.unmet) or before.installed != after.installed, **told)


def remove(environment, module):
    """state=absent."""
    is_there = environment.exists()
    if not module.check_mode and (is_there or environment.lock.exists()):
        ahead.stop(module)
        with environment.locked():
            environment.remove()
    module.exit_json(changed=is_there, diff={"before": f"{environment.prefix}\n" if is_there else "", "after": ""})


def main():
    module = AnsibleModule(**OPTIONS, supports_check_mode=True)
    os.umask(0o022)
    # Without pipelining, what is started here would else find a terminal, and might ask something and wait.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    environment = Environment(module)
    environment.refuse_what_is_not_ours()
    act = keep if module.params["state"] == "present" else remove
    try:
        network.use(module)
        if module.params["pip_index"]:
            network.hide(module, module.params["pip_index"])
            os.environ["PIP_INDEX_URL"] = module.params["pip_index"]
        act(environment, module)
    except Failed as error:
        module.fail_json(msg=str(error), **error.told)


if __name__ == "__main__":
    main()
