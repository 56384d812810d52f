"""A machine of the local EC2 that shows a GPU to whoever looks, and what tests of the cuda role do with it."""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_ansible import Run, ansible
from local_cloud import SSH

from local_ec2.upstream.debs import kernel_module

ROOT = Path(__file__).resolve().parents[2]
LOOK = ROOT / "plugins/module_utils/cuda_look.py"
STANDIN = Path(__file__).parent / "gpu_standin"
PROGRAM = "/usr/local/lib/gpu-standin/gpu_standin.py"
NAMES = ("gpu-standin", "modprobe", "rmmod", "update-initramfs")
LOG = "/var/log/gpu-standin.log"
SSHD_LOG = "/var/log/sshd-bench.log"
KEYRINGS = "/usr/share/keyrings"
OLDER_KERNEL = """\
[Service]
ExecStart=
ExecStart=setarch --uname-2.6 /usr/sbin/sshd -D $SSHD_OPTS
"""
UBUNTU = {"22.04": ("jammy", "bookworm/sid"), "24.04": ("noble", "trixie/sid")}
UBUNTU_RELEASE = """\
PRETTY_NAME="Ubuntu {version} LTS"
NAME="Ubuntu"
VERSION_ID="{version}"
VERSION="{version} LTS ({codename})"
VERSION_CODENAME={codename}
ID=ubuntu
ID_LIKE=debian
UBUNTU_CODENAME={codename}
"""
UBUNTU_LSB = """\
DISTRIB_ID=Ubuntu
DISTRIB_RELEASE={version}
DISTRIB_CODENAME={codename}
DISTRIB_DESCRIPTION="Ubuntu {version} LTS"
"""


def hang_up(folder: Path) -> None:
    """End the connections whose sockets are in this folder: one to a machine that has gone would hang."""
    for socket in folder.iterdir():
        if socket.is_socket():
            command = ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "machine"]
            subprocess.run(command, capture_output=True, check=False)
            socket.unlink(missing_ok=True)


@dataclass
class Machine:
    """A machine that is up. Its folder is the test's own.

    It is reached as root, over a connection that stays open. Ansible comes as admin: its sessions are told apart.
    """

    instance: str
    address: str
    key: Path
    folder: Path

    def run(
        self, command: str, *, check: bool = False, stdin: bytes = b"", timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command as root. With `check`, a failed one is the test's failure, with all that it said."""
        for _ in range(3):
            done = subprocess.run(
                ["ssh", *self._ssh(), f"root@{self.address}", command],
                input=stdin,
                capture_output=True,
                timeout=timeout,
                check=False,
            )
            # SSH's own failure: a machine or a computer that is busy. What must succeed here may be done twice.
            if done.returncode != 255 or not check:
                break
        out, error = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        assert not check or done.returncode == 0, f"{command}\n{out}{error}"
        return subprocess.CompletedProcess(command, done.returncode, out, error)

    def out(self, command: str) -> str:
        """What a shell command prints as root, which must succeed."""
        return self.run(command, check=True).stdout.strip()

    def _ssh(self) -> list[str]:
        reuse = ["-o", "ControlMaster=auto", "-o", "ControlPersist=600", "-o", f"ControlPath={self.folder}/root"]
        # A machine that restarted meanwhile says no farewell.
        alive = ["-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=6"]
        # Before SSH's own, which is short for a host that is busy.
        patient = ["-o", "ConnectTimeout=30"]
        return [*patient, *SSH, *reuse, *alive, "-i", str(self.key)]

    def put(self, path: str, text: str | bytes, mode: str = "0644") -> None:
        data = text if isinstance(text, bytes) else text.encode()
        self.run(f"install -D -m {mode} /dev/stdin {shlex.quote(path)}", check=True, stdin=data)

    # What the machine has, as if it had booted with it.

    def shows_gpu(self, *models: str) -> None:
        """Have GPUs on the PCI bus, beside a network card; none: a bus without a GPU.

        models: device ids of NVIDIA's, such as 1eb8, or with the vendor's id before it, such as 1002:7362.
        """
        lines = ["0000:00:05.0 1d0f 020000 ec20"]
        for slot, model in zip(range(0x10, 0x20), models, strict=False):
            vendor, _, device = model.rpartition(":")
            lines.append(f"0000:00:{slot:02x}.0 {vendor or '10de'} 030200 {device}")
        self._has(pci="\n".join([*lines, ""]))

    def says_it_is(self, instance_type: str) -> None:
        """Have the firmware say that this is an EC2 instance of this type, as EC2's does."""
        self._has(instance_type=f"{instance_type}\n")

    def has_nouveau(self) -> None:
        """Have nouveau hold the GPU, until it is blacklisted, the initramfs is made anew and the machine restarts."""
        self._has(nouveau="")

    def has_secure_boot(self) -> None:
        self._has(secure_boot="")

    def brings_driver(self, version: str, *, open_module: bool = False) -> None:
        """Have a driver that no package of this machine brought, loaded at every boot where a GPU is."""
        self._has(loaded_at_boot=f"{version}{' open' if open_module else ''}\n")

    def _has(self, **files: str) -> None:
        for name, text in files.items():
            self.put(f"/etc/gpu-standin/{name}", text)
        self.run("gpu-standin now", check=True)

    @property
    def kernel(self) -> str:
        """The kernel that runs, which is the host's."""
        return self.out("uname -r")

    def add_kernel(self, release: str) -> None:
        """Have another kernel beside the one that runs; no package knows of it."""
        modules = f"/lib/modules/{release}"
        self.run(
            f"mkdir -p /boot {modules} && touch /boot/vmlinuz-{release} {modules}/modules.order"
            f" {modules}/modules.builtin {modules}/modules.builtin.modinfo && depmod {release}",
            check=True,
        )

    def runs_older_kernel(self) -> str:
        """Have an older kernel run until the next boot, which then is of the host's; its release.

        uname can be told to speak of 2.6; all that comes by SSH hears that.
        """
        self.put("/run/systemd/system/ssh.service.d/older.conf", OLDER_KERNEL)
        self.run("systemctl daemon-reload && systemctl restart ssh", check=True)
        hang_up(self.folder)
        older = self.kernel
        self.add_kernel(older)
        return older

    def add_headers(self, release: str) -> None:
        """Have what a module for this kernel is compiled with; no package knows of it."""
        headers = f"/usr/src/linux-headers-{release}"
        self.run(f"mkdir -p {headers} && touch {headers}/Makefile", check=True)
        self.run(f"ln -sfn {headers} /lib/modules/{release}/build", check=True)

    def add_module(
        self, name: str, version: str, *, kernel: str = "", license: str = "NVIDIA", folder: str = "updates/dkms"
    ) -> None:
        """Have a module for a kernel, that which runs by default. `Dual MIT/GPL` is the licence of the open modules."""
        release = kernel or self.kernel
        module = kernel_module(name, version, license, f"{release} SMP mod_unload modversions ")
        self.put(f"/lib/modules/{release}/{folder}/{name}.ko", module)
        self.run(f"depmod {release}", check=True)

    def poses_as_ubuntu(self, version: str) -> None:
        """Say 22.04 or 24.04 wherever a program asks for the distribution; the packages stay Debian's."""
        codename, debian = UBUNTU[version]
        told = {"version": version, "codename": codename}
        self.put("/usr/lib/os-release", UBUNTU_RELEASE.format(**told))
        self.put("/etc/lsb-release", UBUNTU_LSB.format(**told))
        self.put("/etc/debian_version", f"{debian}\n")

    def apt_sources(
        self, name: str, uri: str, suite: str, components: str, key: bytes, *, only: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Have a signed source in a file NAME.sources, and update. key: the public key, armored or not.

        A flat archive has the suite `/` and no components. only: take the machine's other sources away.
        """
        if only:
            self.run("rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* /var/lib/apt/lists/*", check=True)
        keyring = f"{KEYRINGS}/{name}.{'asc' if key.startswith(b'-----') else 'gpg'}"
        self.put(keyring, key)
        stanza = f"Types: deb\nURIs: {uri}\nSuites: {suite}\n"
        stanza += f"Components: {components}\n" if components else ""
        self.put(f"/etc/apt/sources.list.d/{name}.sources", f"{stanza}Signed-By: {keyring}\n")
        return self.run("apt-get update -q", check=True)

    # What happened.

    def reboot(self) -> None:
        """Restart, and wait until it is back."""
        before = self.boots()
        self.run("systemctl reboot")
        hang_up(self.folder)
        end = time.monotonic() + 60
        while self.run(f"grep -c ^boot$ {LOG}").stdout.strip() in ("", str(before)):
            hang_up(self.folder)
            assert time.monotonic() < end, f"{self.instance} did not come back from its reboot"
            time.sleep(0.2)

    def log(self) -> list[str]:
        """What the stand-in did: boot, load VERSION, unload, call COMMAND."""
        return self.out(f"cat {LOG}").splitlines()

    def boots(self) -> int:
        """How often the machine has booted, the first time included."""
        return self.log().count("boot")

    def loads(self) -> int:
        """How often a driver was loaded, by whomever."""
        return sum(line.startswith("load ") for line in self.log())

    def sessions(self) -> int:
        """SSH sessions of Ansible's so far."""
        return self.out(f"cat {SSHD_LOG}").count("Starting session: command for admin")

    def loaded(self) -> str:
        """The first line of the driver's version file, empty if no driver is loaded."""
        return self.run("head -n1 /proc/driver/nvidia/version").stdout.strip()

    def look(self) -> dict[str, Any]:
        """What the role sees on the machine."""
        asked = {"components": [], "ours": "/etc/apt/sources.list.d/cuda.sources", "names": [], "files": []}
        script = f"{LOOK.read_text()}\nimport json\nprint(json.dumps(look(**{asked})))\n"
        return json.loads(self.run("python3 -", check=True, stdin=script.encode()).stdout)

    @contextlib.contextmanager
    def connected(self) -> Iterator[Machine]:
        """Leave no connection behind."""
        try:
            yield self
        finally:
            hang_up(self.folder)

    # Ansible.

    def play(self, tasks: list[dict[str, Any]], *arguments: str, **variables: Any) -> Run:
        """Run tasks on the machine; arguments are ansible-playbook's own."""
        play = {"hosts": "all", "become": True, "gather_subset": ["min"], "tasks": tasks}
        playbook = self.folder / "play.yml"
        playbook.write_text(json.dumps([play]))
        return self._ansible("ansible-playbook", str(playbook), "-e", json.dumps(variables), *arguments)

    def converge(self, *arguments: str, check: bool = False, tasks_from: str = "main", **variables: Any) -> Run:
        """Run the role on the machine with these variables."""
        role = {"ansible.builtin.include_role": {"name": "cuda", "tasks_from": tasks_from}}
        return self.play([role], *(["--check"] if check else []), *arguments, **variables)

    def facts(self) -> dict[str, Any]:
        """Ansible's minimal facts of the machine."""
        done = self._ansible("ansible", "all", "-m", "ansible.builtin.setup", "-a", "gather_subset=min", "-o")
        return json.loads(done.output.partition("=>")[2])["ansible_facts"]

    def _ansible(self, program: str, *arguments: str) -> Run:
        hosts = {"gpu": {"ansible_host": self.address}}
        return ansible(program, *arguments, hosts=hosts, key=self.key, folder=self.folder)
