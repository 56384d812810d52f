"""Run the parts of the test suite one after the other, and say how long each took.

Every part runs whatever became of those before it. The output of each is kept in .cache/test-log.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOG = ROOT / ".cache" / "test-log"
BIN = ROOT / ".venv" / "bin"


def pytest(folder: str, *options: str, which: str = "not slow") -> list[str]:
    return [str(BIN / "pytest"), "-q", "--durations=15", "-m", which, *options, f"tests/{folder}"]


# Two tests at a time, each in a process with a local EC2 of its own. A file that prepares machines for all its tests
# stays together.
EACH, FILES = ("-n2", "--dist=worksteal"), ("-n2", "--dist=loadfile")
# In this order: what is quick to fail first; `whole` starts the local EC2 that molecule uses too, `down` removes it.
PARTS: dict[str, list[str]] = {
    "lint": ["tools/lint"],
    "unit": pytest("unit", *EACH),
    "local-ec2": pytest("local_ec2", *FILES),
    "ec2": pytest("ec2", *EACH),
    "upstream": pytest("upstream", *FILES),
    "cuda": pytest("cuda", *FILES),
    "whole": pytest("whole"),
    "ops": pytest("ops", *FILES),
    "molecule": pytest("molecule", *EACH),
    "down": pytest("down"),
}
SLOW: dict[str, list[str]] = {
    "ec2-slow": pytest("ec2", which="slow"),
    "cuda-slow": pytest("cuda", *FILES, which="slow"),
    "whole-slow": pytest("whole", which="slow"),
    "ops-slow": pytest("ops/test_examples.py", which="slow"),
    "sanity": pytest("ops/test_sanity.py", which="slow"),
    "matrix": pytest("ops/test_cores.py", which="slow"),
    "upgrade": pytest("ops/test_upgrade.py", which="slow"),
    "molecule-slow": pytest("molecule", which="slow"),
}


def run(name: str, command: list[str]) -> tuple[bool, float]:
    """Run one part, showing and keeping what it says; whether it passed, and its seconds."""
    print(f"\n==> {name}: {shlex.join([Path(command[0]).name, *command[1:]])}", flush=True)
    environment = os.environ | {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "MOLECULE_GLOB": "molecule/*/molecule.yml",
        "ANSIBLE_NOCOLOR": "1",
    }
    started = time.monotonic()
    with (LOG / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert process.stdout
        for line in process.stdout:
            log.write(line)
            print(line, end="", flush=True)
    return process.wait() == 0, time.monotonic() - started


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/test", description=__doc__)
    parser.add_argument("--slow", action="store_true", help=f"the slow parts too: {', '.join(SLOW)}")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these of {', '.join([*PARTS, *SLOW])}")
    asked = parser.parse_args()
    known = PARTS | SLOW
    unknown = [part for part in asked.parts if part not in known]
    if unknown:
        parser.error(f"no part is called {', '.join(unknown)}; there are {', '.join(known)}")
    chosen = {part: known[part] for part in asked.parts} if asked.parts else dict(PARTS)
    if asked.slow and not asked.parts:
        down = chosen.pop("down")
        chosen |= SLOW | {"down": down}
    LOG.mkdir(parents=True, exist_ok=True)
    ended = {name: run(name, command) for name, command in chosen.items()}
    print("\nTime of each part:")
    for name, (passed, seconds) in ended.items():
        print(f"  {name:<24} {seconds:6.0f} s  {'' if passed else 'FAILED, see .cache/test-log/' + name + '.log'}")
    print(f"  {'all of it':<24} {sum(seconds for _, seconds in ended.values()):6.0f} s\n")
    failures = sum(not passed for passed, _ in ended.values())
    print(f"parts: {len(ended) - failures} passed, {failures} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
