"""The machine of `make local` as one that somebody has already: listed by hand, and as the one machine of a class."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import yaml
from conftest import INVENTORY, ROOT, STATE, Run, playbook, run


def listed(folder: Path) -> Path:
    """inventories/static with that machine in place of its example."""
    target = folder / "static"
    shutil.copytree(ROOT / "inventories/static", target)
    ssh = run("ssh", "-F", str(STATE / "ssh_config"), "-G", "reader").output
    told = dict(line.split(maxsplit=1) for line in ssh.splitlines() if " " in line)
    hosts = yaml.safe_load((target / "hosts.yml").read_text())
    stand_ins = INVENTORY / "upstream.yml"
    hosts["gluon"]["hosts"] = {"workstation": {"ansible_host": told["hostname"], "ansible_user": told["user"]}}
    hosts["gluon"]["vars"] |= yaml.safe_load(stand_ins.read_text())["all"]["vars"] if stand_ins.exists() else {}
    known = f"-o HostKeyAlias={told['hostkeyalias']} -o UserKnownHostsFile={told['userknownhostsfile']}"
    ways = {"ansible_ssh_private_key_file": told["identityfile"], "ansible_ssh_common_args": known}
    hosts["gluon"]["vars"] |= {"cuda_gpu": "none", **ways}
    (target / "hosts.yml").write_text(yaml.safe_dump(hosts))
    return target


def test_a_machine_that_is_listed_by_hand_is_configured(first: Run, tmp_path: Path) -> None:
    inventory = str(listed(tmp_path))
    assert run(".venv/bin/ansible-playbook", "-i", inventory, "playbooks/configure.yml").changed == 0
    tunnel = (".venv/bin/ansible-playbook", "-i", inventory, "playbooks/tunnel.yml")
    try:
        assert re.search(r"workstation .*http://127\.0\.0\.1:\d+/tree", run(*tunnel).output)
    finally:
        run(*tunnel, "-e", "tunnel=closed")


def test_hand_outs_are_written_where_they_are_wanted(first: Run, tmp_path: Path) -> None:
    roster = tmp_path / "roster.yml"
    roster.write_text(json.dumps([{"name": "Reader", "machine": "reader"}]))
    where = ("-e", f"roster={roster}", "-e", f"handouts_dir={tmp_path}/sheets")
    assert "ready        1 of 1" in playbook("playbooks/handouts.yml", *where).output
    assert sorted(file.name for file in (tmp_path / "sheets/reader").iterdir()) == [
        "id_ed25519",
        "known_hosts",
        "sheet.md",
        "ssh_config",
    ]
