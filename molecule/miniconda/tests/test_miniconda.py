"""The installation that the miniconda role made."""

from __future__ import annotations

import json
from typing import Any

PREFIX = "/opt/miniconda3"


def test_conda_runs(host: Any) -> None:
    assert host.check_output(f"{PREFIX}/bin/conda --version").startswith("conda ")


def test_channels_are_those_of_the_role(host: Any) -> None:
    info = json.loads(host.check_output(f"{PREFIX}/bin/conda info --json"))
    assert any("conda-forge" in channel for channel in info["channels"])
    assert not any("repo.anaconda.com" in channel for channel in info["channels"])


def test_nobody_but_root_may_change_it(host: Any) -> None:
    assert host.run(f"find {PREFIX} -not -type l -perm /022 -print -quit").stdout == ""
    assert host.run(f"find {PREFIX} -not -user root -print -quit").stdout == ""


def test_a_login_shell_knows_conda(host: Any) -> None:
    assert host.run("bash -lc 'type -t conda'").stdout.strip() == "function"


def test_the_installer_is_not_left_behind(host: Any) -> None:
    assert host.run("sudo find /opt -name 'Miniconda3-*.sh'").stdout == ""
