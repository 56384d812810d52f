"""The image that machines of these tests boot from: what the tests need is in it, and the GPU's stand-in."""

from __future__ import annotations

import base64
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from bench_machine import LOG, NAMES, PROGRAM, SSHD_LOG, STANDIN, Machine
from local_cloud import Cloud, eventually

from local_ec2.upstream.debs import Package, deb

UNIT = "gpu-standin.service"
# What a machine of EC2's has, and a container needs none of: packages that follow the kernel, which is the host's.
FLAVOUR = "cloud-amd64"
KERNEL = [Package(f"linux-{kind}-{FLAVOUR}", "99", description="kernel of the host") for kind in ("image", "headers")]
SCRIPT = """\
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -q -y --no-install-recommends kmod /tmp/linux-*.deb
rm /tmp/linux-*.deb

install -d /etc/gpu-standin {program_folder}
for name in {names}; do ln -s {program} /usr/local/sbin/$name; done
systemctl enable {unit}

# A kernel without a folder for its modules is none that a machine could have booted.
modules=/lib/modules/$(uname -r)
mkdir -p /boot $modules
touch /boot/vmlinuz-$(uname -r) $modules/modules.order $modules/modules.builtin $modules/modules.builtin.modinfo
depmod

# sshd's journal ends with a boot.
echo 'SSHD_OPTS="-E {sshd_log}"' >/etc/default/ssh
echo LogLevel VERBOSE >/etc/ssh/sshd_config.d/bench.conf

install -d -m 700 /root/.ssh
install -m 600 /home/admin/.ssh/authorized_keys /root/.ssh/
echo 'Acquire::http::Proxy::{gateway} "DIRECT";' >/etc/apt/apt.conf.d/99bench
sync
"""


@dataclass
class Bench:
    """The local EC2 with an image whose machines are ready for a test.

    The next machine boots while a test has this one.
    """

    cloud: Cloud
    image: str
    spare: list[str] = field(default_factory=list)

    def take(self, folder: Path) -> Machine:
        """A machine that nobody has used."""
        instance = self.spare.pop() if self.spare else self.launch()[0]
        machine = Machine(instance, self.cloud.up(instance), self.cloud.key, folder)
        self.spare += self.launch()
        return machine

    def launch(self, count: int = 1) -> list[str]:
        return self.cloud.launch(ImageId=self.image, MinCount=count, MaxCount=count)

    def give_back(self, machine: Machine) -> None:
        self.cloud.client("ec2").terminate_instances(InstanceIds=[machine.instance])


def baked(cloud: Cloud, gateway: str) -> str:
    """Bake the image; its id."""
    (instance,) = cloud.launch()
    cloud.up(instance)
    furnish(cloud, instance, gateway)
    client = cloud.client("ec2")
    image = client.create_image(InstanceId=instance, Name="a machine that shows a GPU")["ImageId"]
    eventually(lambda: client.describe_images(ImageIds=[image])["Images"][0]["State"] == "available")
    client.terminate_instances(InstanceIds=[instance])
    return image


def furnish(cloud: Cloud, instance: str, gateway: str) -> None:
    """Put all of it into a machine that is up."""
    put(cloud, instance, STANDIN / "gpu_standin.py", PROGRAM, "0755")
    put(cloud, instance, STANDIN / UNIT, f"/etc/systemd/system/{UNIT}", "0644")
    for package in KERNEL:
        put_bytes(cloud, instance, deb(package), f"/tmp/{package.name}.deb", "0644")
    script = SCRIPT.format(
        names=" ".join(NAMES),
        program=PROGRAM,
        program_folder=Path(PROGRAM).parent,
        unit=UNIT,
        sshd_log=SSHD_LOG,
        gateway=gateway,
    )
    as_root(cloud, instance, script)
    # The unit has not run here, so that the first boot of each machine is the first one in its log.
    as_root(cloud, instance, f"test ! -e {LOG}")


def put(cloud: Cloud, instance: str, file: Path, path: str, mode: str) -> None:
    put_bytes(cloud, instance, file.read_bytes(), path, mode)


def put_bytes(cloud: Cloud, instance: str, data: bytes, path: str, mode: str) -> None:
    content = base64.b64encode(data).decode()
    as_root(cloud, instance, f"echo {content} | base64 -d | install -D -m {mode} /dev/stdin {path}")


def as_root(cloud: Cloud, instance: str, script: str) -> None:
    done = cloud.ssh(instance, f"sudo sh -c {shlex.quote(script)}")
    assert done.returncode == 0, done.stdout + done.stderr
