# MIT licence
"""What is wrong with what was asked for, as far as it shows without asking AWS.

A refusal is a sentence: the value, why it will not do, what is allowed, and the variable to change (the playbooks' own
name, then the ec2 role's).
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import stat
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MOST_MACHINES = 200
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
TYPE = re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9-]+")
IMAGE_NAME = re.compile(r"[A-Za-z0-9()\[\] ./'@_-]{3,128}")
PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
# What EC2 takes of gp3.
SIZE, IOPS, THROUGHPUT = (1, 65536), (3000, 80000), (125, 2000)
OWN_TAGS = ("Name", "Names", "Project", "Owner", "ManagedBy", "LoginUser", "Kind", "Machine")
# A network wider than these is most of the internet.
WIDEST = {4: 8, 6: 16}
SHARED = ipaddress.ip_network("100.64.0.0/10")


def shown(value: object) -> str:
    """A value as a message can carry it: on one line, not too long, its odd characters visible."""
    text = value if isinstance(value, str) else repr(value)
    text = text.encode("unicode_escape").decode() if not text.isprintable() else text
    return f'"{text if len(text) <= 70 else text[:67] + "..."}"'


def nearest(word: str, known: list[str], most: int = 3) -> str:
    """` Did you mean ...?`, or nothing when nothing is near."""
    near = difflib.get_close_matches(word, known, most, 0.6)
    # Letters that changed their places are the likeliest slip.
    near.sort(key=lambda name: sorted(name) != sorted(word))
    return f" Did you mean {' or '.join(near)}?" if near else ""


def refusals(asked: dict[str, Any], regions: list[str]) -> list[str]:
    """All that is wrong with the options of ec2_preflight; regions: those that AWS has."""
    checks = (
        _region(asked, regions),
        _names(asked),
        _tags(asked),
        _types(asked),
        _disk(asked),
        _network(asked),
        _rest(asked),
    )
    return [refusal for check in checks for refusal in check]


def _region(asked: dict[str, Any], regions: list[str]) -> Iterator[str]:
    region = asked["region"] or ""
    if region not in regions:
        yield (
            f"{shown(region)} is no region of AWS that boto3 on this computer knows.{nearest(region, regions)} "
            "Set region (ec2_region) to one that `aws account list-regions` shows; a newer boto3 knows newer ones."
        )
    for zone in asked["zones"]:
        if not re.fullmatch(re.escape(region) + r"(-[a-z]+-\d)?[a-z]", zone):
            yield (
                f"{shown(zone)} is no zone of {region}: name zones like {region}a in ec2_zones, or leave it empty "
                "for all zones "
                "that offer the type."
            )


def _names(asked: dict[str, Any]) -> Iterator[str]:
    names = [machine["name"] for machine in asked["machines"]]
    if not names:
        yield "No machine is named: list at least one in machines (ec2_machines), like [{name: reader}]."
    if len(names) > MOST_MACHINES:
        yield (
            f"{len(names)} machines are more than one run may launch ({MOST_MACHINES}): shorten machines "
            "(ec2_machines), and "
            "run it once for each part."
        )
    for name in [name for name in names if not NAME.fullmatch(name)][:5]:
        yield (
            f"{shown(name)} cannot be a machine's name: letters, digits, dashes and underscores are allowed, 63 at "
            "most, a letter "
            "or digit first. Change it in machines (ec2_machines)."
        )
    for name in [name for name, count in Counter(names).items() if count > 1][:5]:
        yield f"Two machines are called {shown(name)}: give each a name of its own in machines (ec2_machines)."
    if not PROJECT.fullmatch(asked["project"]):
        yield (
            f"{shown(asked['project'])} cannot be the project's name: letters, digits, dots, dashes and "
            "underscores are allowed, "
            "63 at most, a letter or digit first. Change project (ec2_project)."
        )


def _tags(asked: dict[str, Any]) -> Iterator[str]:
    sets = [asked["tags"], *(machine.get("tags") or {} for machine in asked["machines"])]
    for key, value in {(str(key), str(value)) for tags in sets for key, value in (tags or {}).items()}:
        if key.lower().startswith("aws:") or not 1 <= len(key) <= 128 or not key.isprintable():
            yield (
                f"{shown(key)} cannot be a tag: 1 to 128 printable characters, not beginning with aws:. Change "
                "ec2_tags."
            )
        elif key in OWN_TAGS:
            yield (
                f"The tag {key} is one that this role sets itself, as it does {', '.join(OWN_TAGS)}: choose "
                "another in ec2_tags."
            )
        if len(value) > 256 or not value.isprintable():
            yield (
                f"The tag {shown(key)} cannot be {shown(value)}: up to 256 printable characters are allowed. "
                "Change ec2_tags."
            )
    if any(len(tags or {}) > 40 for tags in sets):
        yield "More than 40 tags are asked for, and EC2 keeps 50 with the role's own: shorten ec2_tags."
    if not 1 <= len(asked["owner"]) <= 256 or not asked["owner"].isprintable():
        yield f"{shown(asked['owner'])} cannot be the Owner tag: 1 to 256 printable characters. Change ec2_owner."


def _types(asked: dict[str, Any]) -> Iterator[str]:
    own = [machine["instance_type"] for machine in asked["machines"] if machine.get("instance_type")]
    if not asked["instance_types"]:
        yield "No instance type is named: list at least one in instance_types (ec2_instance_types), like [g4dn.xlarge]."
    for name in [name for name in dict.fromkeys([*asked["instance_types"], *own]) if not TYPE.fullmatch(name)][:5]:
        yield (
            f"{shown(name)} is no instance type: one looks like g4dn.xlarge, a family, a dot, a size. Change "
            "instance_types "
            "(ec2_instance_types)."
        )
    ami = asked["ami"]
    if not IMAGE_NAME.fullmatch(ami):
        yield (
            f"{shown(ami)} can be no image: set ami (ec2_ami) to a system like ubuntu2204, the id of an image "
            "(ami-...), or the "
            "name of one that bake.yml made."
        )


def _disk(asked: dict[str, Any]) -> Iterator[str]:
    size, needed = asked["volume_size"], asked["required_gb"]
    if not needed <= size <= SIZE[1]:
        yield (
            f"A disk of {size} GB will not do: what is installed on it wants {needed} GB at the least (40 is "
            "comfortable), and "
            f"EC2 gives {SIZE[1]} at the most. Change disk_gb (ec2_volume_size)."
        )
    for name, (least, most) in (("volume_iops", IOPS), ("volume_throughput", THROUGHPUT)):
        if not least <= asked[name] <= most:
            yield f"{asked[name]} is outside what a gp3 disk can have, {least} to {most}: change ec2_{name}."
    if asked["volume_throughput"] * 4 > asked["volume_iops"]:
        yield (
            f"A throughput of {asked['volume_throughput']} MiB/s wants {asked['volume_throughput'] * 4} IOPS, and "
            "there are "
            f"{asked['volume_iops']}: raise ec2_volume_iops or lower ec2_volume_throughput."
        )
    data = asked["data_volume_size"]
    if not 0 <= data <= SIZE[1]:
        yield (
            f"A data disk of {data} GB cannot be: 1 to {SIZE[1]}, or 0 for none. Change data_disk_gb "
            "(ec2_data_volume_size)."
        )
    if asked["max_price"] < 0:
        yield (
            f"A limit of {asked['max_price']:g} USD per hour cannot be: set max_price_per_hour "
            "(ec2_max_price_per_hour) to what "
            "a machine may cost, or to 0 for no limit."
        )


def _network(asked: dict[str, Any]) -> Iterator[str]:
    if asked["ssh_from"]:
        yield from _cidr(asked["ssh_from"], asked["ssh_from_anywhere"])
    for option, prefix in (("subnet_ids", "subnet"), ("security_group_ids", "sg")):
        for name in asked[option]:
            if not re.fullmatch(rf"{prefix}-[0-9a-f]+", name):
                yield (
                    f"{shown(name)} is no id of that kind, which looks like {prefix}-0123456789abcdef0: change "
                    f"ec2_{option}."
                )
    if asked["vpc_id"] and not re.fullmatch(r"vpc-[0-9a-f]+", asked["vpc_id"]):
        yield f"{shown(asked['vpc_id'])} is no VPC's id, which looks like vpc-0123456789abcdef0: change ec2_vpc_id."
    for option in ("ssh_proxy_jump", "ssh_proxy_command"):
        if re.search(r"[\n\r\0\"]", asked[option]):
            yield (
                f"{shown(asked[option])} would break the line of ssh_config it stands on: no quotes or line ends "
                f"in ec2_{option}."
            )
    if asked["ssh_proxy_jump"].startswith("-"):
        yield (
            f"{shown(asked['ssh_proxy_jump'])} would be an option of ssh rather than a host: change ec2_ssh_proxy_jump."
        )
    if asked["ssh_proxy_jump"] and asked["ssh_proxy_command"]:
        yield "There are two ways in, ec2_ssh_proxy_jump and ec2_ssh_proxy_command: keep one of them."


def _cidr(text: str, anywhere: bool) -> Iterator[str]:
    change = (
        "Set ssh_from (ec2_ssh_from) to a CIDR like 203.0.113.7/32, or leave it empty for the address this run comes "
        "from."
    )
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        yield f"{shown(text)} is no CIDR that port 22 may be opened to. {change}"
        return
    if "/" not in text:
        yield f"{shown(text)} names no range: write {network}. {change}"
    elif str(network) != str(ipaddress.ip_interface(text)):
        host = ipaddress.ip_interface(text).ip
        yield (
            f"{shown(text)} is an address within a range: write {network} for all of it, or "
            f"{host}/{host.max_prefixlen}. {change}"
        )
    elif network.prefixlen < WIDEST[network.version] and not anywhere:
        yield (
            f"{shown(text)} would open port 22 to most of the internet, which is refused. {change} If you mean it, say "
            "ec2_ssh_from_anywhere: true."
        )


def caller_refusal(answer: str, url: str) -> str:
    """Why the address that `url` answered cannot be let in; nothing when it can."""
    way_out = "Set ssh_from (ec2_ssh_from) to the CIDR you come from."
    try:
        address = ipaddress.ip_address(answer)
    except ValueError:
        return f"{url} did not answer with an address but with {shown(answer)}. {way_out}"
    if address in SHARED:
        return (
            f"{url} sees this run come from {address}, an address that your provider shares among its customers "
            "(CGNAT) and "
            f"EC2 never sees. {way_out}"
        )
    return ""


def _rest(asked: dict[str, Any]) -> Iterator[str]:
    if not 10 <= asked["timeout"] <= 7200:
        yield f"A time of {asked['timeout']} s cannot be waited: 10 to 7200. Change ec2_timeout."
    if asked["key_file"]:
        yield from _key_file(asked["key_file"])
    if asked["key_name"] and not asked["key_file"]:
        yield (
            f"The key pair {shown(asked['key_name'])} opens a machine only with its private half: name that file "
            "in ec2_key_file "
            "as well."
        )


def _key_file(text: str) -> Iterator[str]:
    path = Path(text).expanduser()
    change = "Change ec2_key_file, or leave it empty for a key of the project's own."
    if not path.is_file():
        yield f"There is no SSH key {shown(str(path))}. {change}"
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        yield (
            f"The SSH key {shown(str(path))} has mode {mode:04o}, and ssh takes none that others may read: "
            f"run chmod 600 '{path}'."
        )
        return
    command = ["ssh-keygen", "-y", "-P", "", "-f", str(path)]
    read = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if read.returncode == 0:
        return
    if "passphrase" not in read.stderr:
        yield f"{shown(str(path))} is no private SSH key ({read.stderr.strip().splitlines()[-1]}). {change}"
    elif not in_agent(path):
        yield (
            f"The SSH key {shown(str(path))} has a passphrase that nobody is there to type: hand it to your agent "
            "first "
            f"(ssh-add '{path}'). {change}"
        )


def in_agent(path: Path) -> bool:
    """Whether the SSH agent has this key; its public half lies beside it."""
    public = path.with_name(path.name + ".pub")
    if not public.is_file() or not os.environ.get("SSH_AUTH_SOCK"):
        return False
    listed = subprocess.run(["ssh-add", "-L"], capture_output=True, text=True, check=False, timeout=10)
    return public.read_text().split()[1] in listed.stdout
