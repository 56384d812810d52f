"""Run the parts of the test suite in two lanes beside each other, and say how long each took.

Every part runs whatever became of those before it. The output of each is kept in .cache/test-log; the tests that failed
are named once more at the end, which is all that is left of a long log in some places.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOG = ROOT / ".cache" / "test-log"
BIN = ROOT / ".venv" / "bin"


def pytest(folder: str, *options: str, which: str = "not slow") -> list[str]:
    return [str(BIN / "pytest"), "-q", "--durations=15", "-m", which, *options, f"tests/{folder}"]


# Two tests at a time, each in a process with a local EC2 of its own. A file that prepares machines for all its tests
# stays together.
EACH, FILES = ("-n2", "--dist=worksteal"), ("-n2", "--dist=loadfile")
# In each lane one part after the other, what is quick to fail first. Those of the first lane have local EC2s of their
# own; those of the second, which wait for machines more than they work, share that of tools/test.
LANES: list[dict[str, list[str]]] = [
    {
        "lint": ["tools/lint"],
        "unit": pytest("unit", *EACH),
        "local-ec2": pytest("local_ec2", *FILES),
        "ec2": pytest("ec2", *EACH),
        "upstream": pytest("upstream", *FILES),
        "cuda": pytest("cuda", *FILES),
    },
    {
        "whole": pytest("whole"),
        "ops": pytest("ops", *FILES),
        "molecule": pytest("molecule", *EACH),
    },
]
SLOW: list[dict[str, list[str]]] = [
    {
        "ec2-slow": pytest("ec2", which="slow"),
        "cuda-slow": pytest("cuda", *FILES, which="slow"),
    },
    {
        "whole-slow": pytest("whole", which="slow"),
        "ops-slow": pytest("ops/test_examples.py", which="slow"),
        "sanity": pytest("ops/test_sanity.py", which="slow"),
        "matrix": pytest("ops/test_cores.py", which="slow"),
        "upgrade": pytest("ops/test_upgrade.py", which="slow"),
        "molecule-slow": pytest("molecule", which="slow"),
    },
]
# Removes that local EC2, when all else has ended.
LAST: dict[str, list[str]] = {"down": pytest("down")}
printing = threading.Lock()


def say(text: str) -> None:
    with printing:
        print(text, flush=True)


def run(name: str, command: list[str]) -> tuple[bool, float]:
    """Run one part, showing and keeping what it says; whether it passed, and its seconds."""
    say(f"\n==> {name}: {shlex.join([Path(command[0]).name, *command[1:]])}")
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
            say(f"{name:>9} | {line.rstrip()}")
    return process.wait() == 0, time.monotonic() - started


def run_lane(parts: dict[str, list[str]]) -> dict[str, tuple[bool, float]]:
    return {name: run(name, command) for name, command in parts.items()}


def failures_of(part: str) -> list[str]:
    """What pytest, or the linters, said last of what failed in a part."""
    lines = (LOG / f"{part}.log").read_text().splitlines()
    failed = [line for line in lines if line.startswith(("FAILED ", "ERROR "))]
    return [line[:400] for line in failed or lines[-1:]]


def chosen_of(parts: dict[str, list[str]], asked: Iterable[str]) -> dict[str, list[str]]:
    return {name: command for name, command in parts.items() if name in asked}


def main() -> int:
    every = [name for parts in [*LANES, *SLOW, LAST] for name in parts]
    slow = [name for parts in SLOW for name in parts]
    parser = argparse.ArgumentParser(prog="tools/test", description=__doc__)
    parser.add_argument("--slow", action="store_true", help=f"the slow parts too: {', '.join(slow)}")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these of {', '.join(every)}")
    options = parser.parse_args()
    if unknown := [part for part in options.parts if part not in every]:
        parser.error(f"no part is called {', '.join(unknown)}; there are {', '.join(every)}")
    asked = options.parts or [part for part in every if options.slow or part not in slow]
    lanes = [chosen_of(usual | slow, asked) for usual, slow in zip(LANES, SLOW, strict=True)]
    LOG.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with ThreadPoolExecutor(len(lanes)) as pool:
        ended = [result for lane in pool.map(run_lane, lanes) for result in lane.items()]
    ended += run_lane(chosen_of(LAST, asked)).items()
    print("\nTime of each part, beside those of the other lane:")
    for name, (passed, seconds) in ended:
        print(f"  {name:<24} {seconds:6.0f} s  {'' if passed else 'FAILED, see .cache/test-log/' + name + '.log'}")
    print(f"  {'all of it':<24} {time.monotonic() - started:6.0f} s\n")
    failed = [name for name, (passed, _) in ended if not passed]
    for name in failed:
        print("\n".join(f"{name}: {line}" for line in failures_of(name)))
    print(f"parts: {len(ended) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
