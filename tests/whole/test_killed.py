"""site.yml, ended anywhere: FAULTS A8, A11, B2, B4 and B7.

A machine is made from nothing by a chain of runs, each of which is ended at a moment and followed by the next one: by
SIGKILL of ansible-playbook alone, by Ctrl-C, as by a loss of power here, and as by one on both computers. That a run
comes to its moment proves that what was to be mended before it was. After the last one site.yml is left to run twice.

`sampled` has moments at which most is at work. `all` has every gap between two tasks of a first run, which is after the
one and before the other, and a moment within each task that takes time, at random, but the same each time. They are
shared out to several machines, so that the runs begin in other states.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from conftest import STATE, Run
from conftest import on_machine as on_reader
from holdings import Holdings, holdings, wait_for
from killed import (
    UNWELL,
    End,
    Ended,
    Moment,
    Point,
    Project,
    both_off,
    cut,
    files,
    interrupt,
    kill,
    on_machine,
    processes,
    seconds,
)

# Of all moments, each of so many machines has its share, so many machines at a time.
MACHINES, AT_ONCE = 4, 2
# A task that takes less, in seconds, starts nothing: it asserts something, or is skipped.
LEAST = 0.2
Plan = list[tuple[Point, End]]


def before(task: str, number: int = 1, until: Callable[[Project], None] | None = None) -> Point:
    return Point(Moment("before", task, number), until)


def after(task: str, number: int = 1) -> Point:
    return Point(Moment("after", task, number))


def tunnelled(project: Project) -> None:
    """Wait until there is the note of a tunnel."""
    while not list(project.state.glob("tunnel-*")):
        time.sleep(0.02)


# While the installer is at work dpkg has a journal, as after a loss of power, by which a package is only half unpacked.
JOURNAL = (
    "sed -n '/^Package: sudo$/,/^$/p' /var/lib/dpkg/status"
    " | sed 's/^Status: .*/Status: install reinstreq half-installed/'"
    " | sudo tee /var/lib/dpkg/updates/0000 >/dev/null"
)


def unfinished(project: Project) -> None:
    on_machine("[ -e /opt/miniconda3/.miniconda_begun ]")(project)
    project.on_machine(JOURNAL)


DPKG = on_machine("grep -qsx dpkg /proc/[0-9]*/comm")
# conda's part is there, and pip's is at work.
CONDA = on_machine("[ -e /opt/miniconda3/envs/gluon/conda-meta/history ]")
SAMPLE: Plan = [
    (after("ec2 : Have its public half in EC2"), interrupt),
    (before("ec2 : Launch what is missing and start what is stopped", until=lambda it: wait_for(it.name)), cut),
    (before("miniconda : Install *", until=unfinished), kill),
    (before("gluon_env : Install what is missing *", until=DPKG), both_off),
    (before("gluon_env : Build the environment *", until=CONDA), interrupt),
    # It waits for the one that goes on.
    (before("gluon_env : Build the environment *", until=seconds(2)), both_off),
    (after("jupyter : Write the unit*"), kill),
    (before("Have a port of this computer lead to each notebook", until=tunnelled), cut),
]


def every_moment(run: Ended) -> Plan:
    """All points of a run that was not ended, in its order, each with a way to end it."""
    chance = random.Random(1)
    points: list[Point] = []
    moments = [moment for moment, _ in run.seen]
    for index, ((moment, begun), (following, ended)) in enumerate(zip(run.seen, run.seen[1:], strict=False)):
        is_task, took = moment.event == "before" and following.event == "after", ended - begun
        later = frozenset(moments[index + 1 :])
        if not is_task:
            points.append(Point(chance.choice([moment, following]), later=later - {following}))
        elif took > LEAST:
            points.append(Point(moment, seconds(chance.uniform(0, took)), later))
    return [(point, chance.choice([kill, interrupt, cut, both_off])) for point in points]


@dataclass
class Life:
    """What became of one project, from nothing to its end."""

    project: Project
    plan: Plan
    kills: list[Ended] = field(default_factory=list)
    once: Ended = field(default_factory=Ended)
    twice: Ended = field(default_factory=Ended)
    end: Ended = field(default_factory=Ended)
    # What there was at last: what could be lost; on the machine; and here.
    belongings: dict[str, str] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    processes: set[str] = field(default_factory=set)
    unwell: str = ""
    connections: list[str] = field(default_factory=list)
    state: set[str] = field(default_factory=set)
    left: list[str] = field(default_factory=list)

    def live(self) -> None:
        for point, end in self.plan:
            self.kills.append(self.project.playbook("site.yml", point=point, end=end))
            self.project.note()
        self.once = self.project.playbook("site.yml")
        self.twice = self.project.playbook("site.yml")
        self.belongings = self.project.look()
        self.files, self.processes = files(self.project.on_machine), processes(self.project.on_machine)
        self.unwell = self.project.on_machine(UNWELL)
        self.connections = sorted(self.project.processes().values())
        self.state, self.left = {file.name for file in self.project.state.iterdir()}, self.project.left()

    def terminate(self) -> None:
        self.end = self.project.playbook("playbooks/terminate.yml", "-e", "confirm=yes")


@dataclass
class Story:
    """What there was in EC2 before, with the machines, and without them."""

    lives: list[Life]
    before: Holdings
    between: Holdings = frozenset()
    after: Holdings = frozenset()


def plans(name: str) -> list[Plan]:
    if name == "sampled":
        return [SAMPLE]
    whole = Life(Project("unharmed"), [])
    try:
        run = whole.project.playbook("site.yml")
        assert run.rc == 0, run.output
    finally:
        whole.terminate()
        whole.project.close()
    every = every_moment(run)
    return [every[first::MACHINES] for first in range(MACHINES)]


@pytest.fixture(scope="module", params=["sampled", pytest.param("all", marks=pytest.mark.slow)])
def story(request: pytest.FixtureRequest, first: Run) -> Iterator[Story]:
    asked = plans(request.param)
    lives = [Life(Project(f"killed-{number}"), plan) for number, plan in enumerate(asked)]
    told = Story(lives, holdings())
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            list(pool.map(Life.live, lives))
            told.between = holdings()
        finally:
            list(pool.map(Life.terminate, lives))
    told.after = holdings()
    yield told
    for life in lives:
        life.project.close()


def test_each_run_was_ended_where_it_was_meant_to(story: Story) -> None:
    for life in story.lives:
        for (point, _), run in zip(life.plan, life.kills, strict=True):
            assert run.at and run.rc == run.expected, run.output
            # A handler, or a file that is included where there is something to do, may not come any more.
            came = {moment.task for moment, _ in run.seen}
            assert point.is_at(run.at) or (point.later and point.moment.task not in came), run.output


def test_the_next_run_comes_to_its_end(story: Story) -> None:
    for life in story.lives:
        assert life.once.rc == 0, life.once.output


def test_then_nothing_is_left_to_do(story: Story) -> None:
    for life in story.lives:
        assert (life.twice.rc, life.twice.changed) == (0, 0), life.twice.output


def test_nothing_is_lost(story: Story) -> None:
    """What the reader wrote, the token and the environment are those that were there first."""
    for life in story.lives:
        assert set(life.belongings) == {"notes", "token", "environment"}
        assert life.belongings == life.project.belongings


def test_in_ec2_is_what_one_machine_has(story: Story) -> None:
    of_one = ["group", "instance", "interface", "key", "volume"]
    assert sorted(kind for kind, _ in story.between - story.before) == sorted(of_one * len(story.lives))


def test_on_the_machine_is_what_is_on_one_that_was_left_alone(story: Story) -> None:
    there = files(on_reader), processes(on_reader)
    for life in story.lives:
        assert (life.files - there[0], life.processes - there[1]) == (set(), set())


def test_the_machine_is_well(story: Story) -> None:
    for life in story.lives:
        assert life.unwell == ""


def test_here_are_the_connection_and_the_tunnel_alone(story: Story) -> None:
    for life in story.lives:
        tunnel, connection = life.connections
        assert " -N -L 127.0.0.1:" in tunnel and "[mux]" in connection


def test_here_is_no_file_that_does_not_belong(story: Story) -> None:
    there = {file.name for file in STATE.iterdir()}
    for life in story.lives:
        assert life.state <= there
        assert life.left == []


def test_terminate_leaves_nothing(story: Story) -> None:
    assert [life.end.rc for life in story.lives] == [0] * len(story.lives)
    assert story.after == story.before
