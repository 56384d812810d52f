"""gluon-idle as it is typed, and what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import Namespace
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from gluon_idle import cli, files, words
from gluon_idle.settings import Settings, load
from idle_world import World, world

__all__ = ["world"]
PROGRAM = Path(__file__).resolve().parents[2] / "roles/idle_stop/files"


def told(world: World) -> dict:
    status = cli.status(replace(world.settings, timezone="UTC"), world.machine)
    return status | {"line": words.line(status)}


def test_status_of_one_that_is_idle(world: World) -> None:
    world.check()
    world.minutes(10)
    status = told(world)
    assert status["line"] == "idle for 10 minutes; stops at 12:30"
    assert (status["busy"], status["stops_in_seconds"], status["warned"]) == ([], 20 * 60, False)
    assert "  stops      after 30 idle minutes\n" in words.table(status)
    assert "  jupyter    no kernel and no terminal\n" in words.table(status)


def test_status_of_one_that_is_used(world: World) -> None:
    world.jupyter.kernel(world.machine.wall, "busy")
    world.check()
    assert told(world)["line"] == "in use: mlp.md is running; stops at 12:30 at the earliest"


def test_status_says_what_it_cannot_tell(world: World) -> None:
    world.jupyter.status = 500
    world.check()
    assert told(world)["line"].startswith("in use: cannot tell what Jupyter at http://127.0.0.1:")
    assert "\n  jupyter    ? cannot tell what" in words.table(told(world))


def test_status_of_one_that_must_not_stop(world: World) -> None:
    world.settings = replace(world.settings, spot_stop=False)
    world.check()
    assert told(world)["line"].endswith("does not stop: it is not known yet whether this is a spot machine")


def test_status_where_nobody_has_looked(world: World) -> None:
    assert "the first look is yet to come" in told(world)["line"]
    world.check()
    world.machine.up += 3600
    assert "nobody has looked" in words.table(told(world))
    world.check()
    world.machine.boot = "two"
    assert "nobody has looked" in told(world)["line"]


def test_status_tells_the_last_stop(world: World) -> None:
    world.check()
    world.minutes_until_stop()
    assert "last stop  " in words.table(told(world))


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"minutes": 0, "max_hours": 8}, "8 hours after its start"),
        ({"minutes": 0, "daily_at": "23:00"}, "every day at 23:00"),
        ({"minutes": 90}, "after 90 idle minutes"),
    ],
)
def test_status_names_the_rule(world: World, settings: dict, rule: str) -> None:
    world.settings = replace(world.settings, **settings)
    world.check()
    assert told(world)["rule"] == rule


def typed(tmp_path: Path, *arguments: str, user: int | None = None) -> subprocess.CompletedProcess[str]:
    """With this computer's own start and state, and settings of the test's."""
    settings = tmp_path / "idle.json"
    settings.write_text(json.dumps(asdict(Settings(keep_file=str(tmp_path / "keep"), max_hours=8))))
    command = [sys.executable, "-I", "-S", "-B", PROGRAM, "--settings", settings, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, user=user)


def test_it_runs_from_its_folder_with_nothing_installed(tmp_path: Path) -> None:
    done = typed(tmp_path, "status", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    # Which of two things it says depends on when this computer was started.
    assert json.loads(done.stdout)["problem"].startswith(("it was started a moment ago", "nobody has looked"))


def test_keep_writes_the_file_and_takes_it_back(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    settings = replace(world.settings, max_hours=8)
    assert cli.keep(settings, world.machine, Namespace(hours=4.0)) == 0
    keep = world.machine.path(files.ROOTS_KEEP) if os.geteuid() == 0 else Path(settings.keep_file)
    assert keep.read_text() == "4\n"
    assert "for 4 hours" in (said := capsys.readouterr().out)
    assert "8 hours after its start all the same" in said
    world.check()
    assert "another 4.0 hours" in told(world)["line"] or os.geteuid() == 0
    assert cli.keep(settings, world.machine, Namespace(hours=0.0)) == 0
    assert not keep.exists()


@pytest.mark.parametrize("hours", ["-1", "1001", "nan"])
def test_keep_refuses_what_is_no_number_of_hours(tmp_path: Path, hours: str) -> None:
    done = typed(tmp_path, "keep", "--", hours)
    assert done.returncode != 0
    assert "give 0 to 1000" in done.stderr


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "cannot be read"),
        ("[]", "is no set of settings"),
        ('{"minuets": 1}', "has minuets, which means nothing"),
    ],
)
def test_settings_that_mean_nothing_stop_nothing(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "idle.json"
    file.write_text(text)
    with pytest.raises(SystemExit, match=complaint) as raised:
        load(file)
    assert "until then nothing is stopped" in str(raised.value)


def test_no_settings_stop_nothing(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="Run the idle_stop role again"):
        load(tmp_path / "none.json")


def test_the_role_installs_all_of_the_program() -> None:
    listed = (PROGRAM.parent / "vars/main.yml").read_text()
    names = [str(path.relative_to(PROGRAM)) for path in PROGRAM.rglob("*.py")]
    assert [name for name in names if f"  - {name}\n" not in listed] == []
