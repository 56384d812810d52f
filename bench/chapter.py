"""Against the chapter's commands, typed by a script on an identical machine: all of them, and its environment alone.

The chapter's environment file gets the edition's pins, without which it cannot be built any more, and its packages the
names that Debian 12 has. No machine has a GPU.
"""

from __future__ import annotations

import json
from typing import Any

import yaml

from bench.local import ANSIBLE, INVENTORY, ROOT, Figure, by_hand, new_machines, playbook, role, settle, timed

EDITION = yaml.safe_load((ROOT / "playbooks/editions/d2l-zh-v1.yml").read_text())
OF_MINICONDA = ROOT / "roles/miniconda/vars/main"
MIRRORS = yaml.safe_load((OF_MINICONDA / "mirrors.yml").read_text())["__miniconda_mirrors"]
MINICONDA = yaml.safe_load((OF_MINICONDA / "distributions.yml").read_text())["__miniconda_distributions"]["miniconda"]
CONDA = "/opt/miniconda3/bin/conda"
ENVIRONMENT = "/opt/miniconda3/envs/gluon"
# A mirror may keep what was fetched first; the second time both sides find it there.
TIMES = 2
INSTALL = "apt-get install -qq -y --no-install-recommends"


def told() -> dict[str, Any]:
    """The inventory's variables, with where the stand-ins are; without these, the real addresses."""
    program = ANSIBLE.with_name("ansible-inventory")
    _, printed = timed("ansible-inventory", [program, "-i", INVENTORY, "--host", "localhost"])
    return json.loads(printed)


def packages() -> list[str]:
    return [
        "export DEBIAN_FRONTEND=noninteractive",
        "apt-get update -qq",
        f"{INSTALL} build-essential git libgfortran5 wget ca-certificates libgomp1 libquadmath0",
    ]


def miniconda(where: dict[str, Any]) -> list[str]:
    file = f"Miniconda3-{where.get('miniconda_version', MINICONDA['version'])}-Linux-x86_64.sh"
    folder = where.get("miniconda_url", MIRRORS["global"]["url"]["miniconda"])
    # The channel that both sides take, as Anaconda's own has terms of use.
    channels = json.dumps({"channels": where.get("miniconda_channels", ["conda-forge"])})
    return [
        f"wget -q {folder}/{file}",
        f"bash {file} -b -p /opt/miniconda3 >/dev/null",
        f"echo '{channels}' > /opt/miniconda3/.condarc",
    ]


def environment(where: dict[str, Any], kind: str) -> list[str]:
    """The book, and its environment; for a GPU with the wheel of MXNet that the chapter puts in place of the CPU's."""
    pip = EDITION["edition_pip"] + EDITION["edition_mxnet"]["cpu"]
    content = {"name": "gluon", "dependencies": [*EDITION["edition_dependencies"], {"pip": pip}]}
    repository = where.get("tutorial_url") or EDITION["edition_repository"]
    swap = [
        f"{ENVIRONMENT}/bin/pip uninstall -qy mxnet",
        f"{ENVIRONMENT}/bin/pip install -q {' '.join(EDITION['edition_mxnet']['gpu'])}",
    ]
    return [
        f"git clone -q {repository} tutorial",
        f"git -C tutorial checkout -q {where.get('tutorial_version') or EDITION['edition_version']}",
        f"cat > environment.yml <<'FILE'\n{json.dumps(content)}\nFILE",
        f"{CONDA} env create -q -f environment.yml",
        *(swap if kind == "gpu" else []),
    ]


def notebook() -> list[str]:
    """Until it answers."""
    return [
        f"cd tutorial; {ENVIRONMENT}/bin/jupyter notebook --allow-root --no-browser >/dev/null 2>&1 &",
        "for second in $(seq 300); do wget -qO /dev/null http://127.0.0.1:8888/login && exit; sleep 0.2; done; exit 1",
    ]


# What MXNet for a GPU needs to be imported at all. It is there on both sides, and what was fetched for it is not.
DRIVERS_LIBRARY = [
    "export DEBIAN_FRONTEND=noninteractive",
    "sed -i 's/^Components: main$/Components: main contrib non-free/' /etc/apt/sources.list.d/debian.sources",
    "apt-get update -qq",
    f"{INSTALL} libcuda1 >/dev/null",
    "apt-get clean",
    "rm -rf /var/lib/apt/lists/*",
]


def whole() -> list[Figure]:
    """The chapter's case is a GPU; its driver is left out on both sides, as no machine has one."""
    (ours, hand), (on_cpu, typed) = of_whole("gpu"), of_whole("cpu")
    what = "a machine of which nothing is installed, until its notebook answers, over the chapter's commands"
    of = f"GPU: {ours:.0f} and {hand:.0f} s; CPU: {on_cpu / typed:.2f} times, {on_cpu:.0f} and {typed:.0f} s"
    return [Figure(what, ours / hand, "times", 0.9, of)]


def of_whole(kind: str) -> tuple[float, float]:
    """Seconds of configure.yml, and of the chapter's commands; of two runs each, the quicker."""
    where = told()
    lines = packages() + miniconda(where) + environment(where, kind) + notebook()
    ours, hand = [], []
    for number in range(TIMES):
        names = [f"ours-{number}", f"hand-{number}"]
        with new_machines(*names):
            for name in names if kind == "gpu" else ():
                by_hand(f"bench-{name}", "\n".join(DRIVERS_LIBRARY))
            settle()
            ours.append(playbook("playbooks/configure.yml", hosts=f"bench-{names[0]}", gluon_env_gpu=kind == "gpu"))
            settle()
            hand.append(by_hand(f"bench-{names[1]}", "\n".join(lines)))
    return min(ours), min(hand)


def environments() -> list[Figure]:
    return [of_environment(kind) for kind in ("cpu", "gpu")]


def of_environment(kind: str) -> Figure:
    where = told()
    common = {"gluon_env_gpu": kind == "gpu", "gluon_env_prove": False}
    lines = ["export DEBIAN_FRONTEND=noninteractive", "apt-get update -qq", f"{INSTALL} git libgomp1 libquadmath0"]
    script = "\n".join(lines + environment(where, kind))
    uv, pip, hand = [], [], []
    for _ in range(TIMES):
        with new_machines("uv", "pip", "hand"):
            playbook(role("miniconda"), hosts="bench-uv,bench-pip,bench-hand")
            settle()
            uv.append(playbook(role("gluon_env"), hosts="bench-uv", **common))
            settle()
            pip.append(playbook(role("gluon_env"), hosts="bench-pip", **common | {"gluon_env_uv": ""}))
            settle()
            hand.append(by_hand("bench-hand", script))
    of = f"{min(uv):.0f} and {min(hand):.0f} s; with pip instead of uv {min(pip) / min(hand):.2f} times"
    what = f"the book's environment for the {kind.upper()}, over the chapter's commands"
    return Figure(what, min(uv) / min(hand), "times", 0.9, of)
