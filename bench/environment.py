"""Measure the book's environment on the local EC2 that `make local` made: python -m bench.environment [cpu] [gpu]

By the role, with uv and with pip alone, and by the chapter's commands (apt-get, git clone, conda env create, and for a
GPU pip uninstall and pip install), each on a new machine that has Miniconda. The environment file gets the edition's
pins, without which it cannot be built any more. No machine has a GPU, so nothing is imported. The machines are called
bench-..., and deleted at the end.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

import yaml

from bench.__main__ import INVENTORY, ROOT
from bench.cloud import STATE, playbook

EDITION = yaml.safe_load((ROOT / "playbooks/editions/d2l-zh-v1.yml").read_text())
CONDA = "/opt/miniconda3/bin/conda"
ENVIRONMENT = "/opt/miniconda3/envs/gluon"
PLAY = """- hosts: "{{ hosts }}"
  become: true
  gather_subset: [min]
  vars_files: ["{{ root }}/playbooks/editions/d2l-zh-v1.yml", "{{ root }}/playbooks/vars/configure.yml"]
  tasks: [{ansible.builtin.include_role: {name: "{{ role }}"}}]
"""


def commands(kind: str, repository: str, version: str) -> str:
    """The chapter's, typed."""
    content = {
        "name": "gluon",
        "dependencies": [
            *EDITION["edition_dependencies"],
            {"pip": EDITION["edition_pip"] + EDITION["edition_mxnet"]["cpu"]},
        ],
    }
    lines = [
        "set -eu; export DEBIAN_FRONTEND=noninteractive",
        "apt-get update -qq && apt-get install -qq -y --no-install-recommends git libgomp1 libquadmath0",
        f"git clone -q {repository} ~/tutorial && git -C ~/tutorial checkout -q {version}",
        f"cat > ~/environment.yml <<'FILE'\n{json.dumps(content)}\nFILE",
        f"{CONDA} env create -q -f ~/environment.yml",
    ]
    if kind == "gpu":
        lines += [
            f"{ENVIRONMENT}/bin/pip uninstall -qy mxnet",
            f"{ENVIRONMENT}/bin/pip install -q {' '.join(EDITION['edition_mxnet']['gpu'])}",
        ]
    return "\n".join(lines)


def tutorial() -> tuple[str, str]:
    """Repository and version that the role takes."""
    told = json.loads(
        subprocess.run(
            [ROOT / ".venv/bin/ansible-inventory", "-i", INVENTORY, "--host", "bench-hand"],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        ).stdout
    )
    return (
        told.get("tutorial_url") or EDITION["edition_repository"],
        told.get("tutorial_version") or EDITION["edition_version"],
    )


def by_hand(name: str, script: str) -> float:
    started = time.monotonic()
    done = subprocess.run(
        ["ssh", "-F", STATE / "ssh_config", name, "sudo sh"], input=script, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"by hand failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return time.monotonic() - started


def measure(kind: str) -> None:
    play = ROOT / ".cache/bench-environment.yml"
    play.parent.mkdir(exist_ok=True)
    play.write_text(PLAY)
    common = {"root": str(ROOT), "gluon_env_gpu": kind == "gpu", "gluon_env_prove": False}
    names = [f"bench-{way}" for way in ("uv", "pip", "hand")]
    machines = [{"name": name} for name in names]
    playbook("playbooks/provision.yml", machines=machines)
    try:
        playbook(play, hosts="bench-*", role="miniconda", **common)
        # Wherever a mirror keeps what it has fetched, who comes first has the slower downloads.
        uv = playbook(play, hosts="bench-uv", role="gluon_env", **common)
        pip = playbook(play, hosts="bench-pip", role="gluon_env", **common | {"gluon_env_uv": ""})
        hand = by_hand("bench-hand", commands(kind, *tutorial()))
    finally:
        playbook("playbooks/terminate.yml", machines=machines, confirm="yes", allowed=2)
    print(f"\nthe environment for the {kind.upper()}: by the role with uv {uv:.0f} s, with pip {pip:.0f} s; ", end="")
    print(f"by the chapter's commands {hand:.0f} s: {uv / hand:.2f} and {pip / hand:.2f} times")


def main() -> int:
    asked = sys.argv[1:] or ["cpu", "gpu"]
    if unknown := [kind for kind in asked if kind not in ("cpu", "gpu")]:
        sys.exit(f"There is no environment for {', '.join(unknown)}; there are cpu and gpu.")
    for kind in asked:
        measure(kind)
    return 0


if __name__ == "__main__":
    sys.exit(main())
