"""Bad input, as a user would give it, is refused by provision.yml.

With exit status 2, a message that says what to do, and no call that changes anything. What is no matter of launching
(environment files, driver tables) is tested with its role.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Cloud

CANARY = "canary"


def named(*names: str) -> dict[str, Any]:
    return {"machines": [{"name": name} for name in names]}


# What is given, and what the message must say: the value (as far as it can be shown), what is allowed, what to change.
CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "region misspelt": ({"region": "us-esat-1"}, ['"us-esat-1"', "Did you mean us-east-1", "Set region"]),
    "region empty": ({"region": ""}, ["region"]),
    "no GPU where one is wanted": (
        {"gpu_required": True, "instance_types": ["c4.xlarge"]},
        ["c4.xlarge has no GPU", "gpu_required", "g4dn.xlarge"],
    ),
    "type misspelt": (
        {"instance_types": ["g4dn.xlrage"]},
        ['"g4dn.xlrage"', "Did you mean g4dn.xlarge", "instance_types"],
    ),
    "type that is no type": (
        {"instance_types": ["big one"]},
        ['"big one" is no instance type', "looks like g4dn.xlarge"],
    ),
    "no type": ({"instance_types": []}, ["No instance type is named", "instance_types"]),
    "type retired": ({"instance_types": ["p2.xlarge"]}, ["p2.xlarge will not do", "retired", "use g4dn.xlarge"]),
    "type of AMD": ({"instance_types": ["g4ad.xlarge"]}, ["AMD", "use g4dn.xlarge"]),
    "type with a fraction of a GPU": ({"instance_types": ["g6f.xlarge"]}, ["fraction of a GPU", "use g4dn.xlarge"]),
    "GPU that the edition has no code for": ({"instance_types": ["p5.48xlarge"]}, ["H100", "9.0", "8.6", "use g4dn"]),
    "type not offered in the zone": (
        {"instance_types": ["p4d.24xlarge"], "ec2_zones": ["us-east-1e"]},
        ["not offered in us-east-1e", "but in us-east-1", "ec2_zones"],
    ),
    "zone of another region": ({"ec2_zones": ["eu-west-1a"]}, ['"eu-west-1a" is no zone of us-east-1', "ec2_zones"]),
    "processor that the image is not for": (
        {"instance_types": ["t4g.large"]},
        ["t4g.large runs arm64", "x86_64", "ami"],
    ),
    "disk smaller than the image's": ({"ami": "dlami2204", "disk_gb": 40}, ["40 GB is smaller", "75 GB", "disk_gb"]),
    "disk smaller than what is installed": ({"disk_gb": 8}, ["A disk of 8 GB will not do", "20 GB", "disk_gb"]),
    "disk larger than there are": ({"disk_gb": 99999}, ["99999", "65536 at the most", "disk_gb"]),
    "disk that is no number": ({"disk_gb": "forty"}, ["forty", "ec2_volume_size"]),
    "system misspelt": ({"ami": "ubuntu2205"}, ['"ubuntu2205"', "Did you mean ubuntu2204", "dlami2404"]),
    "image that is not there": ({"ami": "ami-00000000000000000"}, ['"ami-00000000000000000"', "Set ami"]),
    "shell in a name": (named(f"$(touch {CANARY})"), [f"$(touch {CANARY})", "cannot be a machine's name", "letters"]),
    "a second command in a name": (named("a; rm -rf /"), ["a; rm -rf /", "cannot be a machine's name"]),
    "backticks in a name": (named(f"`touch {CANARY}`"), [f"`touch {CANARY}`", "cannot be a machine's name"]),
    "two lines in a name": (named("a\nHost *"), [r"a\nHost *", "cannot be a machine's name"]),
    "an option as a name": (named("-oProxyCommand=x"), ["-oProxyCommand=x", "cannot be a machine's name"]),
    "a name too long": (named("n" * 256), ["nnn...", "63 at most"]),
    "emoji in a name": (named("🚀"), [r"🚀", "cannot be a machine's name"]),
    "a name from right to left": (named("\u202egpj"), [r"\u202egpj", "cannot be a machine's name"]),
    "two machines of a name": (named("a", "b", "a"), ['Two machines are called "a"', "machines"]),
    "a reserved tag": ({"ec2_tags": {"aws:x": "y"}}, ['"aws:x" cannot be a tag', "ec2_tags"]),
    "a tag of the role's own": ({"ec2_tags": {"Project": "y"}}, ["The tag Project", "choose another", "ec2_tags"]),
    "a tag too long": ({"ec2_tags": {"Team": "x" * 257}}, ['"Team"', "256", "ec2_tags"]),
    "a key that is not there": ({"ec2_key_file": "~/none of/钥匙"}, ["There is no SSH key", "钥匙", "ec2_key_file"]),
    "a key that others may read": ({"ec2_key_file": "{keys}/open key"}, ["mode 0644", "chmod 600", "open key"]),
    "a key with a passphrase": ({"ec2_key_file": "{keys}/locked"}, ["passphrase", "ssh-add"]),
    "a key that is none": ({"ec2_key_file": "{keys}/poem"}, ["is no private SSH key", "ec2_key_file"]),
    "no machine": ({"machines": []}, ["No machine is named", "[{name: reader}]"]),
    "a negative number of machines": ({"machines": -3}, ["-3", "machines"]),
    "more machines than sane": (named(*(f"m{number}" for number in range(1000))), ["1000 machines", "200"]),
    "the whole internet": ({"ssh_from": "0.0.0.0/0"}, ['"0.0.0.0/0" would open port 22', "ec2_ssh_from_anywhere"]),
    "the whole internet in halves": ({"ssh_from": "128.0.0.0/1"}, ['"128.0.0.0/1"', "most of the internet"]),
    "the whole of IPv6": ({"ssh_from": "::/0"}, ['"::/0" would open port 22', "ec2_ssh_from_anywhere"]),
    "a CIDR that is none": ({"ssh_from": "203.0.113.7/33"}, ['"203.0.113.7/33" is no CIDR', "203.0.113.7/32"]),
    "a host in a network": ({"ssh_from": "203.0.113.7/24"}, ["write 203.0.113.0/24", "203.0.113.7/32"]),
    "a project's name": ({"project": "a b; c"}, ['"a b; c"', "project"]),
    "a price below nothing": ({"max_price_per_hour": -1}, ["-1 USD", "max_price_per_hour"]),
    "a price that nothing has": ({"max_price_per_hour": 0.001}, ["c5.xlarge costs", "0.001", "max_price_per_hour"]),
    "a misspelt variable": ({"ec2_instnace_types": ["x"]}, ["ec2_instnace_types is no variable", "ec2_instance_types"]),
    "a wrong type": ({"spot": "perhaps"}, ["perhaps", "ec2_spot"]),
    "an edition that is not there": ({"edition": "d2l-zh-v9"}, ["d2l-zh-v9", "d2l-zh-v1", "edition"]),
    "a port for roots": ({"notebook_port": 80}, ["notebook_port=80", "1024 to 65535"]),
    "port zero": ({"notebook_port": 0}, ["notebook_port=0", "65535"]),
    "a port beyond all": ({"notebook_port": 65536}, ["65536", "65535"]),
    "a port with more to it": ({"notebook_port": "8888; x"}, ["8888; x", "65535"]),
}


@dataclass
class Refusal:
    status: int
    message: str


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name, phrase, mode in (("open key", "", 0o644), ("locked", "open sesame", 0o600)):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", phrase, "-f", str(folder / name)], check=True)
        (folder / name).chmod(mode)
    (folder / "poem").write_text("Roses are red\n")
    (folder / "poem").chmod(0o600)
    return folder


@pytest.fixture(scope="module")
def refusals(endpoint: str, keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Refusal]]:
    """All cases, two at a time; and in `writes` what was called that changes something."""
    from local_ec2.control import Control

    control = Control(endpoint)
    control.clear()
    folder = tmp_path_factory.mktemp("bad")
    cloud = Cloud(endpoint, "badinput", folder, control)
    cloud.inventory()
    control.forget_requests()

    def run(case: str) -> Refusal:
        given = {
            key: value.replace("{keys}", str(keys)) if isinstance(value, str) else value
            for key, value in CASES[case][0].items()
        }
        done = cloud.playbook("provision", **given)
        text = done.stdout + done.stderr
        message = " ".join(text.split())
        return Refusal(done.returncode, message)

    with ThreadPoolExecutor(max(2, os.cpu_count() or 2)) as pool:
        results = dict(zip(CASES, pool.map(run, CASES), strict=True))
    results["writes"] = cloud.writes()  # type: ignore[assignment]
    yield results


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_in_words(refusals: dict[str, Refusal], case: str) -> None:
    refusal = refusals[case]
    # Of a region that is none not even the inventory can be read, which Ansible calls 1.
    assert refusal.status == (1 if case.startswith("region") else 2), refusal.message
    missing = [words for words in CASES[case][1] if words not in refusal.message]
    assert not missing, refusal.message
    assert "Traceback" not in refusal.message


def test_nothing_was_changed(refusals: dict[str, Any]) -> None:
    assert refusals["writes"] == []


def test_nothing_that_was_given_was_run(refusals: dict[str, Refusal]) -> None:
    assert not (ROOT / CANARY).exists()
