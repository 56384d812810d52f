"""When the machine stops itself: the whole check, minute by minute, on a machine in a folder."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
from idle_world import POWEROFF, World, world

__all__ = ["world"]
DAY = 86400.0


def test_one_that_was_never_opened_since_its_start_stops(world: World) -> None:
    world.check()
    assert world.minutes_until_stop() == 30
    assert world.memory.active_words == "the first look after the start"


def test_an_open_tab_without_work_does_not_keep_it_up(world: World) -> None:
    """A tab's connection, and the requests with which a dashboard renews itself, are no use."""
    world.jupyter.kernel(world.machine.wall)
    world.check()
    assert world.minutes_until_stop() == 30
    assert world.jupyter.kernels[0]["connections"] == 1
    assert not [path for path in world.jupyter.requests if "/api/status" in path]


def test_the_questions_are_no_activity_for_jupyter(world: World) -> None:
    world.check()
    assert world.jupyter.requests
    assert [path for path in world.jupyter.requests if "no_track_activity=1" not in path] == []


def test_a_long_training_without_output_keeps_it_up(world: World) -> None:
    begun = world.machine.wall
    world.jupyter.kernel(begun, "busy")
    assert not world.minutes(120)
    assert world.signs("jupyter") == [("busy", "mlp.md is running")]
    world.jupyter.kernel(world.machine.wall)
    # Its last activity is between two checks, so it counts from the one before at the earliest.
    assert world.minutes_until_stop() in (30, 31)


def test_a_kernel_stuck_in_starting_keeps_it_up_for_a_while_only(world: World) -> None:
    world.jupyter.kernel(world.machine.wall, "starting")
    world.check()
    assert not world.minutes(9)
    assert world.signs("jupyter")[0] == ("busy", "mlp.md is starting")
    assert world.minutes_until_stop() == 30
    assert "is starting since" in world.signs("jupyter")[0][1]


def test_a_terminal_that_is_used_keeps_it_up_and_one_that_is_only_open_does_not(world: World) -> None:
    for _ in range(5):
        world.jupyter.terminal(world.machine.wall)
        assert not world.minutes(20)
    assert world.minutes_until_stop() <= 30


def test_a_cell_that_was_run_between_two_checks_counts_from_then(world: World) -> None:
    world.jupyter.kernel(world.machine.wall)
    world.check()
    world.minutes(20)
    world.jupyter.kernel(world.machine.wall + 30)
    assert world.minutes(1) is False
    assert world.memory.active == world.machine.up - 30
    assert world.minutes_until_stop() == 30


def test_a_notebook_that_is_written_keeps_it_up(world: World) -> None:
    chapter = world.folder / "chapter_one" / "mlp.md"
    chapter.parent.mkdir()
    for _ in range(5):
        chapter.write_text("text")
        os.utime(chapter, (world.machine.wall, world.machine.wall))
        assert not world.minutes(20)
    assert world.memory.active_words == "mlp.md was written"
    chapter.unlink()
    assert world.minutes_until_stop() <= 30


def test_somebody_who_is_logged_in_keeps_it_up(world: World) -> None:
    world.machine.start_process(10, "sshd", 1)
    world.machine.start_process(11, "sshd", 10)
    world.machine.start_process(12, "bash", 11)
    assert not world.minutes(40)
    world.machine.end_process(12)
    assert world.minutes_until_stop() == 30


def test_a_tunnel_alone_does_not_keep_it_up(world: World) -> None:
    world.machine.start_process(10, "sshd", 1)
    world.machine.start_process(11, "sshd-session", 10)
    world.machine.start_process(12, "sshd-session", 11)
    world.check()
    assert world.minutes_until_stop() == 30


def test_work_of_the_cpus_keeps_it_up(world: World) -> None:
    """As of a training in tmux, which nobody looks at."""
    for _ in range(60):
        world.machine.work(55)
        assert not world.minutes(1)
    assert world.signs("cpu") == [("busy", "all together at 92 % of one")]
    for _ in range(29):
        world.machine.work(5)
        assert not world.minutes(1)
    world.machine.work(5)
    assert world.minutes(1)


def test_jupyter_that_does_not_run_is_nobody(world: World) -> None:
    world.jupyter.close()
    world.check()
    assert world.minutes_until_stop() == 30
    assert world.signs("jupyter")[0][1].startswith("nothing listens at http://127.0.0.1:")


@pytest.mark.parametrize(
    ("status", "text", "words"),
    [
        (500, "", "answers 500 for its kernels"),
        (403, "", "does not take the token of /etc/jupyter/token"),
        (404, "", "answers 404 for its kernels"),
        (200, "<html>", "is no JSON"),
        (200, "{}", "no list"),
        (200, '[{"id": "a"}]', "lacks 'last_activity'"),
        (200, '[{"id": "a", "last_activity": "yesterday", "execution_state": "idle"}]', "yesterday"),
    ],
)
def test_jupyter_that_does_not_tell_keeps_it_up(world: World, status: int, text: str, words: str) -> None:
    world.jupyter.status, world.jupyter.text = status, text
    assert not world.minutes(40)
    ((state, said),) = world.signs("jupyter")
    assert (state, words in said) == ("unknown", True), said
    world.jupyter.status, world.jupyter.text = 200, ""
    assert world.minutes_until_stop() == 30


def test_a_source_that_breaks_keeps_it_up(world: World) -> None:
    world.machine.put("/proc/stat", "cpu a b c d e f g h\n")
    assert not world.minutes(40)
    assert world.signs("cpu")[0][1].startswith("cannot tell: ValueError")


def test_it_warns_first_and_says_so_beside_the_notebooks(world: World) -> None:
    world.check()
    assert not world.minutes(24)
    assert world.notice == ""
    assert not world.minutes(1)
    assert "stops at 12:30 (idle for 25 minutes, 30 allowed; last use: the first look after the start)" in world.notice
    assert [call for call in world.machine.called if call[0] == "wall"] == [("wall", world.notice.strip())]
    # The notice is no sign of use, and is given once.
    assert world.minutes_until_stop() == 5
    assert len([call for call in world.machine.called if call[0] == "wall"]) == 1


def test_use_after_the_warning_takes_it_back(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.check()
    world.minutes(26)
    world.jupyter.kernel(world.machine.wall, "busy")
    assert not world.minutes(1)
    assert world.notice == ""
    assert "The stop that was announced is off" in capsys.readouterr().out
    assert not world.minutes(60)


def test_the_reason_is_one_line_of_the_journal(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.check()
    world.minutes_until_stop()
    lines = [line for line in capsys.readouterr().out.splitlines() if "stops itself now" in line]
    assert lines == [
        "<5>The machine stops itself now: idle for 30 minutes, 30 allowed; last use: the first look after the start."
    ]
    assert world.memory.last_stop["words"].startswith("idle for 30 minutes")


def test_after_the_next_start_it_begins_anew(world: World) -> None:
    world.check()
    world.minutes_until_stop()
    machine = world.machine
    machine.boot, machine.up, machine.called = "two", 60.0, []
    machine.wall += DAY
    world.check()
    assert world.notice == ""
    assert world.memory.last_stop["words"].startswith("idle for 30 minutes")
    assert world.minutes_until_stop() == 30


@pytest.mark.parametrize("step", [DAY, -DAY, 3600.0, -3600.0])
@pytest.mark.parametrize("at", [1, 15, 29])
def test_a_clock_that_is_set_neither_hurries_nor_holds_up_the_stop(world: World, step: float, at: int) -> None:
    world.jupyter.kernel(world.machine.wall)
    world.jupyter.terminal(world.machine.wall)
    world.check()
    assert not world.minutes(at)
    world.machine.wall += step
    assert world.minutes_until_stop() == 30 - at


@pytest.mark.parametrize("step", [DAY, -DAY])
def test_a_cell_run_after_the_clock_was_set_counts_from_then(world: World, step: float) -> None:
    world.jupyter.kernel(world.machine.wall)
    world.check()
    world.minutes(10)
    world.machine.wall += step
    world.minutes(10)
    world.jupyter.kernel(world.machine.wall + 60)
    world.minutes(1)
    assert world.minutes_until_stop() == 30


def test_after_a_pause_nobody_knows_so_it_was_in_use(world: World) -> None:
    """As where the timer was off, or the machine asleep."""
    world.check()
    world.minutes(20)
    world.machine.up += 7200
    world.machine.wall += 7200
    world.check()
    assert world.minutes_until_stop() == 30


@pytest.mark.parametrize("text", ["", "{", "[]", '{"active": "long ago"}', '{"unknown": 1}', '{"seen": 3}'])
def test_a_state_that_cannot_be_read_is_as_good_as_none(world: World, text: str) -> None:
    world.check()
    world.minutes(20)
    world.machine.put("/var/lib/gluon-idle/state.json", text)
    assert world.minutes_until_stop() == 31


def test_without_a_place_for_its_memory_nothing_is_stopped(world: World) -> None:
    world.machine.path("/var/lib/gluon-idle").rmdir()
    for _ in range(60):
        world.machine.up += 60
        with pytest.raises(OSError, match=r"state\.json"):
            world.check()
    assert POWEROFF not in world.machine.called


def test_packages_that_are_being_installed_hold_it_up_but_not_for_ever(world: World) -> None:
    lock = world.machine.put("/var/lib/dpkg/lock-frontend", "")
    world.machine.put("/proc/locks", f"1: POSIX  ADVISORY  WRITE 77 08:01:{lock.stat().st_ino} 0 EOF\n")
    world.check()
    assert not world.minutes(30)
    assert world.memory.decision["held"] == "packages are being installed"
    assert world.minutes_until_stop() == 30


def test_a_spot_machine_stops_only_where_it_may(world: World) -> None:
    world.settings = replace(world.settings, spot_stop=False)
    world.machine.put("/run/gluon-spot/market", "spot\n")
    world.check()
    assert not world.minutes(40)
    assert world.memory.decision["held"].startswith("a spot machine may be deleted")
    assert world.notice == ""
    world.machine.put("/run/gluon-spot/market", "on-demand\n")
    assert world.minutes_until_stop() == 6


def test_before_it_is_known_whether_it_is_one_it_does_not_stop(world: World) -> None:
    world.settings = replace(world.settings, spot_stop=False)
    assert not world.minutes(60)
    assert "not known yet" in world.memory.decision["held"]


def test_one_that_cannot_be_powered_off_says_so_and_tries_again(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.check()
    world.minutes(29)
    world.machine.answers["systemctl"] = (1, "Access denied")
    world.machine.up += 60
    assert world.check() == 1
    assert "goes on costing: Access denied" in capsys.readouterr().out
    world.machine.answers["systemctl"] = (0, "")
    world.machine.up += 60
    assert world.check() == 0
    assert world.machine.called.count(POWEROFF) == 2


def test_hooks_run_before_the_stop_if_there_are_any(world: World) -> None:
    world.machine.put("/etc/gluon-ec2/checkpoint.d/save", "")
    world.check()
    world.minutes_until_stop()
    assert world.machine.called[-2:] == [("systemctl", "start", "gluon-checkpoint@idle.service"), POWEROFF]


def test_the_memory_is_json_that_anybody_may_read(world: World) -> None:
    world.check()
    file = world.machine.path("/var/lib/gluon-idle/state.json")
    assert json.loads(file.read_text())["boot"] == "one"
    assert file.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in file.parent.iterdir()] == ["state.json"]
