"""The miniconda role's tables of checksums."""

from __future__ import annotations

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def test_a_table_has_every_version_once_and_whole_checksums() -> None:
    tables = [
        next(iter(yaml.safe_load((ROOT / f"roles/miniconda/vars/main/{name}.yml").read_text()).values()))
        for name in ("miniconda", "miniforge")
    ]
    sums = [digest for table in tables for by_machine in table.values() for digest in by_machine.values()]
    assert len(set(sums)) == len(sums) > 200
    assert all(len(digest) == 64 and int(digest, 16) for digest in sums)
    assert {machine for table in tables for by_machine in table.values() for machine in by_machine} == {
        "x86_64",
        "aarch64",
    }
