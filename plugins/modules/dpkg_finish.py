#!/usr/bin/python
# Copyright: the gluon-ec2 authors
# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""What dpkg was interrupted at, brought to its end."""

from __future__ import annotations

DOCUMENTATION = r"""
module: dpkg_finish
short_description: Finish what dpkg was interrupted at
description:
  - A loss of power leaves packages that are unpacked and not configured, or only half unpacked, and a journal for which
    apt refuses to work. Packages of the first kind are configured. Those of the second are unpacked anew, from apt's
    archives, which apt does only when it is told which they are. What they depend on is installed.
  - No package is removed, one that is held stays so, and a configuration file that was changed stays as it is.
  - Another program that is at work with dpkg is waited for.
options:
  lock_timeout:
    description: Seconds to wait for another program.
    type: int
    default: 600
attributes:
  check_mode:
    description: Tells whether there is something to finish.
    support: full
author: [The gluon-ec2 authors (@d2l-ai)]
"""

EXAMPLES = r"""
- name: Finish an interrupted installation
  dpkg_finish:
"""

RETURN = r"""
unpacked:
  description: Packages that were unpacked anew. None in check mode.
  returned: success
  type: list
  elements: str
  sample: ["libcurl3-gnutls:amd64"]
"""

import os
import re
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.failed import Failed

JOURNAL = Path("/var/lib/dpkg/updates")
# As Ansible's apt does, and never to ask.
CONFFILES = ["--force-confdef", "--force-confold"]
QUIET = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
LOCKED = re.compile(r"(is|was) locked by another process|Could not get lock|Unable to (acquire|lock)")
POLL = 5  # seconds


class Dpkg:
    """dpkg and apt of this machine."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.deadline = time.monotonic() + module.params["lock_timeout"]

    def _run(self, *command: str) -> tuple[int, str, str]:
        """Exit status, output and errors, once no other program holds a lock. Raises Failed when the time is up."""
        while True:
            code, out, err = self.module.run_command(list(command), environ_update=QUIET)
            if not code or not LOCKED.search(err):
                return code, out, err
            if time.monotonic() >= self.deadline:
                raise Failed(
                    f"Another program is at work with dpkg here: {telling(err)}. Wait for it, then run this again.",
                    stderr=err,
                )
            time.sleep(POLL)

    def _apt(self, *arguments: str) -> tuple[int, str]:
        options = [f"DPkg::Options::={option}" for option in CONFFILES] + ["APT::Keep-Downloaded-Packages=false"]
        told = [f"--option={option}" for option in options]
        code, _, err = self._run("apt-get", *told, "--yes", "--no-remove", "--no-install-recommends", *arguments)
        return code, err

    def unfinished(self) -> str:
        """What dpkg's audit and its journal tell."""
        return self._run("dpkg", "--audit")[1].strip() + " ".join(sorted(path.name for path in JOURNAL.glob("[0-9]*")))

    def _half_unpacked(self) -> dict[str, bool]:
        """Those that dpkg does nothing with until they are unpacked again, and whether it holds them."""
        form = "${db:Status-Eflag} ${db:Status-Want} ${binary:Package}\n"
        listed = [line.split() for line in self._run("dpkg-query", "-W", "-f", form)[1].splitlines()]
        return {name: want == "hold" for flag, want, name in listed if flag.startswith("reinst")}

    def finish(self) -> list[str]:
        """Finish it; those that were unpacked anew. Raises Failed."""
        code, _, err = self._run("dpkg", *CONFFILES, "--configure", "-a")
        half = self._half_unpacked()
        if code or half:
            # Where the archives do not answer, what was downloaded before may do.
            self._apt("update")
            # First what they depend on: apt reinstalls none for which that is missing. It still trips over them here.
            code, err = self._apt("--fix-broken", "install")
        if half:
            # Of one that is held the archives may have another version by now. It is let go of for that.
            code, err = self._apt("--reinstall", "--allow-change-held-packages", "install", *half)
            if held := [name for name, is_held in half.items() if is_held]:
                self._run("apt-mark", "hold", *held)
        if code:
            raise Failed(
                f"dpkg was interrupted here, and what it left cannot be finished: {telling(err)}. Mend that, as sudo "
                "apt-get --fix-broken install proposes it, then run this again.",
                stderr=err,
            )
        return list(half)


def telling(err: str) -> str:
    """The lines of dpkg's and apt's that say what is wrong, each with those that go on with it."""
    lines = re.findall(r"^(?:E|dpkg): (?:error: )?(.+)$", re.sub(r"\n +", " ", err), re.M)
    return "; ".join(dict.fromkeys(line.strip(" .") for line in lines)) or "sudo dpkg --audit tells what it is"


def main() -> None:
    module = AnsibleModule({"lock_timeout": {"type": "int", "default": 600}}, supports_check_mode=True)
    # Whatever asks something gets no answer, instead of waiting for one.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    dpkg = Dpkg(module)
    before = dpkg.unfinished()
    if not before or module.check_mode:
        module.exit_json(changed=bool(before), unpacked=[])
    try:
        unpacked = dpkg.finish()
    except Failed as error:
        module.fail_json(msg=str(error), **error.told)
    # What an audit complains of beside that is no matter of an interruption, and stays.
    module.exit_json(changed=dpkg.unfinished() != before, unpacked=unpacked)


if __name__ == "__main__":
    main()
