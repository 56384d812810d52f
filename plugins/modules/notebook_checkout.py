#!/usr/bin/python
# Copyright: the gluon-ec2 authors
# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""A git checkout of notebooks at one commit, which belongs to who works in it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: notebook_checkout
short_description: Have a git checkout of notebooks, and bring it forward without losing what its user wrote
description:
  - Clones one commit of a repository, without its history, to a branch C(notebooks). The checkout gets its name when
    it is whole; one that was interrupted is continued. C(.ipynb_checkpoints) is excluded.
  - A checkout that is there is left alone, unless O(update) is true. A folder that is no checkout is refused, an
    empty one taken.
  - An update compares, for each file, what the tutorial had, what the user has, and what the tutorial has now. A file
    that only one of them changed is as that one has it. Where both changed different lines, the changes are put
    together. Where they are at the same lines, or are no text, the user's file stays, and the tutorial's is put
    beside it, under a name such as C(ndarray.upstream-1a2b3c4.md).
  - An untracked file whose name the tutorial now uses is renamed, to a name such as
    C(ndarray.yours-20261124-101500.md). A file that was deleted comes back. One that the tutorial dropped goes,
    unless the user changed it. What lies behind a link of the user's, or on another disk, is left as it is.
  - Commits of the user's, content that was staged, and files as they were before a merge are kept in a branch
    C(backup/DATE-TIME), made before anything else is done. The user's commits become uncommitted changes; nothing is
    ever reset or forced. Another branch that the user had checked out stays as it is, and C(notebooks) is checked
    out.
  - Files change in one step each, and only if they are still what was looked at. A notebook that is saved meanwhile
    is looked at again; one that is saved all the time, or is open for writing, is kept, with the tutorial's beside
    it.
  - An update that was interrupted is finished by the next, whatever the moment was.
  - A merge or rebase that waits for its user is refused, and nothing touched. A lock that a git left which is no more
    is removed.
  - All of it is done with the rights of O(user), git included, because a repository's configuration can name
    commands. The repository's hooks do not run.
options:
  repository:
    description:
      - Address or path of the repository.
      - A new address is followed, by the remote C(origin) too, unless the user gave that one another address.
    type: str
    required: true
  version:
    description: >-
      Commit, by its full id, tag or branch. Where a full id is given and that commit is there, the server is not asked.
    type: str
    required: true
  directory:
    description: Folder of the checkout, an absolute path.
    type: path
    required: true
  user:
    description: Login that the checkout belongs to.
    type: str
    required: true
  update:
    description: Whether a checkout that is there is brought to O(version).
    type: bool
    default: false
  proxy:
    description: >-
      Proxy for git, such as V(http://proxy.example.org:3128) or
      V(http://USER:PASSWORD@proxy.example.org:3128).
    type: str
  no_proxy:
    description: Hosts that are reached without it, as in E(no_proxy), with commas between them.
    type: str
  ca_bundle:
    description: File on the target with the certificates that git trusts servers by.
    type: path
  timeout:
    description:
      - Seconds that one attempt to fetch may take.
      - An HTTP connection that was silent for 60 seconds is cut in any case.
    type: int
    default: 1800
  retries:
    description:
      - Further attempts after one that failed, each later than the one before.
      - A repository or version that is not there is not asked for again.
    type: int
    default: 3
attributes:
  check_mode:
    description: >-
      Tells what would become of each file. For that the commit is fetched, if it is not there, into the repository's
      store of objects, where the update itself finds it; no file, branch or index changes. A clone is not tried.
      Works before git is installed, when it is not known which files would change.
    support: full
  diff_mode:
    description: Shows the commits, and what becomes of each file, not the files' content.
    support: full
author: [The gluon-ec2 authors (@d2l-ai)]
"""

EXAMPLES = r"""
- name: Have the tutorial
  notebook_checkout:
    repository: https://github.com/d2l-ai/d2l-zh.git
    version: 13177e16f335fef0b47317f98e2705c2f69a3440
    directory: /home/ubuntu/d2l-zh
    user: ubuntu

- name: Bring it forward to what the branch has today
  notebook_checkout:
    repository: https://github.com/d2l-ai/d2l-zh.git
    version: v1
    directory: /home/ubuntu/d2l-zh
    user: ubuntu
    update: true
  register: tutorial

- name: Say what became of the user's work
  ansible.builtin.debug:
    msg: "{{ tutorial.sentences }}"
"""

RETURN = r"""
state:
  description: V(cloned), V(updated) or V(unchanged).
  returned: success
  type: str
commit:
  description: >-
    The commit that the checkout follows; without O(update), the one that is checked out. Empty in check mode where a
    branch or tag was not asked for.
  returned: success
  type: str
before:
  description: The commit of the tutorial before. Empty where there was no checkout.
  returned: success
  type: str
added:
  description: Files that are new in the tutorial.
  returned: success
  type: list
  elements: str
updated:
  description: Files that the user had not changed, and the tutorial did.
  returned: success
  type: list
  elements: str
merged:
  description: Files in which the changes of both are.
  returned: success
  type: list
  elements: str
restored:
  description: Files that had been deleted.
  returned: success
  type: list
  elements: str
removed:
  description: Files that the tutorial dropped, and the user had not changed.
  returned: success
  type: list
  elements: str
kept:
  description: Files that both changed and the user's version won.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The user's file.
      type: str
    upstream:
      description: The copy of the tutorial's beside it. Empty where the tutorial dropped it, or a link leads there.
      type: str
renamed:
  description: The user's files whose name the tutorial uses now.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The name that the file had.
      type: str
    to:
      description: The name that it has.
      type: str
backup:
  description: The branch with what the user had. Empty where nothing had to be saved.
  returned: success
  type: str
  sample: backup/20261124-101500
sentences:
  description: The same for the user to read, a sentence for each thing that happened.
  returned: success
  type: list
  elements: str
  sample: [Your changes and the tutorial's were put together in chapter_prerequisite/ndarray.md.]
"""

import os
import pwd
import re

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import network
from ..module_utils.failed import Failed
from ..module_utils.notebook_checkout import work
from ..module_utils.notebook_checkout_user import as_user

# What an address has before its @: a password, or a token.
SECRET = r"^https?://(?:[^/@\s]*:|(?=[^/@\s]{20}))([^/@\s]+)@"


def owner(module: AnsibleModule) -> pwd.struct_passwd:
    """The login to work as. Fails where there is none, or its rights are not to be had."""
    name = module.params["user"]
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        module.fail_json(msg=f"user={name} does not exist here: name a login of this machine.")
    if os.geteuid() not in (0, user.pw_uid):
        module.fail_json(msg=f"user={name} can be worked for by root or {name} alone: use become.")
    return user


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "repository": {"type": "str", "required": True},
            "version": {"type": "str", "required": True},
            "directory": {"type": "path", "required": True},
            "user": {"type": "str", "required": True},
            "update": {"type": "bool", "default": False},
            **network.OPTIONS,
            "timeout": {"type": "int", "default": 1800},
            "retries": {"type": "int", "default": 3},
        },
        supports_check_mode=True,
    )
    module.no_log_values.update(filter(None, re.findall(SECRET, module.params["repository"])))
    try:
        network.use(module)
    except Failed as error:
        module.fail_json(msg=str(error), **error.told)
    user, has_git = owner(module), bool(module.get_bin_path("git"))
    answer = as_user(user, lambda: work(module.params, module.check_mode, has_git))
    if "exception" in answer:
        last = answer["exception"].strip().splitlines()[-1]
        module.fail_json(msg=f"{module.params['directory']} could not be looked after: {last}", **answer)
    if "msg" in answer:
        module.fail_json(**answer)
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
