#!/usr/bin/python
# MIT licence
"""Keep SSH tunnels open in the background."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ssh_tunnel
short_description: Keep SSH tunnels open in the background
version_added: 0.1.0
description:
  - Opens C(ssh -N -L) from a port of this computer to a port of a machine's own loopback, for several machines side by
    side, and leaves it running. A connection that has died ends its ssh within 45 seconds.
  - A tunnel that is open, leads to the same machine and lets something through is used again. One that has died is
    opened again, on the same port where that is free. When a port is taken by something else, the next one
    that is free is used.
  - What is at the other end is asked by HTTP, and need not answer in a certain way. That nothing answers is told in
    RV(troubles), as is a tunnel that did not open; the module itself does not fail for that.
  - Runs on the controller.
options:
  directory:
    description: Where the notes about tunnels are kept. Two runs that use the same wait for each other.
    type: path
    required: true
  state:
    description:
      - V(open) opens those to O(machines), and V(told) only tells of them, and how they are opened by hand.
      - V(closed) closes those of O(names), and forgets them.
    type: str
    choices: [open, closed, told]
    default: open
  machines:
    description: The machines, each with the way to it.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      host:
        description: Its address. Empty, the name.
        type: str
        default: ""
      user:
        description: The login. Empty, what ssh's own configuration says.
        type: str
        default: ""
      ssh_port:
        description: The port of its sshd. 0, what ssh's own configuration says.
        type: int
        default: 0
      key:
        description: The file of the SSH key. Empty, what ssh's own configuration says.
        type: str
        default: ""
      arguments:
        description: More arguments of ssh, as a shell would read them.
        type: str
        default: ""
      remote_port:
        description: The port on the machine that the tunnel leads to.
        type: int
        default: 8888
  names:
    description: Those to close. When it is left out, all in O(directory).
    type: list
    elements: str
  alive:
    description:
      - The names of all machines that there are. When tunnels are opened, those to any others are closed and forgotten.
        When it is left out, they stay.
    type: list
    elements: str
  port:
    description: The port on this computer, or the first one to try.
    type: int
    default: 8888
  timeout:
    description: How long a tunnel may take to open, in seconds.
    type: int
    default: 30
attributes:
  check_mode:
    description: In check mode nothing is opened or closed, and nothing asked.
    support: full
author:
  - The gluon-ec2 authors (@d2l-ai)
"""

EXAMPLES = r"""
- name: Have port 8888 lead to the notebook on reader
  ssh_tunnel:
    machines:
      - name: reader
        host: 192.0.2.10
        user: ubuntu
    directory: .state
  delegate_to: localhost

- name: Close all tunnels
  ssh_tunnel:
    directory: .state
    state: closed
  delegate_to: localhost
"""

RETURN = r"""
tunnels:
  description: Name -> what is known of its tunnel.
  type: dict
  returned: when O(state) is not closed
  contains:
    port:
      description: The port on this computer. None when the tunnel did not open.
      type: int
    opened:
      description: Whether it was opened now; for V(open).
      type: bool
    pid:
      description: The process id of ssh; for V(open).
      type: int
    open:
      description: Whether it is open; for V(told).
      type: bool
    command:
      description: The line for a shell that opens one, beside the one that may be open; for V(told).
      type: str
    command_port:
      description: The port on this computer in that line; for V(told).
      type: int
troubles:
  description: Name -> what is wrong with its tunnel, of those with which something is.
  type: dict
  returned: when O(state) is open
taken:
  description: The ports that were passed over, because something else has them.
  type: list
  elements: int
  returned: when O(state) is not closed
closed:
  description: The names of those that were closed.
  type: list
  elements: str
  returned: when O(state) is not told
"""

import contextlib
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.tunnels import Tunnels, alone, command, pid_of, processes

MACHINE = {
    "name": {"type": "str", "required": True},
    "host": {"type": "str", "default": ""},
    "user": {"type": "str", "default": ""},
    "ssh_port": {"type": "int", "default": 0},
    "key": {"type": "str", "default": "", "no_log": False},
    "arguments": {"type": "str", "default": ""},
    "remote_port": {"type": "int", "default": 8888},
}


def close(tunnels: Tunnels, names: list[str], check: bool) -> list[str]:
    """Close and forget these tunnels; the names of those that were open."""
    were_open = [name for name in names if name in tunnels.pids]
    if not check:
        tunnels.close(names)
    return were_open


def opened(tunnels: Tunnels, asked: dict[str, Any], check: bool) -> dict[str, Any]:
    ways = asked["machines"]
    there = [*(asked["alive"] or []), *(way["name"] for way in ways)]
    strays = [] if asked["alive"] is None else [name for name in tunnels.notes if name not in there]
    closed = close(tunnels, strays, check)
    for name in strays:
        tunnels.ports.held.pop(name, None)
    if check:
        told = {way["name"]: tunnels.told(way) for way in ways}
        found = {name: {"port": one["port"], "opened": not one["open"], "trouble": ""} for name, one in told.items()}
    else:
        found = tunnels.open_all(ways)
        running = processes()
        for way in ways:
            one = found[way["name"]]
            one["pid"] = one["port"] and pid_of(command(way, one["port"], background=True), running)
    troubles = {name: one.pop("trouble") for name, one in found.items()}
    return {
        "changed": bool(closed) or any(one["opened"] for one in found.values()),
        "tunnels": found,
        "troubles": {name: trouble for name, trouble in troubles.items() if trouble},
        "taken": tunnels.ports.taken,
        "closed": closed,
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["open", "closed", "told"], "default": "open"},
            "machines": {"type": "list", "elements": "dict", "default": [], "options": MACHINE},
            "names": {"type": "list", "elements": "str"},
            "alive": {"type": "list", "elements": "str"},
            "port": {"type": "int", "default": 8888},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    asked, directory, check = module.params, Path(module.params["directory"]), module.check_mode
    quiet = check or asked["state"] == "told" or (asked["state"] == "closed" and not directory.is_dir())
    with contextlib.nullcontext() if quiet else alone(directory):
        tunnels = Tunnels(directory, asked["port"], asked["timeout"])
        if asked["state"] == "told":
            told = {way["name"]: tunnels.told(way) for way in asked["machines"]}
            module.exit_json(changed=False, tunnels=told, taken=tunnels.ports.taken)
        if asked["state"] == "open":
            module.exit_json(**opened(tunnels, asked, check))
        closed = close(tunnels, list(tunnels.notes) if asked["names"] is None else asked["names"], check)
        module.exit_json(changed=bool(closed), closed=closed)


if __name__ == "__main__":
    main()
