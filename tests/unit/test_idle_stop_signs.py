"""What each source of signs makes of what it finds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from gluon_idle import files, memory, theirs, work
from gluon_idle.machine import Machine
from gluon_idle.sign import Look
from idle_world import World, world

__all__ = ["world"]
GPU = "/sys/bus/pci/devices/0000:00:1e.0"


def look(world: World) -> Look:
    return Look(world.settings, world.machine, memory.begin(memory.Memory(), world.machine.now()), world.machine.now())


def with_gpu(world: World, answer: object) -> list[tuple[str, str]]:
    world.machine.put(f"{GPU}/vendor", "0x10de\n")
    world.machine.put(f"{GPU}/class", "0x030200\n")
    world.machine.answers["nvidia-smi"] = answer
    return [(sign.state, sign.words) for sign in work.gpu(look(world))]


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        ((0, "0"), "quiet", "the busiest GPU is at 0 %"),
        ((0, "4\n0"), "quiet", "the busiest GPU is at 4 %"),
        ((0, "0\n5"), "busy", "the busiest GPU is at 5 %"),
        ((0, "100"), "busy", "the busiest GPU is at 100 %"),
        ((0, "[N/A]"), "unknown", "nvidia-smi says [N/A]"),
        ((0, ""), "unknown", "nvidia-smi says exit status 0"),
        ((9, "Failed to initialize NVML: Driver/library version mismatch"), "unknown", "version mismatch"),
        ((127, "there is no nvidia-smi"), "quiet", "no driver"),
        (subprocess.TimeoutExpired("nvidia-smi", 10), "unknown", "nvidia-smi hangs"),
    ],
)
def test_gpus(world: World, answer: object, state: str, words: str) -> None:
    ((found, said),) = with_gpu(world, answer)
    assert (found, words in said) == (state, True), said


def test_a_machine_without_a_gpu_is_not_asked(world: World) -> None:
    world.machine.put(f"{GPU}/vendor", "0x1d0f\n")
    world.machine.put(f"{GPU}/class", "0x030000\n")
    assert work.gpu(look(world)) == []
    assert world.machine.called == []


def test_a_gpu_that_hangs_keeps_the_machine_up(world: World) -> None:
    with_gpu(world, subprocess.TimeoutExpired("nvidia-smi", 10))
    assert not world.minutes(60)


def test_who_is_logged_in_and_with_what(world: World) -> None:
    for pid, name, parent in (
        (10, "sshd", 1),
        (11, "sshd", 10),
        (12, "bash", 11),
        (13, "python3", 12),
        (20, "cron", 1),
    ):
        world.machine.start_process(pid, name, parent)
    login = world.machine.login_of(12)
    assert [(sign.state, sign.words) for sign in work.ssh(look(world))] == [("busy", f"logged in: {login} (bash)")]


def test_names_of_processes_may_be_anything(world: World) -> None:
    world.machine.start_process(10, "sshd", 1)
    world.machine.start_process(11, "a) S 10 (b", 10)
    assert work.ssh(look(world))[0].words.endswith("(a) S 10 (b)")


def test_names_of_notebooks_reach_no_terminal_as_they_are(world: World) -> None:
    world.jupyter.kernel(world.machine.wall, "busy", path="a\n<0>\x1b[2J.md")
    world.check()
    assert world.signs("jupyter") == [("busy", "a?<0>?[2J.md is running")]


def test_a_moment_where_the_first_process_does_not_show(tmp_path: Path) -> None:
    """As in a Jupyter terminal: other users' processes are hidden there."""
    here, hidden = Machine().now(), Machine(tmp_path).now("some/7.5")
    assert hidden.boot == "/7.5"
    assert hidden.up - here.up == pytest.approx(float(here.boot.partition("/")[2]) - 7.5, abs=5)


@pytest.mark.parametrize(
    ("lines", "installing"),
    [
        ("1: POSIX  ADVISORY  WRITE 77 08:01:{inode} 0 EOF", True),
        ("1: POSIX  ADVISORY  READ 77 08:01:{inode} 0 EOF", False),
        ("1: FLOCK  ADVISORY  WRITE 77 08:01:1{inode} 0 EOF", False),
        ("", False),
    ],
)
def test_dpkgs_lock(world: World, lines: str, installing: bool) -> None:
    lock = world.machine.put("/var/lib/dpkg/lock", "")
    world.machine.put("/proc/locks", lines.format(inode=lock.stat().st_ino))
    assert work.installing(world.machine) is installing


def test_dpkgs_lock_on_this_machine(tmp_path: Path) -> None:
    """As /proc/locks really has it."""
    lock = tmp_path / "var/lib/dpkg/lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    (tmp_path / "proc").symlink_to("/proc")
    code = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX)"
    hold = f"{code}; print('held', flush=True); sys.stdin.read()"
    assert work.installing(Machine(tmp_path)) is False
    with subprocess.Popen([sys.executable, "-c", hold, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout and holder.stdout.readline() == b"held\n"
        assert work.installing(Machine(tmp_path)) is True


@pytest.mark.parametrize(
    ("text", "hours"),
    [("", 12), ("4\n", 4), ("0.5", 0.5), ("4 hours", 4), ("all night", 12), ("nan", 12), ("-3", 0), ("1e9", 1000)],
)
def test_hours_of_a_keep_file(world: World, text: str, hours: float) -> None:
    keep = Path(world.settings.keep_file)
    keep.write_text(text)
    os.utime(keep, (world.machine.wall, world.machine.wall))
    found = [sign for sign in files.signs(look(world)) if sign.source == "keep"]
    words = f"keeps it up for another {float(hours):.1f} hours" if hours else "has expired"
    assert [sign.words for sign in found] == [f"{keep} {words}"]


def test_a_keep_file_keeps_it_up_for_its_hours_and_then_no_longer(world: World) -> None:
    keep = Path(world.settings.keep_file)
    keep.write_text("2")
    os.utime(keep, (world.machine.wall, world.machine.wall))
    world.check()
    assert world.minutes_until_stop() in (120 + 29, 120 + 30)


def test_an_expired_keep_file_does_not_count(world: World) -> None:
    keep = Path(world.settings.keep_file)
    keep.write_text("2")
    os.utime(keep, (world.machine.wall - 7300, world.machine.wall - 7300))
    world.check()
    assert world.minutes_until_stop() == 30


def test_the_roots_keep_file_counts_as_well(world: World) -> None:
    file = world.machine.put("/run/gluon-idle/keep", "1\n")
    os.utime(file, (world.machine.wall, world.machine.wall))
    world.check()
    assert world.minutes_until_stop() in (89, 90)


@pytest.mark.parametrize("step", [86400.0, -86400.0])
def test_a_keep_files_end_does_not_move_with_the_clock(world: World, step: float) -> None:
    keep = Path(world.settings.keep_file)
    keep.write_text("2")
    os.utime(keep, (world.machine.wall, world.machine.wall))
    world.check()
    assert not world.minutes(60)
    world.machine.wall += step
    assert world.minutes_until_stop() in (60 + 29, 60 + 30)


def test_a_keep_file_that_is_written_again_begins_anew(world: World) -> None:
    keep = Path(world.settings.keep_file)
    for _ in range(3):
        keep.write_text("1")
        os.utime(keep, (world.machine.wall, world.machine.wall))
        assert not world.minutes(59)
    assert "keeps it up for another 0.0 hours" in dict(world.signs("keep"))["busy"]


def test_a_pipe_or_a_folder_in_its_place_holds_nobody_up(world: World) -> None:
    os.mkfifo(world.settings.keep_file)
    assert theirs.keep(world.settings.keep_file)["text"] == ""


def test_a_keep_file_that_cannot_be_read_keeps_it_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.machine, "theirs", lambda *_, text: (1, "Traceback\nPermissionError: keep-running"))
    assert not world.minutes(60)
    assert world.signs("keep") == [
        ("unknown", f"cannot tell whether {world.settings.keep_file} is there: PermissionError: keep-running")
    ]


def test_hidden_files_and_the_notice_are_no_use(tmp_path: Path) -> None:
    for name, at in (("mlp.md", 1000), (".ipynb_checkpoints/mlp.md", 2000), (files.NOTICE, 3000), (".git/x", 4000)):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
        os.utime(path, (at, at))
    (tmp_path / "link.md").symlink_to("/etc/hostname")
    assert theirs.newest(str(tmp_path), files.notice_of(str(tmp_path))) == [1000.0, "mlp.md"]


def test_a_data_set_is_not_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(theirs, "ENTRIES", 10)
    for number in range(50):
        (tmp_path / f"{number}.jpg").touch()
    assert theirs.newest(str(tmp_path), "")[0] > 0


def test_the_notice_is_written_beside_a_link_not_through_it(tmp_path: Path) -> None:
    """Run as it is on the machine, in a process of its own."""
    other, notice = tmp_path / "other", tmp_path / files.NOTICE
    other.write_text("mine")
    notice.symlink_to(other)
    assert Machine().python(files.THEIRS, "write", str(notice), text="soon\n") == (0, "")
    assert (other.read_text(), notice.read_text(), notice.is_symlink()) == ("mine", "soon\n", False)
    assert Machine().python(files.THEIRS, "remove", str(notice)) == (0, "")
    assert not notice.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_what_is_theirs_is_touched_as_they() -> None:
    status, said = Machine().run("sh", "-c", "id -un; id -Gn", user="nobody")
    assert (status, said.splitlines()[0]) == (0, "nobody")
    assert "root" not in said
    status, said = Machine().run("touch", "/etc/gluon-idle-test", user="nobody")
    assert (status, "Permission denied" in said) == (1, True)
