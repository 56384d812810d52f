"""The folder that a student is given."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from plugins.modules import handouts


def run(folder: Path, check: bool = False, **options: Any) -> dict[str, Any]:
    told = io.StringIO()
    asked = {"directory": str(folder / "handouts"), "_ansible_check_mode": check, **options}
    with patch_module_args(asked), contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
        handouts.main()
    return json.loads(told.getvalue().strip().splitlines()[-1])


def modes(folder: Path) -> set[int]:
    return {path.stat().st_mode & 0o777 for path in folder.iterdir()}


def test_each_student_has_a_key_of_their_own_that_stays(tmp_path: Path) -> None:
    first = run(tmp_path, machines=["li-wei", "chen"])
    assert first["written"] == ["li-wei", "chen"]
    assert len({key.split()[1] for key in first["public"].values()}) == 2
    again = run(tmp_path, machines=["li-wei", "chen"])
    assert (again["changed"], again["public"]) == (False, first["public"])
    assert (modes(tmp_path / "handouts"), modes(tmp_path / "handouts/chen")) == ({0o700}, {0o600})


def test_half_a_key_of_an_interrupted_run_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "handouts/chen"
    folder.mkdir(parents=True)
    (folder / "new-key").write_text("half")
    public = run(tmp_path, machines=["chen"])["public"]["chen"]
    made = subprocess.run(["ssh-keygen", "-y", "-f", folder / "id_ed25519"], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == public
    assert [file.name for file in folder.iterdir()] == ["id_ed25519"]


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    files = {"chen": {"sheet.md": "陈\n", "known_hosts": "i-1 key\n"}, "li-wei": {"sheet.md": "李\n"}}
    assert run(tmp_path, files=files)["written"] == ["chen", "li-wei"]
    files["chen"]["sheet.md"] = "other\n"
    assert run(tmp_path, check=True, files=files)["written"] == ["chen"]
    assert run(tmp_path, files=files)["written"] == ["chen"]
    assert run(tmp_path, files=files)["changed"] is False
    assert (tmp_path / "handouts/chen/sheet.md").read_text() == "other\n"
    assert modes(tmp_path / "handouts/chen") == {0o600}


def test_a_link_in_place_of_a_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "handouts/chen").mkdir(parents=True)
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "handouts/chen/sheet.md").symlink_to(tmp_path / "mine")
    run(tmp_path, files={"chen": {"sheet.md": "sheet"}})
    assert (tmp_path / "mine").read_text() == "mine"
    assert not (tmp_path / "handouts/chen/sheet.md").is_symlink()


def test_folders_go_and_those_of_others_stay(tmp_path: Path) -> None:
    run(tmp_path, machines=["li-wei", "chen"])
    assert run(tmp_path, absent=["chen", "nobody"])["removed"] == ["chen"]
    assert [folder.name for folder in (tmp_path / "handouts").iterdir()] == ["li-wei"]
    assert run(tmp_path, absent=["chen"])["changed"] is False


def test_check_mode_touches_nothing(tmp_path: Path) -> None:
    assert run(tmp_path, check=True, machines=["chen"], files={"chen": {"a": "b"}})["written"] == ["chen"]
    assert not (tmp_path / "handouts").exists()


@pytest.mark.parametrize("options", [{"absent": [".."]}, {"machines": ["a/b"]}, {"files": {"a": {"../x": ""}}}])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    assert "cannot be the name of a folder" in run(tmp_path, **options)["msg"]
