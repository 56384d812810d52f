"""An ops team's project: an empty folder, Ansible without any configuration, and the collection out of its tarball."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs/examples"
# On machines that are there already; in this order each finds what it needs.
ROLES = ["outbound", "cuda", "miniconda", "gluon_env", "jupyter", "idle_stop"]


@dataclass
class Run:
    """A run of one of Ansible's programs, and what it printed."""

    rc: int
    output: str

    @property
    def changed(self) -> int:
        """Changed tasks, all plays together: each recap counts those of the plays before it, too."""
        return max((int(count) for count in re.findall(r"\bchanged=(\d+)", self.output)), default=-1)

    @property
    def complaints(self) -> list[str]:
        """Ansible's warnings and deprecations."""
        return re.findall(r"^\[(?:DEPRECATION )?WARNING\]: .*", self.output, re.M)


@dataclass
class Project:
    """The folder, which is the home of whoever works in it, too; and the folder with Ansible's programs."""

    folder: Path
    programs: Path = Path(sys.prefix) / "bin"

    @property
    def collections(self) -> Path:
        return self.folder / ".ansible/collections/ansible_collections"

    def run(self, program: str, *arguments: str, **settings: str) -> Run:
        """Run a program of Ansible's; settings are environment variables."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "AWS_"))}
        own = {"HOME": str(self.folder), "PWD": str(self.folder), "ANSIBLE_NOCOLOR": "1"}
        own["PATH"] = f"{self.programs}:{os.environ['PATH']}"
        if bundle := os.environ.get("AWS_CA_BUNDLE"):
            own["AWS_CA_BUNDLE"] = bundle
        done = subprocess.run(
            [str(self.programs / program), *arguments],
            cwd=self.folder,
            env=inherited | own | settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1200,
            check=False,
        )
        return Run(done.returncode, done.stdout)

    def succeeds(self, program: str, *arguments: str, **settings: str) -> Run:
        run = self.run(program, *arguments, **settings)
        assert run.rc == 0, f"{program} {' '.join(arguments)}\n{run.output}"
        return run

    def install(self, tarball: Path) -> None:
        """As docs/ops.md says. What Galaxy would bring with it comes from the package `ansible` of these tests."""
        self.collections.mkdir(parents=True, exist_ok=True)
        amazon = self.collections / "amazon"
        if not amazon.exists():
            amazon.symlink_to(next(Path(sys.prefix).glob("lib/python3*/site-packages/ansible_collections/amazon")))
        self.succeeds("ansible-galaxy", "collection", "install", "--offline", "--force", str(tarball))
        shutil.copytree(EXAMPLES, self.folder, dirs_exist_ok=True)

    def machine(self, name: str) -> None:
        """Have a machine by the example, in the local EC2 of tools/test, and an inventory with it."""
        ours = {"ec2_project": f"ops-{name}", "ec2_machines": [{"name": name}], "ec2_state_dir": f"{self.folder}/.ec2"}
        self.write("local.yml", local_ec2() | ours)
        self.succeeds("ansible-playbook", "ec2.yml", "-e", "@local.yml")
        self.write(
            "hosts.yml",
            {
                "notebooks": {
                    "hosts": {name: None},
                    "vars": {
                        "ansible_ssh_common_args": '-F "{{ inventory_dir }}/.ec2/ssh_config"',
                        "ansible_python_interpreter": "/usr/bin/python3",
                    },
                }
            },
        )
        self.write("stand-ins.yml", stand_ins())

    def terminate(self) -> None:
        """Be without the machine, if there is one."""
        if (self.folder / "local.yml").exists():
            role = {"name": "d2l.gluon_ec2.ec2", "tasks_from": "terminate"}
            tasks = [{"ansible.builtin.include_role": role, "vars": {"ec2_terminate_confirmed": True}}]
            self.write("end.yml", [{"hosts": "localhost", "gather_facts": False, "tasks": tasks}])
            self.succeeds("ansible-playbook", "end.yml", "-e", "@local.yml")

    def write(self, name: str, data: dict | list) -> None:
        (self.folder / name).write_text(yaml.safe_dump(data))

    def examples(self, *names: str, more: tuple[str, ...] = (), **settings: str) -> Run:
        """Run examples on the machine, one after the other."""
        files = [f"{name}.yml" for name in names]
        return self.run("ansible-playbook", "-i", "hosts.yml", *files, "-e", "@stand-ins.yml", *more, **settings)

    def on_machine(self, command: str) -> str:
        """What a command prints there, as root."""
        (name,) = yaml.safe_load((self.folder / "hosts.yml").read_text())["notebooks"]["hosts"]
        ssh = ["ssh", "-F", str(self.folder / ".ec2/ssh_config"), name, "sudo", "sh", "-s"]
        done = subprocess.run(ssh, input=command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()


def local_ec2() -> dict[str, object]:
    """What the role ec2 is told about the local EC2."""
    return {
        "ec2_endpoint_url": os.environ["LOCAL_EC2_ENDPOINT"],
        "ec2_access_key": "AKIALOCALEC2",
        "ec2_secret_key": "the-local-ec2-takes-any",
        "ec2_ami": "debian12",
        "ec2_instance_types": ["c5.xlarge"],
        "ec2_ssh_from": "127.0.0.1/32",
    }


def stand_ins() -> dict[str, object]:
    """Where machines download from; empty where the real upstreams answer."""
    file = Path(os.environ["LOCAL_EC2_INVENTORY"], "upstream.yml")
    told = yaml.safe_load(file.read_text())["all"]["vars"] if file.exists() else {}
    of_the_role = {"tutorial_url": "gluon_env_repository", "tutorial_version": "gluon_env_version"}
    # A local machine sees the devices of the computer it runs on, but may not use them.
    return {of_the_role.get(name, name): value for name, value in told.items()} | {"cuda_gpu": "none"}


def built(source: Path, folder: Path) -> Path:
    """The tarball of the collection whose checkout this is."""
    program = str(Path(sys.prefix) / "bin/ansible-galaxy")
    command = [program, "collection", "build", "--output-path", str(folder), str(source)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (tarball,) = folder.glob("*.tar.gz")
    return tarball
