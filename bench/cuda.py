"""Measure the driver and the CUDA toolkit on the local EC2 that `make local` made: python -m bench.cuda [PART...]

by-hand  Debian's driver and toolkit by the role, and by the same apt commands typed on an identical machine
overlap  configure.yml on a new machine: driver and environment at the same time, and one after the other

The machines are told that they have a T4; the module is compiled for the kernel that they would start. They are called
bench-..., and deleted at the end.
"""

from __future__ import annotations

import sys
from typing import Any

import yaml

from bench.local import ROOT, by_hand, new_machines, playbook, role, settle

TABLE = ROOT / "roles/cuda/vars/main/platforms.yml"
TOOLKITS = [{"source": "distribution"}]


def debian() -> dict[str, Any]:
    return yaml.safe_load(TABLE.read_text())["__cuda_platforms"]["Debian 12"]


def commands() -> str:
    """What the role does, typed."""
    own = debian()
    driver = own["driver"]["branches"][535]["proprietary"]
    follow = [name.format(kernel=own["kernel"]) for name in driver["follow"]]
    install = "apt-get install -qq -y --no-install-recommends"
    return "\n".join(
        [
            "export DEBIAN_FRONTEND=noninteractive",
            f"sed -i 's/^Components: main$/& {' '.join(own['components'])}/' /etc/apt/sources.list.d/debian.sources",
            "apt-get update -qq",
            f"{install} {' '.join(own['build_tools'])}",
            f"{install} {' '.join([*follow, *driver['held'], *own['toolkit']['packages']])}",
            f"apt-mark hold {' '.join(driver['held'])}",
        ]
    )


def of_by_hand() -> None:
    # Wherever a mirror keeps what it has fetched, who comes first has the slower downloads: that is the role.
    settle()
    ours = playbook(role("cuda"), hosts="bench-role", cuda_gpu="T4", cuda_toolkits=TOOLKITS)
    settle()
    hand = by_hand("bench-hand", commands())
    print(f"\ndriver and toolkit on Debian 12: by the role {ours:.0f} s, by hand {hand:.0f} s, {ours / hand:.2f} times")


def of_overlap() -> None:
    configure = "playbooks/configure.yml"
    settle()
    after = playbook(configure, hosts="bench-after", cuda_gpu="T4", cuda_wait=True)
    settle()
    beside = playbook(configure, hosts="bench-beside", cuda_gpu="T4")
    print(
        f"\nconfigure.yml with a driver: {beside:.0f} s, one after the other {after:.0f} s: "
        f"{after - beside:.0f} s saved by installing the driver while the environment is built"
    )


PARTS = {
    "by-hand": (of_by_hand, ["hand", "role"]),
    "overlap": (of_overlap, ["after", "beside"]),
}


def main() -> int:
    asked = sys.argv[1:] or list(PARTS)
    if unknown := [part for part in asked if part not in PARTS]:
        sys.exit(f"No part is called {', '.join(unknown)}; there are {', '.join(PARTS)}.")
    for part in asked:
        measure, names = PARTS[part]
        with new_machines(*names):
            measure()
    return 0


if __name__ == "__main__":
    sys.exit(main())
