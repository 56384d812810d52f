#!/usr/bin/python
# Copyright: the gluon-ec2 authors
# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""One conda for all users of a machine, from the installer of a distribution of conda."""

DOCUMENTATION = r"""
module: conda_installation
short_description: Keep a conda installation, from Miniconda's or Miniforge's installer
description:
  - Downloads an installer, runs it unattended once its checksum was found right, and looks at what came of it. Then
    sets what all users of the installation share.
  - An installation is judged by what is in it. One that was interrupted is begun anew, one that is damaged is repaired,
    and one of another O(version) is updated in place; its environments stay.
  - Nothing is downloaded or started when nothing is to do. A download that was cut off is resumed, also by a later
    run, and E(http_proxy), E(https_proxy) and E(no_proxy) are used where they are set.
  - A folder that is no conda, and a conda that somebody else installed, are refused and left alone, see O(adopt).
  - All of it belongs to who runs the module, and nobody else can write to it. Environments are left as they are.
  - Nothing is written into any user's home.
  - Two runs never meet in one installation. The second waits, see O(lock_timeout).
options:
  prefix:
    description: Folder of the installation, at least two folders deep and without spaces.
    type: path
    required: true
  url:
    description: Address of the installer, which has to end in C(.sh).
    type: str
    required: true
  sha256:
    description: The installer's SHA-256 in hexadecimal.
    type: str
    required: true
  version:
    description: >-
      What the installer installs, such as V(py311_26.1.1-1). It is noted in the installation; where another one stands
      there, the installer is run.
    type: str
    required: true
  adopt:
    description: >-
      Take a conda that somebody else installed at O(prefix) for the installation. Nothing is installed or updated in
      it; O(condarc), O(profile) and O(accept_terms) apply to it.
    type: bool
    default: false
  condarc:
    description: Settings, all that C(PREFIX/.condarc) is to hold. Without it the file is left alone.
    type: dict
  profile:
    description: Where login shells are to find a link to conda's C(conda.sh), such as V(/etc/profile.d/conda.sh).
    type: path
  accept_terms:
    description:
      - Addresses of channels whose terms of use you have read and accept, for everybody who uses this installation.
      - It is C(conda tos accept --system) that records it. A conda that knows of no terms is not asked. Newer terms of
        a channel are not accepted by themselves.
    type: list
    elements: str
    default: []
  proxy:
    description: >-
      Proxy for the download and for conda, such as V(http://proxy.example.org:3128) or
      V(http://USER:PASSWORD@proxy.example.org:3128). With O(condarc) also conda's C(proxy_servers), but for one with a
      password, as every user reads them.
    type: str
  no_proxy:
    description: Hosts that are reached without it, as in E(no_proxy), with commas between them.
    type: str
  ca_bundle:
    description: >-
      File on the target with the certificates that servers are trusted by, for the download; with O(condarc) also
      conda's C(ssl_verify).
    type: path
  free_space:
    description: Free space in MiB without which nothing is installed.
    type: int
    default: 1024
  lock_timeout:
    description: Seconds to wait for another run on the same installation.
    type: int
    default: 1800
attributes:
  check_mode:
    description: Tells what it would change, without the network.
    support: full
  diff_mode:
    description: Shows the installation, its settings, the link and the accepted terms before and after.
    support: full
author: [The gluon-ec2 authors (@d2l-ai)]
"""

EXAMPLES = r"""
- name: Install Miniconda for all users
  conda_installation:
    prefix: /opt/miniconda3
    url: https://repo.anaconda.com/miniconda/Miniconda3-py311_26.1.1-1-Linux-x86_64.sh
    sha256: 52d1f19154b0716d7dc0872f0d858702640da08a4e53fd0035ba988608203d6b
    version: py311_26.1.1-1
    condarc: {channels: [conda-forge], channel_priority: strict}
    profile: /etc/profile.d/miniconda.sh

- name: Set the channels of a conda that is there
  conda_installation:
    prefix: /opt/tljh/user
    url: https://github.com/conda-forge/miniforge/releases/download/26.3.2-3/Miniforge3-26.3.2-3-Linux-x86_64.sh
    sha256: 848194851a98903134187fbb4ab50efe87b003e0c0f808f97644b7524a62bf2c
    version: 26.3.2-3
    adopt: true
    condarc: {channels: [conda-forge]}
"""

RETURN = r"""
prefix:
  description: Folder of the installation.
  returned: always
  type: str
  sample: /opt/miniconda3
before:
  description: >-
    What was there - V(absent), V(other) (a conda that somebody else installed), V(begun) (an installation that was
    interrupted), V(damaged) or V(complete).
  returned: success
  type: str
  sample: absent
version:
  description: The version that is noted in the installation at the end; nothing in one that was adopted.
  returned: success
  type: str
  sample: py311_26.1.1-1
options:
  description: The options that the failure is about.
  returned: failure, where there are some
  type: list
  elements: str
  sample: [sha256]
rc:
  description: The installer's exit status; that of a signal is negative.
  returned: the installer failed
  type: int
  sample: 1
"""

import os
import re

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import ahead, network
from ..module_utils.conda_installation import Installation
from ..module_utils.conda_installation_settings import Settings, render
from ..module_utils.download import read_source
from ..module_utils.failed import Failed
from ..module_utils.folders import absolute

OPTIONS = {
    "argument_spec": {
        "prefix": {"type": "path", "required": True},
        "url": {"type": "str", "required": True},
        "sha256": {"type": "str", "required": True},
        "version": {"type": "str", "required": True},
        "adopt": {"type": "bool", "default": False},
        "condarc": {"type": "dict"},
        "profile": {"type": "path"},
        "accept_terms": {"type": "list", "elements": "str", "default": []},
        **network.OPTIONS,
        "free_space": {"type": "int", "default": 1024},
        "lock_timeout": {"type": "int", "default": 1800},
    },
}


def read(params):
    """The installation, its settings and the installer. Raises Failed for a wrong option."""
    prefix = absolute("prefix", params["prefix"])
    if len(prefix.parts) < 3 or " " in str(prefix):
        raise Failed(f"prefix is '{prefix}': it has to be two folders deep and without spaces.", options=["prefix"])
    source = read_source(params["url"], params["sha256"], params["ca_bundle"])
    if not source.name.endswith(".sh"):
        raise Failed(
            f"{source.url} does not end in .sh, without which installers of conda do not run.", options=["url"]
        )
    if not re.fullmatch(r"\S+", params["version"]):
        raise Failed(f"version is '{params['version']}': it has to be a word.", options=["version"])
    given = conda_settings(params["proxy"], params["ca_bundle"])
    condarc = None if params["condarc"] is None else render({**given, **params["condarc"]})
    profile = absolute("profile", params["profile"]) if params["profile"] else None
    installation = Installation(prefix, params["adopt"])
    return installation, Settings(installation, condarc, profile, params["accept_terms"]), source


def conda_settings(proxy, ca_bundle):
    """conda's settings for proxy and certificates, which every user reads. Of a proxy with a password it has none."""
    settings = {"ssl_verify": ca_bundle} if ca_bundle else {}
    if proxy and not network.login(proxy):
        settings["proxy_servers"] = {"http": proxy, "https": proxy}
    return settings


def survey(installation, settings):
    """What there is, by name, each as text for a diff."""
    return {str(installation.prefix): f"{installation.state()} {installation.noted()[0]}".strip(), **settings.found()}


def plan(installation, settings, version):
    """The same as it is to be."""
    is_there = not installation.wants(version)
    itself = f"{installation.state()} {installation.noted()[0]}" if is_there else f"complete {version}"
    return {str(installation.prefix): itself.strip(), **settings.meant(is_there)}


def act(module):
    """Do what is asked; what the module returns. Raises Failed and OSError."""
    params = module.params
    version, need_mb = params["version"], params["free_space"]
    network.use(module)
    installation, settings, source = read(params)
    installation.refuse(source)
    if installation.wants(version):
        installation.ensure_room(need_mb)
    was, before, after = installation.state(), survey(installation, settings), plan(installation, settings, version)
    # What is left of a run that was killed at its very end goes too.
    if not module.check_mode and (before != after or installation.work.exists()):
        ahead.stop(module)
        with installation.alone(params["lock_timeout"]):
            installation.refuse(source)
            was, before = installation.state(), survey(installation, settings)
            if installation.wants(version):
                installation.install(source, version, need_mb)
            settings.apply()
            after = survey(installation, settings)
    differing = [name for name in before if before[name] != after[name]]
    diff = [
        {"before": before[name], "after": after[name], "before_header": name, "after_header": name}
        for name in differing
    ]
    return {"changed": bool(differing), "before": was, "version": installation.noted()[0], "diff": diff}


def main():
    module = AnsibleModule(**OPTIONS, supports_check_mode=True)
    os.umask(0o022)
    prefix = module.params["prefix"]
    try:
        told = act(module)
    except Failed as error:
        options = error.told.get("options", [])
        # Where a file is not to be had, it may be the version that is wrong.
        told = {**error.told, "options": [*options, *(["version"] if options == ["url"] else [])]}
        module.fail_json(msg=str(error), prefix=prefix, **told)
    except OSError as error:
        where = error.filename or prefix
        module.fail_json(
            msg=f"{where}: {error.strerror or error}. Once that is mended, run again to continue.", prefix=prefix
        )
    module.exit_json(prefix=prefix, **told)


if __name__ == "__main__":
    main()
