"""What the idle_stop role refuses before it looks at a machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLAY = """
- hosts: localhost
  connection: local
  gather_subset: [min]
  vars: {ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  roles: [idle_stop]
"""
BAD = {
    "idle_stop_minuets": 30,
    "idle_stop_minutes": -5,
    "idle_stop_max_hours": 1e9,
    "idle_stop_daily_at": 1380,
    "idle_stop_timezone": "Asia/Shang hai",
    "idle_stop_gpu_percent": 101,
    "idle_stop_jupyter_url": "http://192.0.2.1:8888",
    "idle_stop_user": "root",
    "idle_stop_directory": "notebooks",
    "idle_stop_keep_file": '/home/"; rm -rf /',
    "idle_stop_checkpoint_seconds": 0,
}


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> str:
    play = tmp_path_factory.mktemp("play") / "play.yml"
    play.write_text(PLAY)
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", play, "-e", json.dumps(BAD)]
    environment = os.environ | {"ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    return done.stdout.replace('\\"', '"')


@pytest.mark.parametrize(
    "sentence",
    [
        "idle_stop_minuets is no variable of the idle_stop role, which knows idle_stop_checkpoint_folder,",
        "idle_stop_minutes=-5 is outside 0 to 43200.",
        "idle_stop_max_hours=1000000000.0 is outside 0 to 8760.",
        'idle_stop_daily_at=1380 is no time such as "23:00", which YAML wants in quotes.',
        "idle_stop_timezone=Asia/Shang hai is no time zone such as Asia/Shanghai.",
        "idle_stop_gpu_percent=101 is outside 0 to 100.",
        "idle_stop_jupyter_url=http://192.0.2.1:8888 is no address on the machine itself",
        "idle_stop_user=root is no login that could own notebooks",
        "idle_stop_directory=notebooks is not an absolute path",
        "idle_stop_keep_file=/home/",
        "idle_stop_checkpoint_seconds=0 is outside 1 to 3600.",
        "idle_stop_warn_minutes=5 leaves nothing of idle_stop_minutes=-5",
    ],
)
def test_all_that_is_wrong_is_said_at_once(refused: str, sentence: str) -> None:
    assert sentence in refused
