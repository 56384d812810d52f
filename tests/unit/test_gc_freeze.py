"""The callback gc_freeze, as the processes of a run see it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOOKUP = """
import gc
from ansible.plugins.lookup import LookupBase
class LookupModule(LookupBase):
    def run(self, terms, variables=None, **options):
        return [gc.get_freeze_count()]
"""


@pytest.mark.parametrize(("callbacks", "least", "most"), [(None, 50_000, 10_000_000), ("heartbeat", 0, 0)])
def test_a_worker_does_not_go_over_what_the_run_had_loaded(
    tmp_path: Path, callbacks: str | None, least: int, most: int
) -> None:
    (tmp_path / "frozen.py").write_text(LOOKUP)
    task = {"ansible.builtin.debug": {"msg": "frozen={{ lookup('frozen') }}"}}
    play = {"hosts": "localhost", "gather_facts": False, "tasks": [task]}
    (tmp_path / "play.json").write_text(json.dumps([play, play]))
    environment = {**os.environ, "ANSIBLE_LOOKUP_PLUGINS": str(tmp_path)}
    if callbacks:
        environment["ANSIBLE_CALLBACKS_ENABLED"] = callbacks
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", tmp_path / "play.json"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    counts = [int(count) for count in re.findall(r"frozen=(\d+)", done.stdout)]
    assert len(counts) == 2
    assert all(least <= count <= most for count in counts), counts
