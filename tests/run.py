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


def pytest(*paths: str) -> list[str]:
    return [str(BIN / "pytest"), "-q", *paths]


def molecule(scenario: str) -> list[str]:
    # What a run that was killed remembers of a machine, which is gone with its local EC2, is forgotten first.
    program = shlex.quote(str(BIN / "molecule"))
    return ["sh", "-c", f"{program} reset -s {scenario} && exec {program} test -s {scenario}"]


# The tests of what the others are tested with, and those that wait for each other at every turn.
CUDA_SLOW = ("test_standin.py", "test_interrupted.py")
# In this order: what is quick to fail first; `whole` starts the local EC2 that the scenarios use, `down` removes it.
PARTS: dict[str, list[str]] = {
    "lint": ["tools/lint"],
    "unit": pytest("tests/unit"),
    "local-ec2": pytest("tests/local_ec2"),
    "ec2": pytest("tests/ec2"),
    "upstream": pytest("tests/upstream"),
    "cuda": pytest("tests/cuda", *(f"--ignore=tests/cuda/{file}" for file in CUDA_SLOW)),
    "whole": pytest("tests/whole"),
    "molecule-ec2": molecule("ec2"),
    "molecule-cuda": molecule("cuda"),
    "molecule-miniconda": molecule("miniconda"),
    "molecule-jupyter": molecule("jupyter"),
    "molecule-gluon_env": molecule("gluon_env"),
    "molecule-idle_stop": molecule("idle_stop"),
    "down": pytest("tests/down"),
}
SLOW: dict[str, list[str]] = {
    "cuda-slow": pytest(*(f"tests/cuda/{file}" for file in CUDA_SLOW)),
    "molecule-cuda_driver": molecule("cuda_driver"),
    "molecule-cuda_toolkit": molecule("cuda_toolkit"),
    "molecule-gluon_env_gpu": molecule("gluon_env_gpu"),
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
