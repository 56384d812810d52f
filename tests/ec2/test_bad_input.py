"""Bad input, as a user would give it, is refused by provision.yml.

With exit status 2, a message that says what to do, and no call that changes anything. What is no matter of launching
(environment files, driver tables) is tested with its role.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Cloud

CANARY = "canary"


def named(*names: str) -> dict[str, Any]:
    return {"machines": [{"name": name} for name in names]}


def of_types(**types: str) -> dict[str, Any]:
    """Machines with a type of their own."""
    return {"machines": [{"name": "any"}, *({"name": name, "instance_type": one} for name, one in types.items())]}


Case = tuple[dict[str, Any], list[str]]
# What is given, and what the message must say: the value (as far as it can be shown), what is allowed, what to change.
CASES: dict[str, Case] = {
    "region misspelt": ({"region": "us-esat-1"}, ['"us-esat-1"', "Did you mean us-east-1", "Set region"]),
    "region empty": ({"region": ""}, ["region"]),
    "mirror misspelt": ({"mirror": "china"}, ["Value of mirror must be one of: global, cn, got: china"]),
    "no way out": (
        {"proxy": "proxy.example.org", "ca_bundle": "/nowhere.pem"},
        ["http://[USER:PASSWORD@]HOST:PORT", "ca_bundle=/nowhere.pem is no file on this computer"],
    ),
    "types that will not do": (
        {"gpu_required": True, "instance_types": ["c4.xlarge"], "ami": "ubuntu2205"}
        | of_types(
            misspelt="g4dn.xlrage", retired="p2.xlarge", amd="g4ad.xlarge", part="g6f.xlarge", new="p5.48xlarge"
        ),
        [
            *("c4.xlarge has no GPU", "gpu_required", "g4dn.xlarge"),
            *('"g4dn.xlrage"', "Did you mean g4dn.xlarge", "instance_types"),
            *("p2.xlarge will not do", "retired", "use g4dn.xlarge"),
            *("g4ad.xlarge will not do", "AMD"),
            *("g6f.xlarge will not do", "fraction of a GPU"),
            *("p5.48xlarge", "H100", "9.0", "8.6", "use g4dn"),
            *('"ubuntu2205"', "Did you mean ubuntu2204", "dlami2404"),
        ],
    ),
    "type not offered in the zone, image that is not there": (
        {"instance_types": ["p4d.24xlarge"], "ec2_zones": ["us-east-1e"], "ami": "ami-00000000000000000"},
        [
            *("not offered in us-east-1e", "but in us-east-1", "ec2_zones"),
            *('"ami-00000000000000000"', "Set ami"),
        ],
    ),
    "processor that the image is not for, disk smaller than the image's": (
        {"instance_types": ["t4g.large"], "ami": "dlami2204", "disk_gb": 40},
        ["t4g.large runs arm64", "x86_64", "ami", "40 GB is smaller", "75 GB", "disk_gb"],
    ),
    "a price that nothing has": ({"max_price_per_hour": 0.001}, ["c5.xlarge costs", "0.001", "max_price_per_hour"]),
    "wrong types": (
        {"disk_gb": "forty", "machines": -3, "spot": "perhaps"},
        ["Argument 'disk_gb'", "forty", "'ec2_machines'", "-3", "'spot'", "perhaps"],
    ),
    "a misspelt variable": ({"ec2_instnace_types": ["x"]}, ["ec2_instnace_types is no variable", "ec2_instance_types"]),
    "what a role would refuse on the machine, much later": (
        {
            **{"jupyter_port": 80, "jupyter_prot": 1, "miniconda_prefix": "opt", "gluon_env_version": "-x"},
            **{"toolkits": [{"version": "99.9"}], "idle_stop_minutes": 5, "idle_stop_warn_minutes": 9},
        },
        [
            *("jupyter_port=80 is outside 1024 to 65535", "jupyter_prot is no variable", "Did you mean jupyter_port?"),
            *("miniconda_prefix=opt is not an absolute path", "gluon_env_version=-x is no commit"),
            *("CUDA 99.9 is in no table", "11.8", "idle_stop_warn_minutes=9 leaves nothing"),
        ],
    ),
    "what a role would refuse for its type": (
        {"cuda_reboot": "perhaps", "jupyter_variables": "hush", "toolkits": 11.8, "jupyter_port": None},
        ["cuda_reboot", "perhaps", "jupyter_variables", "cuda_toolkits cannot be told", "jupyter_port"],
    ),
    "an edition that is not there": ({"edition": "d2l-zh-v9"}, ["d2l-zh-v9", "d2l-zh-v1", "edition"]),
    "a port for roots": ({"notebook_port": 80}, ["notebook_port=80", "1024 to 65535"]),
    "port zero": ({"notebook_port": 0}, ["notebook_port=0", "65535"]),
    "a port beyond all": ({"notebook_port": 65536}, ["65536", "65535"]),
    "a port with more to it": ({"notebook_port": "8888; x"}, ["8888; x", "65535"]),
}
# What shows without asking AWS, and is said all at once.
AT_ONCE: list[Case] = [
    (
        named(f"$(touch {CANARY})", "a; rm -rf /", f"`touch {CANARY}`", "a\nHost *", "-oProxyCommand=x"),
        [
            f'"{name}" cannot be a machine\'s name: letters'
            for name in (f"$(touch {CANARY})", "a; rm -rf /", f"`touch {CANARY}`", r"a\nHost *", "-oProxyCommand=x")
        ],
    ),
    (
        named("n" * 256, "🚀", "\u202egpj", "a", "b", "a"),
        ["nnn...", "63 at most", '"🚀" cannot be', r'"\u202egpj" cannot be', 'Two machines are called "a"'],
    ),
    ({"machines": []}, ["No machine is named", "[{name: reader}]"]),
    (named(*(f"m{number}" for number in range(1000))), ["1000 machines", "200"]),
    ({"ssh_from": "0.0.0.0/0"}, ['"0.0.0.0/0" would open port 22', "ec2_ssh_from_anywhere"]),
    ({"ssh_from": "128.0.0.0/1"}, ['"128.0.0.0/1"', "most of the internet"]),
    ({"ssh_from": "::/0"}, ['"::/0" would open port 22', "ec2_ssh_from_anywhere"]),
    ({"ssh_from": "203.0.113.7/33"}, ['"203.0.113.7/33" is no CIDR', "203.0.113.7/32"]),
    ({"ssh_from": "203.0.113.7/24"}, ["write 203.0.113.0/24", "203.0.113.7/32"]),
    ({"ec2_key_file": "~/none of/钥匙"}, ["There is no SSH key", "钥匙", "ec2_key_file"]),
    ({"ec2_key_file": "{keys}/open key"}, ["mode 0644", "chmod 600", "open key"]),
    ({"ec2_key_file": "{keys}/locked"}, ["passphrase", "ssh-add"]),
    ({"ec2_key_file": "{keys}/poem"}, ["is no private SSH key", "ec2_key_file"]),
    ({"disk_gb": 8}, ["A disk of 8 GB will not do", "20 GB", "disk_gb"]),
    ({"disk_gb": 99999}, ["99999", "65536 at the most", "disk_gb"]),
    ({"instance_types": []}, ["No instance type is named", "instance_types"]),
    ({"instance_types": ["big one"]}, ['"big one" is no instance type', "looks like g4dn.xlarge"]),
    (
        {"ec2_tags": {"aws:x": "y", "Project": "y", "Team": "x" * 257}},
        ['"aws:x" cannot be a tag', "The tag Project", "choose another", '"Team"', "256", "ec2_tags"],
    ),
    ({"ec2_zones": ["eu-west-1a"]}, ['"eu-west-1a" is no zone of us-east-1', "ec2_zones"]),
    ({"project": "a b; c"}, ['"a b; c"', "project"]),
    ({"max_price_per_hour": -1}, ["-1 USD", "max_price_per_hour"]),
]


def runs() -> list[Any]:
    """All cases, in as few runs as their variables allow."""
    together: list[Case] = []
    for given, words in AT_ONCE:
        run = next((run for run in together if not run[0].keys() & given.keys()), None)
        if run is None:
            together.append(run := ({}, []))
        run[0].update(given)
        run[1].extend(words)
    named_by_their_variables = [pytest.param(*run, id=" ".join(run[0])) for run in together]
    return [*named_by_their_variables, *(pytest.param(*case, id=name) for name, case in CASES.items())]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name, phrase, mode in (("open key", "", 0o644), ("locked", "open sesame", 0o600)):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", phrase, "-f", str(folder / name)], check=True)
        (folder / name).chmod(mode)
    (folder / "poem").write_text("Roses are red\n")
    (folder / "poem").chmod(0o600)
    return folder


@pytest.mark.parametrize(("asked", "words"), runs())
def test_it_is_refused_in_words_before_anything_is_done(
    cloud: Cloud, keys: Path, asked: dict[str, Any], words: list[str]
) -> None:
    given = {
        key: value.replace("{keys}", str(keys)) if isinstance(value, str) else value for key, value in asked.items()
    }
    done = cloud.playbook("provision", **given)
    message = " ".join((done.stdout + done.stderr).split())
    # Of a region that is none not even the inventory can be read, which Ansible calls 1.
    assert done.returncode == (1 if "region" in asked else 2), message
    assert [one for one in words if one not in message] == [], message
    assert "Traceback" not in message
    assert cloud.writes() == []
    assert not (ROOT / CANARY).exists(), "what was given was run"
