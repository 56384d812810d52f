"""The service_files module, with a `systemctl` that keeps its units in a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MODULE = Path(__file__).resolve().parents[2] / "plugins/modules/service_files.py"
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="what it writes is root's")
SYSTEMCTL = f"""#!{sys.executable}
import json, sys, time
from pathlib import Path

book = Path(__file__).with_name("units.json")
units = json.loads(book.read_text())
verb, *rest = sys.argv[1:]
if verb == "show":
    for name in rest[2:]:
        unit = units.get(name, {{}})
        print(f"Id={{name}}\\nLoadState={{'loaded' if unit else 'not-found'}}")
        print(f"ActiveState={{unit.get('active', 'inactive')}}\\nUnitFileState={{unit.get('enabled', '')}}")
        print(f"NeedDaemonReload={{unit.get('reload', 'no')}}")
        print(f"ActiveEnterTimestampMonotonic={{unit.get('since', 0)}}\\n")
    sys.exit()
with Path(__file__).with_name("calls").open("a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
for name in rest:
    if name == "broken.service":
        sys.exit("Job for broken.service failed.")
    if verb == "enable":
        units.setdefault(name, {{}})["enabled"] = "enabled"
    elif verb == "restart":
        units[name] |= {{"active": "active", "since": int(time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6)}}
    elif verb == "disable" and name != "--now":
        units[name] |= {{"active": "inactive", "enabled": "disabled"}}
book.write_text(json.dumps(units))
"""


class Host:
    """A folder with files, and units of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin = folder, folder / "bin"
        self.bin.mkdir()
        (self.bin / "systemctl").write_text(SYSTEMCTL)
        (self.bin / "systemctl").chmod(0o755)
        self.units({})

    def units(self, units: dict[str, dict[str, Any]]) -> None:
        (self.bin / "units.json").write_text(json.dumps(units))

    def calls(self) -> list[str]:
        """What systemctl was told to do since the last time."""
        file = self.bin / "calls"
        done = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return done

    def __call__(self, check: bool = False, **options: Any) -> dict[str, Any]:
        settings = {"_ansible_check_mode": check, "_ansible_diff": True}
        done = subprocess.run(
            [sys.executable, MODULE],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": settings | options}),
            capture_output=True,
            text=True,
            env=os.environ | {"PATH": f"{self.bin}:{os.environ['PATH']}"},
            check=False,
        )
        return json.loads(done.stdout)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.fixture
def service(host: Host) -> Callable[..., dict[str, Any]]:
    """A program, a unit and a folder."""

    def call(text: str = "one\n", **options: Any) -> dict[str, Any]:
        files = {f"{host.folder}/lib/deep/program": text, f"{host.folder}/units/x.timer": "[Timer]\n"}
        usual = {"files": files, "executables": [f"{host.folder}/lib/deep/program"], "units": ["x.timer"]}
        return host(**usual | {"folders": [f"{host.folder}/hooks"]} | options)

    return call


def test_writes_starts_and_then_leaves_it_alone(host: Host, service: Callable[..., dict[str, Any]]) -> None:
    first = service()
    assert (first["changed"], first["started"]) == (True, ["x.timer"])
    assert host.calls() == ["daemon-reload", "enable x.timer", "restart x.timer"]
    program = host.folder / "lib/deep/program"
    assert (program.read_text(), program.stat().st_mode & 0o777) == ("one\n", 0o755)
    assert (host.folder / "units/x.timer").stat().st_mode & 0o777 == 0o644
    assert (host.folder / "lib").stat().st_mode & 0o777 == 0o755
    assert (host.folder / "hooks").is_dir()
    again = service()
    assert (again["changed"], again["written"], again["started"], host.calls()) == (False, [], [], [])


def test_what_differs_is_written_and_started_again(host: Host, service: Callable[..., dict[str, Any]]) -> None:
    service()
    host.calls()
    changed = service("two\n")
    assert changed["written"] == [f"{host.folder}/lib/deep/program"]
    (diff,) = changed["diff"]
    assert (diff["before"], diff["after"]) == ("one\n", "two\n")
    assert host.calls() == ["daemon-reload", "enable x.timer", "restart x.timer"]


@pytest.mark.parametrize("how", ["mode", "owner", "link", "removed"])
def test_what_others_did_to_a_file_is_undone(host: Host, service: Callable[..., dict[str, Any]], how: str) -> None:
    service()
    program = host.folder / "lib/deep/program"
    if how == "mode":
        program.chmod(0o777)
    elif how == "owner":
        os.chown(program, 65534, 65534)
    else:
        program.unlink()
    if how == "link":
        program.symlink_to("/etc/hostname")
    assert service()["written"] == [str(program)]
    about = program.lstat()
    assert (about.st_mode & 0o177777, about.st_uid, program.read_text()) == (0o100755, 0, "one\n")
    assert service()["changed"] is False


def test_check_mode_tells_the_same_and_touches_nothing(host: Host, service: Callable[..., dict[str, Any]]) -> None:
    said = service(check=True)
    assert list(host.folder.iterdir()) == [host.bin]
    assert host.calls() == []
    real = service()
    assert {name: real[name] for name in ("changed", "written", "started", "diff")} == {
        name: said[name] for name in ("changed", "written", "started", "diff")
    }


def test_a_run_that_broke_off_before_the_start_is_finished(host: Host, service: Callable[..., dict[str, Any]]) -> None:
    service()
    host.calls()
    os.utime(host.folder / "lib/deep/program", (time.time() + 5, time.time() + 5))
    assert service()["started"] == ["x.timer"]
    assert host.calls() == ["enable x.timer", "restart x.timer"]


def test_a_unit_that_systemd_has_not_read_is_read(host: Host, service: Callable[..., dict[str, Any]]) -> None:
    service()
    host.calls()
    units = json.loads((host.bin / "units.json").read_text())
    host.units({"x.timer": units["x.timer"] | {"reload": "yes"}})
    service()
    assert host.calls() == ["daemon-reload", "enable x.timer", "restart x.timer"]


@pytest.mark.parametrize("state", [{"active": "inactive"}, {"enabled": "disabled"}, {"active": "failed"}])
def test_a_unit_that_was_stopped_or_disabled_is_started(
    host: Host, service: Callable[..., dict[str, Any]], state: dict[str, str]
) -> None:
    service()
    units = json.loads((host.bin / "units.json").read_text())
    host.units({"x.timer": units["x.timer"] | state})
    assert service()["started"] == ["x.timer"]
    assert service()["changed"] is False


def test_removes_files_and_folders_in_which_nothing_else_lies(
    host: Host, service: Callable[..., dict[str, Any]]
) -> None:
    service()
    (host.folder / "units/another.timer").touch()
    host.calls()
    names = ["lib/deep/program", "units/x.timer", "lib/deep", "lib", "units", "hooks", "never"]
    absent = {"absent": [f"{host.folder}/{name}" for name in names], "absent_units": ["x.timer", "never.service"]}
    said = host(check=True, **absent)
    gone = host(**absent)
    assert gone["removed"] == [f"{host.folder}/{name}" for name in (*names[:4], "hooks")] == said["removed"]
    assert (gone["stopped"], said["stopped"]) == (["x.timer"], ["x.timer"])
    assert host.calls() == ["disable --now x.timer", "daemon-reload"]
    assert [path.name for path in (host.folder / "units").iterdir()] == ["another.timer"]
    assert host(**absent)["changed"] is False


def test_a_unit_that_does_not_start_is_told(host: Host) -> None:
    failed = host(units=["broken.service"])
    assert failed["failed"] is True
    assert failed["msg"] == "systemctl enable broken.service: Job for broken.service failed."


def test_a_place_that_cannot_be_written_is_named(host: Host) -> None:
    (host.folder / "lib").write_text("a file")
    failed = host(files={f"{host.folder}/lib/program": "text"})
    assert failed["failed"] is True
    assert f"{host.folder}/lib" in failed["msg"]


def test_a_text_that_is_refused_is_not_written(host: Host) -> None:
    file = host.folder / "settings"
    asked = {"files": {str(file): "one\n"}, "validate": {str(file): "grep -q one %s"}}
    assert host(**asked)["written"] == [str(file)]
    refused = host(
        **asked | {"files": {str(file): "two\n"}, "validate": {str(file): "sh -c 'echo $0: no >&2; exit 1' %s"}}
    )
    assert refused["msg"] == f"{file} stays as it was, since its new text is refused: {file}: no"
    assert file.read_text() == "one\n"
    assert sorted(path.name for path in host.folder.iterdir()) == ["bin", "settings"]
