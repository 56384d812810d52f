"""Measure, on the local machine that `make local` converged, what bench/README.md lists: python -m bench [F1...]

Prints a table, a row for each figure, and ends with an error if one is beyond its target. All are of one run on one
computer: compare them with each other rather than with other days'.
"""

from __future__ import annotations

import datetime
import os
import sys

from bench import chapter, cloud, sessions
from bench.local import STATE

# What one measurement tells, in the order of its figures.
MEASUREMENTS = {
    ("F1", "F2", "F3"): sessions.measure,
    ("F4",): chapter.whole,
    ("F5", "F6"): chapter.environments,
    ("F7", "F8"): cloud.many,
    ("F9",): cloud.image,
}


def main() -> int:
    known = [number for numbers in MEASUREMENTS for number in numbers]
    asked = sys.argv[1:] or known
    if unknown := [number for number in asked if number not in known]:
        sys.exit(f"No figure is called {', '.join(unknown)}; there are {', '.join(known)}.")
    if not (STATE / "ssh_config").exists():
        sys.exit("There is no converged local machine to measure. Run `make local` first.")
    print(f"{datetime.date.today()}, {os.cpu_count()} cores\n")
    print("| | what | is | at most | |\n| --- | --- | --- | --- | --- |")
    beyond = []
    for numbers, measure in MEASUREMENTS.items():
        if not set(numbers) & set(asked):
            continue
        for number, figure in zip(numbers, measure(), strict=True):
            value = f"{figure.value:.2f} {figure.unit}" if figure.unit else f"{figure.value:.0f}"
            most = "" if figure.most is None else f"{figure.most:g}"
            if figure.most is not None and figure.value > figure.most:
                beyond.append(number)
            print(f"| {number} | {figure.what} | {value} | {most} | {figure.of} |", flush=True)
    if beyond:
        print(f"\nBeyond what it may be: {', '.join(beyond)}")
    return 1 if beyond else 0


if __name__ == "__main__":
    sys.exit(main())
