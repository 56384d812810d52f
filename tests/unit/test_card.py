"""The card: its lines, and to whom the token is shown."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from plugins.action.card import nobody
from plugins.module_utils.card import lines
from plugins.module_utils.ec2_prices import Prices
from plugins.module_utils.ec2_text import width

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "c0ffee" * 8
HINTS = {"idle": "stops itself after 90 idle minutes", "stop": "stop.yml", "start": ""}
TABLE = {"regions": {"us-east-1": {"date": "2025-04-04", "hour": {"g4dn.xlarge": 0.526, "c5.xlarge": 0.17}}}}


@pytest.fixture
def prices(tmp_path: Path) -> Prices:
    (tmp_path / "prices.json").write_text(json.dumps(TABLE))
    return Prices(nobody, "us-east-1", tmp_path / "prices.json")


def notebook(name: str, **options: Any) -> dict[str, Any]:
    usual = {"about": "g4dn.xlarge in us-east-1a", "port": 8888, "instance_type": "g4dn.xlarge", "market": "on-demand"}
    return {"name": name, "usd_hour": None, "trouble": "", "command": "", **usual, **options}


def own(name: str, **options: Any) -> dict[str, Any]:
    """A machine outside EC2."""
    return notebook(name, about="192.0.2.10", instance_type="", market="", **options)


def texts(notebooks: list[dict[str, Any]], prices: Prices | None) -> list[str]:
    return [line.text for line in lines(notebooks, HINTS, prices)]


class TestLines:
    def test_one_machine(self, prices: Prices) -> None:
        assert texts([notebook("reader")], prices) == [
            "",
            "  name    machine                    open",
            "  reader  g4dn.xlarge in us-east-1a  http://127.0.0.1:8888/tree",
            "",
            "  price        0.526 USD per hour while it runs (on demand, table of 2025-04-04)",
            "  idle         stops itself after 90 idle minutes",
            "  stop         stop.yml",
        ]

    def test_thirty_machines_are_a_table_and_the_hints_stand_once(self, prices: Prices) -> None:
        card = texts([notebook(f"student{n}", port=8888 + n) for n in range(30)], prices)
        rows = [line for line in card if "student" in line]
        assert len(rows) == 30
        assert len({line.index("http://") for line in rows}) == 1
        assert rows[29].split() == [
            "student29",
            "g4dn.xlarge",
            "in",
            "us-east-1a",
            "0.526",
            "http://127.0.0.1:8917/tree",
        ]
        assert len(card) == 30 + 6
        assert "15.78 USD per hour while all 30 run" in card[-3]

    def test_wide_characters_are_below_each_other(self, prices: Prices) -> None:
        card = texts([own("爱丽丝"), own("bob", port=8889)], prices)
        columns = {width(line.partition("192.0.2.10")[0]) for line in card if "192.0.2.10" in line}
        assert columns == {len("  爱丽丝  ") + 3}

    def test_a_spot_machine_costs_what_it_was_launched_for_where_that_is_known(self, prices: Prices) -> None:
        card = texts([notebook("a", market="spot", usd_hour=0.1578)], prices)
        assert "  price        0.1578 USD per hour while it runs (spot)" in card

    def test_else_it_is_said_to_cost_less_than_on_demand(self, prices: Prices) -> None:
        card = texts([notebook("a", market="spot"), notebook("b")], prices)
        assert "< 0.526" in card[2] and " 0.526" in card[3] and "<" not in card[3]
        assert "less than 1.052 USD per hour while all 2 run (spot costs less than on demand" in card[5]

    def test_a_price_that_nobody_knows_is_called_unknown(self, prices: Prices) -> None:
        assert "  price        unknown" in texts([notebook("a", instance_type="x9.large")], prices)

    def test_a_machine_of_ones_own_has_no_price(self, prices: Prices) -> None:
        card = "\n".join(texts([own("a"), own("b")], prices))
        assert "USD" not in card and "price" not in card

    def test_it_has_one_beside_those_that_have(self, prices: Prices) -> None:
        card = texts([own("mine"), notebook("theirs")], prices)
        assert "0.526 USD per hour while it runs" in card[5]

    def test_one_that_is_not_ready_says_why_on_one_line(self, prices: Prices) -> None:
        card = lines([notebook("a"), notebook("bob", port=None, trouble="Connection\n refused.")], HINTS, prices)
        (row,) = (line for line in card if "bob" in line.text)
        assert row.text.endswith("not ready: Connection refused.")
        assert (row.color, row.notebook) == ("red", "")

    def test_jupyterlab_is_opened_at_its_own_page(self, prices: Prices) -> None:
        card = lines([notebook("a", page="lab"), notebook("b", port=8889)], HINTS, prices)
        assert [line.text.rpartition(" ")[2] for line in card if line.notebook] == [
            "http://127.0.0.1:8888/lab",
            "http://127.0.0.1:8889/tree",
        ]

    def test_commands_are_copied_whole(self, prices: Prices) -> None:
        typed = "ssh -N -L 127.0.0.1:8888:127.0.0.1:8888 -i '/my keys/id' admin@192.0.2.1"
        assert f"  a  {typed}" in texts([notebook("a", command=typed)], prices)

    def test_without_a_notebook_the_hints_are_left(self, prices: Prices) -> None:
        assert texts([], prices)[-1] == "  stop         stop.yml"


PLAY = [
    {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [
            {
                "name": "Card",
                "card": {
                    "notebooks": [{"name": "reader", "about": "here", "port": 8888, "token": TOKEN}],
                    "hints": HINTS,
                    "hint_without_token": "tunnel.yml -e show_token=always",
                    "show_token": "{{ show_token | default('terminal') }}",
                },
                "no_log": True,
            }
        ],
    }
]


@pytest.fixture
def ansible(tmp_path: Path) -> list[str]:
    """The command that shows a card."""
    (tmp_path / "play.yml").write_text(json.dumps(PLAY))
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    python = ("-e", f"ansible_python_interpreter={sys.executable}")
    return [program, "-i", "localhost,", "-c", "local", "-vvvvv", *python, str(tmp_path / "play.yml")]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANSIBLE_LOG_PATH", str(tmp_path / "log"))
    return tmp_path / "log"


class TestToken:
    def shown(self, command: list[str], *more: str) -> str:
        return subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    def test_a_pipe_gets_none_and_the_way_to_it(self, ansible: list[str], log: Path) -> None:
        said = self.shown(ansible)
        assert "http://127.0.0.1:8888/tree\n" in said
        assert "  token        tunnel.yml -e show_token=always\n" in said
        assert TOKEN not in said + log.read_text()

    def test_it_is_shown_where_it_is_asked_for_but_never_logged(self, ansible: list[str], log: Path) -> None:
        said = self.shown(ansible, "-e", "show_token=always")
        assert said.count(TOKEN) == 1
        assert f"http://127.0.0.1:8888/tree?token={TOKEN}\n" in said
        assert "show_token=always\n" not in said
        assert "http://127.0.0.1:8888/tree\n" in log.read_text()
        assert TOKEN not in log.read_text()

    def test_a_terminal_gets_it(self, ansible: list[str], log: Path) -> None:
        ours, theirs = pty.openpty()
        run = subprocess.Popen(ansible, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
        os.close(theirs)
        said = b""
        while True:
            try:
                said += os.read(ours, 65536)
            except OSError:
                break
        os.close(ours)
        assert run.wait() == 0
        # Colors stand around a line.
        assert re.search(rf"/tree\?token={TOKEN}[\x1b\r\n]", said.decode())
        assert TOKEN not in log.read_text()

    def test_another_word_is_refused(self, ansible: list[str]) -> None:
        done = subprocess.run([*ansible, "-e", "show_token=maybe"], cwd=ROOT, capture_output=True, check=False)
        assert done.returncode != 0
        assert TOKEN.encode() not in done.stdout + done.stderr


def test_without_proc_lsof_tells_whether_it_is_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS."""
    from plugins.action import card

    (tmp_path / "lsof").write_text(
        '#!/bin/sh\n[ "$3" = PARENT ] && printf "p1\\nf1\\nn%s\\n" "$WHERE"\n'.replace("PARENT", str(os.getppid()))
    )
    (tmp_path / "lsof").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    class NoProc(type(Path())):
        def readlink(self) -> Path:
            raise FileNotFoundError(self)

    monkeypatch.setattr(card, "Path", NoProc)
    monkeypatch.setenv("WHERE", "/dev/ttys003")
    assert card.at_a_terminal()
    monkeypatch.setenv("WHERE", "/tmp/output")
    assert not card.at_a_terminal()
