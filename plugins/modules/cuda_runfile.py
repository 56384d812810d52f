#!/usr/bin/python
# Copyright: the gluon-ec2 authors
# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""A CUDA toolkit from NVIDIA's runfile."""

DOCUMENTATION = r"""
module: cuda_runfile
short_description: Install a CUDA toolkit from NVIDIA's runfile
description:
  - Downloads NVIDIA's self-extracting installer of a CUDA toolkit, runs it unattended, and looks at the result.
    Only the toolkit is installed, never the driver that the runfile holds too.
  - A toolkit is there when its C(bin/nvcc) works and is of O(version). One that somebody else installed counts, and is
    left alone. Then nothing is downloaded and nothing is changed.
  - A toolkit that this module installed from other files than O(sha256) and O(patches) say is made anew. So is one
    that no longer works, and one whose installation was interrupted or failed.
  - A folder that holds anything else is refused and left alone.
  - Nothing is executed before its checksum was found right. A download that was cut off is resumed, also by a later
    run, and E(http_proxy) and E(https_proxy) are used where they are set.
  - Two runs never meet on one machine. The second waits, see O(lock_timeout).
options:
  version:
    description: Release of the toolkit, such as V(8.0) or V(11.8), as C(nvcc --version) names it.
    type: str
    required: true
  state:
    description:
      - Whether the toolkit is to be there.
      - V(absent) removes the folder with all that is in it, should it hold this release, whoever installed it,
        unless it belongs to a package.
    type: str
    choices: [present, absent]
    default: present
  url:
    description: Address of the runfile. Needed for O(state=present).
    type: str
  sha256:
    description: The runfile's SHA-256 in hexadecimal. Needed for O(state=present).
    type: str
  patches:
    description: Patches in the form of runfiles, installed after it in this order.
    type: list
    elements: dict
    default: []
    suboptions:
      url:
        description: Address of the patch.
        type: str
        required: true
      sha256:
        description: The patch's SHA-256 in hexadecimal.
        type: str
        required: true
  path:
    description: Folder of the toolkit; C(/usr/local/cuda-VERSION) where it is not given.
    type: path
  cache:
    description:
      - Folder for the downloads, to which only root may write. It is made, and removed once it is empty.
      - The downloads are removed when the toolkit is there, and kept for the next run when it failed.
    type: path
    default: /var/cache/cuda-runfile
  tmpdir:
    description:
      - Folder in which the installer has a folder of its own to unpack to, removed afterwards. It may not be mounted
        noexec. Where it is not given, it is O(cache).
    type: path
  disk_mb:
    description: Free space in MiB without which nothing is begun; 0 is not checked. What is on one disk is added up.
    type: dict
    default: {}
    suboptions:
      cache:
        description: What the downloads take. What is there of them already counts.
        type: int
        default: 0
      tmpdir:
        description: What the installer unpacks.
        type: int
        default: 0
      path:
        description: What the toolkit takes.
        type: int
        default: 0
  proxy:
    description: >-
      Proxy for the downloads, such as V(http://proxy.example.org:3128) or
      V(http://USER:PASSWORD@proxy.example.org:3128).
    type: str
  no_proxy:
    description: Hosts that are reached without it, as in E(no_proxy), with commas between them.
    type: str
  ca_bundle:
    description: File on the target with the certificates that servers are trusted by.
    type: path
  lock_timeout:
    description: Seconds to wait for another run on this machine.
    type: int
    default: 3600
attributes:
  check_mode:
    description: Tells whether it would install or remove something, without the network.
    support: full
  diff_mode:
    description: Shows what the folder holds before and after.
    support: full
author: [The gluon-ec2 authors (@d2l-ai)]
"""

EXAMPLES = r"""
- name: Install CUDA 8.0 with its second patch
  cuda_runfile:
    version: "8.0"
    url: https://developer.nvidia.com/compute/cuda/8.0/Prod2/local_installers/cuda_8.0.61_375.26_linux-run
    sha256: 9ceca9c2397f841024e03410bfd6eabfd72b384256fbed1c1e4834b5b0ce9dc4
    patches:
      - url: https://developer.nvidia.com/compute/cuda/8.0/Prod2/patches/2/cuda_8.0.61.2_linux-run
        sha256: 2d59bc245db87fc9f03c6964da91cf87e939a4b17de38853ba6169ab732e5fc5
    disk_mb: {cache: 1500, tmpdir: 1800, path: 2100}

- name: Remove CUDA 8.0
  cuda_runfile:
    version: "8.0"
    state: absent
"""

RETURN = r"""
path:
  description: Folder of the toolkit.
  returned: the options are right
  type: str
  sample: /usr/local/cuda-8.0
version:
  description: The release that was asked for.
  returned: the options are right
  type: str
  sample: "8.0"
nvcc:
  description: The release that C(bin/nvcc) names at the end; nothing where there is none.
  returned: success
  type: str
  sample: "8.0"
log:
  description: Where the installer's output is.
  returned: the installer failed
  type: str
  sample: /tmp/cuda_install_4711.log
rc:
  description: The installer's exit status; that of a signal is negative.
  returned: the installer failed
  type: int
  sample: 1
"""

import os
import re

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import network
from ..module_utils.cuda_runfile import Installation
from ..module_utils.cuda_runfile_toolkit import Toolkit
from ..module_utils.download import read_source
from ..module_utils.failed import Failed
from ..module_utils.folders import absolute

SHARED_FOLDERS = ("/usr/local", "/usr/lib", "/usr/bin", "/usr/share")


def read(params):
    """The toolkit, its folder for downloads, the one to unpack in, and the files. Raises Failed for a wrong option."""
    version = params["version"]
    if not re.fullmatch(r"\d{1,2}\.\d{1,2}", version, re.ASCII):
        raise Failed(f"'{version}' is no release of CUDA: write two numbers in quotes, such as '8.0' or '11.8'.")
    path = params["path"] or f"/usr/local/cuda-{version}"
    folders = {"path": path, "cache": params["cache"], "tmpdir": params["tmpdir"] or params["cache"]}
    path, cache, tmpdir = (absolute(name, value) for name, value in folders.items())
    if len(path.parts) < 3 or str(path) in SHARED_FOLDERS:
        raise Failed(f"path is {path}, which holds other things too: name a folder of the toolkit's own.")
    for name, other in (("cache", cache), ("tmpdir", tmpdir)):
        if path == other or path in other.parents:
            raise Failed(f"{name} is {other}, inside the toolkit's own folder {path}: name another one.")
    files = [params, *params["patches"]] if params["state"] == "present" else []
    sources = [read_source(one["url"], one["sha256"], params["ca_bundle"]) for one in files]
    names = [one.name for one in sources]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise Failed(f"Two of the files are called {twice[0]}: name each one once.")
    return Toolkit(version, path), cache, tmpdir, sources


def keep(module, toolkit, installation):
    """state=present: what was there."""
    before = toolkit.state(installation.sums)
    if before == "foreign":
        toolkit.refuse()
    if before != toolkit.version and not module.check_mode:
        with toolkit.lock.held(module.params["lock_timeout"]):
            before = toolkit.state(installation.sums)
            if before == "foreign":
                toolkit.refuse()
            if before != toolkit.version:
                installation.make()
    return before


def drop(module, toolkit):
    """state=absent: what was there."""
    before = toolkit.state()
    if before == "foreign":
        toolkit.refuse()
    if before != "absent":
        toolkit.ensure_removable()
        if not module.check_mode:
            with toolkit.lock.held(module.params["lock_timeout"]):
                before = toolkit.state()
                if before != "absent":
                    toolkit.uninstall()
    return before


def act(module):
    """Do what is asked; what the module returns. Raises Failed and OSError."""
    network.use(module)
    toolkit, cache, tmpdir, sources = read(module.params)
    told = {"version": toolkit.version, "path": str(toolkit.path)}
    try:
        if module.params["state"] == "present":
            after = toolkit.version
            before = keep(module, toolkit, Installation(toolkit, sources, cache, tmpdir, module.params["disk_mb"]))
        else:
            after, before = "absent", drop(module, toolkit)
    except Failed as error:
        error.told.update(told)
        raise
    diff = {"before": f"{before}\n", "after": f"{after}\n", "before_header": str(toolkit.path)}
    return {**told, "changed": before != after, "nvcc": toolkit.release(), "diff": diff}


def main():
    size = {"type": "int", "default": 0}
    module = AnsibleModule(
        argument_spec={
            "version": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "url": {"type": "str"},
            "sha256": {"type": "str"},
            "patches": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {"url": {"type": "str", "required": True}, "sha256": {"type": "str", "required": True}},
            },
            "path": {"type": "path"},
            "cache": {"type": "path", "default": "/var/cache/cuda-runfile"},
            "tmpdir": {"type": "path"},
            "disk_mb": {
                "type": "dict",
                "default": {},
                "options": {"cache": size, "tmpdir": size, "path": size},
            },
            **network.OPTIONS,
            "lock_timeout": {"type": "int", "default": 3600},
        },
        required_if=[("state", "present", ("url", "sha256"))],
        supports_check_mode=True,
    )
    os.umask(0o022)
    try:
        told = act(module)
    except Failed as error:
        module.fail_json(msg=str(error), **error.told)
    except OSError as error:
        where = error.filename or module.params["path"] or "a file"
        module.fail_json(msg=f"{where}: {error.strerror or error}. Once that is mended, run again to begin anew.")
    module.exit_json(**told)


if __name__ == "__main__":
    main()
