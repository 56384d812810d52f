"""How a class grows on the local EC2 that `make local` made: python -m bench.roster [STUDENTS...]

class.yml from an image that was baked before, for so many students each (1, 3 and 10, if none are named): seconds,
seconds again with nothing to do, and memory of this computer.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.local import DATA, IMAGE, named, playbook
from local_ec2.folder import Folder

STUDENTS = ["1", "3", "10"]


def memory() -> tuple[float, float]:
    """MB of the machines of this local EC2, all together, and of what this computer has left."""
    shown = ["podman", "stats", "--no-stream", "--format", "json"]
    every = json.loads(subprocess.run(shown, capture_output=True, text=True, check=True).stdout or "[]")
    used = [one["mem_usage"].split()[0] for one in every if one["name"].startswith(f"{Folder(DATA).owner}-i-")]
    # 97.5MB, and 0B of one that is stopped.
    units = {"kB": 1e3, "MB": 1e6, "GB": 1e9, "B": 1.0}
    megabytes = sum(float(text.rstrip("kMGB")) * units[text.lstrip("0123456789.")] for text in used) / 1e6
    left = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable"))
    return megabytes, int(left.split()[1]) / 1000


def of_class(count: int) -> str:
    """A row of the table."""
    roster = [{"name": f"bench {number:02}"} for number in range(count)]
    theirs_before, left_before = memory()
    try:
        first, again = (playbook("playbooks/class.yml", roster=roster, ami=IMAGE) for _ in range(2))
        theirs, left = memory()
    finally:
        playbook("playbooks/terminate.yml", roster=roster, confirm="yes", keep="images", allowed=2)
    return f"{count:>10} {first:>8.0f} {again:>8.0f} {theirs - theirs_before:>20.0f} {left_before - left:>14.0f}"


def main() -> None:
    counts = [int(word) for word in sys.argv[1:] or STUDENTS]
    machines = named("cold")
    try:
        playbook("site.yml", machines=machines, hosts="bench-cold")
        baking = playbook("playbooks/bake.yml", machine="bench-cold", image=IMAGE)
        print(f"baking {baking:.0f} s, once; class.yml from the image, until the hand-outs are written:")
        print(f"{'students':>10} {'seconds':>8} {'again':>8} {'MB of the machines':>20} {'MB less here':>14}")
        for count in counts:
            print(of_class(count), flush=True)
    finally:
        playbook("playbooks/terminate.yml", machines=machines, confirm="yes", purge="images", allowed=2)


if __name__ == "__main__":
    main()
