"""What is refused is not repeated where it may have a password in it, however loud the run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from plugins.modules.notebook_checkout import SECRET

ROOT = Path(__file__).resolve().parents[2]
SECRET_WORD = "hush-hush"
ASKED = {
    "gluon_env": {"gluon_env_proxy": f"http://me:{SECRET_WORD}@proxy"},
    "miniconda": {"miniconda_proxy": f"http://me:{SECRET_WORD}@proxy"},
    "outbound": {"outbound_proxy": f"http://me:{SECRET_WORD}@proxy"},
    "jupyter": {"jupyter_password_hash": SECRET_WORD},
}
PLAY = """
- hosts: all
  gather_facts: true
  gather_subset: [min]
  tasks:
    - ansible.builtin.include_role: {name: "{{ inventory_hostname }}"}
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a run of each role says, at its loudest."""
    folder = tmp_path_factory.mktemp("play")
    hosts = {
        role: {**given, "ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        for role, given in ASKED.items()
    }
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    (folder / "play.yml").write_text(PLAY)
    command = [Path(sys.executable).with_name("ansible-playbook"), "-vvvvv", "--diff", "-i", folder / "hosts.yml"]
    done = subprocess.run(
        [*command, folder / "play.yml"],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


@pytest.mark.parametrize(
    "sentence",
    [
        "gluon_env_proxy is no http://[USER:PASSWORD@]HOST:PORT",
        "miniconda_proxy is no http://[USER:PASSWORD@]HOST:PORT",
        "outbound_proxy is no http://[USER:PASSWORD@]HOST:PORT",
        "jupyter_password_hash is no hash such as",
    ],
)
def test_it_is_refused(told: str, sentence: str) -> None:
    assert sentence in told, told[-3000:]


def test_it_is_not_repeated(told: str) -> None:
    assert SECRET_WORD not in told


@pytest.mark.parametrize(
    ("address", "secret"),
    [
        ("https://me:pass@example.org/book.git", ["pass"]),
        ("https://a-token-of-32-characters-1234567@example.org/book.git", ["a-token-of-32-characters-1234567"]),
        # Names are none: what is masked is masked in every word that has it.
        ("https://me@example.org/book.git", []),
        ("git@example.org:book.git", []),
        ("ssh://git@example.org/book.git", []),
    ],
)
def test_what_is_masked_of_the_tutorials_address(address: str, secret: list[str]) -> None:
    assert re.findall(SECRET, address) == secret
