#!/usr/bin/python
# MIT licence
"""Keep an SSH tunnel open in the background."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ssh_tunnel
short_description: Keep an SSH tunnel open in the background
version_added: 0.1.0
description:
  - Opens C(ssh -N -L) from a port of this computer to a port of a machine's own loopback, and leaves it running.
  - A tunnel that is open and answers is used again. When the wanted port is taken by something else, the next
    free one is used.
  - Runs on the controller.
options:
  name:
    description: The tunnel's name, a file name in O(directory).
    type: str
    required: true
  directory:
    description: Where the notes about open tunnels are kept.
    type: path
    required: true
  state:
    description: Whether the tunnel is to be open.
    type: str
    choices: [open, closed]
    default: open
  config:
    description: The ssh_config(5) file that says how to reach O(name).
    type: path
  port:
    description: The port on this computer, or the first one to try.
    type: int
    default: 8888
  remote_port:
    description: The port on the machine.
    type: int
    default: 8888
  timeout:
    description: How long the tunnel may take to open, in seconds.
    type: int
    default: 30
attributes:
  check_mode:
    description: In check mode nothing is opened or closed.
    support: full
author:
  - The gluon-ec2 authors
"""

EXAMPLES = r"""
- name: Have port 8888 lead to the notebook on reader
  ssh_tunnel:
    name: reader
    directory: .state
    config: .state/ssh_config
  delegate_to: localhost
"""

RETURN = r"""
port:
  description: The port on this computer.
  type: int
  returned: when the tunnel is open
pid:
  description: The process id of ssh.
  type: int
  returned: when the tunnel is open
"""

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule


def command_of(pid: int) -> str:
    """The command line of a process; empty when there is no such process."""
    shown = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()


def listens(port: int) -> bool:
    """Whether something on this computer's loopback takes connections on the port."""
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port(first: int) -> int | None:
    """The first port from `first` on that can be listened on; none among a hundred gives None."""
    for port in range(first, min(first + 100, 65536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    return None


class Tunnel:
    """One tunnel, remembered in a note beside the others: {pid, port, command}."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module, self.params = module, module.params
        self.note = Path(self.params["directory"]) / f"tunnel-{self.params['name']}.json"
        self.log = self.note.with_suffix(".log")

    def open_one(self) -> dict | None:
        """The tunnel that is open, if one is."""
        try:
            noted = json.loads(self.note.read_text())
        except (OSError, ValueError):
            return None
        # A process id is used again in time: the command tells whether it is still ours.
        return noted if command_of(noted["pid"]) == noted["command"] else None

    def close(self) -> bool:
        noted = self.open_one()
        if noted and not self.module.check_mode:
            os.kill(noted["pid"], signal.SIGTERM)
        if not self.module.check_mode:
            self.note.unlink(missing_ok=True)
            self.log.unlink(missing_ok=True)
        return noted is not None

    def open(self) -> dict:
        port = free_port(self.params["port"])
        if port is None:
            self.module.fail_json(
                msg=f"No port from {self.params['port']} on is free here. Choose another with notebook_port."
            )
        forward = ["-L", f"127.0.0.1:{port}:127.0.0.1:{self.params['remote_port']}", self.params["name"]]
        options = ["-o", "ExitOnForwardFailure=yes", "-o", "BatchMode=yes"]
        self.note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.log.open("w") as log:
            ssh = subprocess.Popen(
                ["ssh", "-F", self.params["config"], "-N", *options, *forward],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + self.params["timeout"]
        while not listens(port):
            if ssh.poll() is not None or time.monotonic() > deadline:
                ssh.kill()
                said = self.log.read_text().strip() or f"nothing within {self.params['timeout']} s"
                self.module.fail_json(msg=f"The tunnel to {self.params['name']} did not open. ssh said: {said}")
            time.sleep(0.05)
        noted = {"pid": ssh.pid, "port": port, "command": command_of(ssh.pid)}
        self.note.write_text(json.dumps(noted))
        return noted


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "directory": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["open", "closed"], "default": "open"},
            "config": {"type": "path"},
            "port": {"type": "int", "default": 8888},
            "remote_port": {"type": "int", "default": 8888},
            "timeout": {"type": "int", "default": 30},
        },
        required_if=[("state", "open", ["config"])],
        supports_check_mode=True,
    )
    tunnel = Tunnel(module)
    if module.params["state"] == "closed":
        module.exit_json(changed=tunnel.close())
    noted = tunnel.open_one()
    if noted and listens(noted["port"]):
        module.exit_json(changed=False, port=noted["port"], pid=noted["pid"])
    if module.check_mode:
        module.exit_json(changed=True, port=module.params["port"])
    tunnel.close()
    noted = tunnel.open()
    module.exit_json(changed=True, port=noted["port"], pid=noted["pid"])


if __name__ == "__main__":
    main()
