"""The tunnel module, with an `ssh` that forwards where it is told."""

from __future__ import annotations

import itertools
import json
import shlex
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tunnel_place import Place, free_port, place_in, ports


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with place_in(tmp_path, monkeypatch) as place:
        yield place


class TestOne:
    def test_a_second_call_finds_it_open_and_starts_no_ssh(self, place: Place) -> None:
        first, second = place.call("reader"), place.call("reader")
        assert (first["changed"], second["changed"]) == (True, False)
        assert first["tunnels"]["reader"]["pid"] == second["tunnels"]["reader"]["pid"]
        assert ports(first) == ports(second) == {"reader": place.port}
        assert place.calls() == ["me@reader"]
        assert place.answers(place.port)

    def test_a_port_that_is_taken_is_left_to_its_owner_and_told(self, place: Place) -> None:
        """FAULTS B13."""
        with socket.create_server(("127.0.0.1", place.port)):
            result = place.call("reader")
        assert ports(result)["reader"] > place.port
        assert place.port in result["taken"]
        # It stays there when the other port is free again: the browser's tab knows this one.
        assert ports(place.call("reader")) == ports(result)

    def test_what_is_closed_is_gone(self, place: Place) -> None:
        place.call("reader")
        assert place.call(state="closed", names=["reader"])["closed"] == ["reader"]
        assert not place.call(state="closed", names=["reader"])["changed"]
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", place.port)) != 0
        assert place.notes() == []

    @pytest.mark.parametrize("signal", [9, 15])
    def test_one_that_died_is_opened_again_on_its_port(self, place: Place, signal: int) -> None:
        with socket.create_server(("127.0.0.1", place.port)):
            first = place.call("reader")
        place.kill(first["tunnels"]["reader"], signal)
        second = place.call("reader")
        assert second["changed"]
        assert ports(second) == ports(first)
        assert place.answers(ports(second)["reader"])

    def test_one_through_which_nothing_comes_is_opened_again_on_its_port(self, place: Place) -> None:
        first = place.call("reader")
        (place.folder / "bin/cut").touch()
        threading.Timer(2, (place.folder / "bin/cut").unlink).start()
        second = place.call("reader")
        assert (second["changed"], second["troubles"], ports(second)) == (True, {}, ports(first))
        assert second["tunnels"]["reader"]["pid"] != first["tunnels"]["reader"]["pid"]

    def test_a_machine_with_another_address_is_led_to_on_the_same_port(self, place: Place) -> None:
        first = place.call("reader")
        way = {"name": "reader", "host": "192.0.2.7", "user": "me", "remote_port": place.notebook}
        second = place.call(machines=[way])
        assert (second["changed"], ports(second)) == (True, ports(first))
        assert place.calls() == ["me@reader", "me@192.0.2.7"]

    def test_a_machine_on_which_nothing_listens_is_told(self, place: Place) -> None:
        nobody = free_port()
        result = place.call(machines=[{"name": "reader", "remote_port": nobody}])
        assert result["troubles"] == {"reader": f"The tunnel to port {nobody} is open, but nothing answers there."}
        assert ports(result) == {"reader": place.port}

    def test_the_words_of_ssh_are_handed_on(self, place: Place) -> None:
        result = place.call("refuses")
        assert result["troubles"] == {"refuses": "The tunnel did not open. ssh said: Host key verification failed."}
        assert not result["changed"]

    def test_an_ssh_that_hangs_is_ended(self, place: Place) -> None:
        started = time.monotonic()
        assert "nothing within 2 s" in place.call("hangs", timeout=2)["troubles"]["hangs"]
        assert time.monotonic() - started < 10

    def test_another_port_is_taken_when_another_is_asked_for(self, place: Place) -> None:
        place.call("reader")
        other = place.port + 300 if place.port < 60000 else place.port - 300
        result = place.call("reader", port=other)
        assert (result["changed"], ports(result)["reader"] >= other) == (True, True)

    def test_check_mode_opens_nothing(self, place: Place) -> None:
        assert place.call("reader", _ansible_check_mode=True)["changed"]
        assert not (place.folder / "bin/calls").exists()
        place.call("reader")
        assert not place.call("reader", _ansible_check_mode=True)["changed"]
        assert place.call(state="closed", _ansible_check_mode=True)["closed"] == ["reader"]
        assert place.answers(place.port)


class TestSeveral:
    NAMES = tuple(f"together{number}" for number in range(8))

    def test_each_has_its_own_port_and_they_do_not_wait_for_each_other(self, place: Place) -> None:
        result = place.call(*self.NAMES)
        assert result["troubles"] == {}
        assert len(set(ports(result).values())) == 8
        assert all(place.answers(port) for port in ports(result).values())
        again = place.call(*reversed(self.NAMES))
        assert (again["changed"], ports(again)) == (False, ports(result))

    def test_two_runs_at_once_open_each_once(self, place: Place) -> None:
        runs = [place.begin(*self.NAMES[:6]), place.begin(*self.NAMES[2:])]
        one, other = (json.loads(run.communicate(timeout=60)[0]) for run in runs)
        assert len(set((ports(one) | ports(other)).values())) == 8
        assert sorted(place.calls()) == sorted(f"me@{name}" for name in self.NAMES)

    def test_two_inventories_at_once_do_not_share_a_port(self, place: Place) -> None:
        elsewhere = {"directory": str(place.folder / "elsewhere")}
        theirs = [f"{name}-too" for name in self.NAMES[:4]]
        runs = [place.begin(*self.NAMES[:4]), place.begin(*theirs, **elsewhere)]
        try:
            one, other = (json.loads(run.communicate(timeout=60)[0]) for run in runs)
            found = ports(one) | ports(other)
            assert len(found) == len(set(found.values())) == 8
            assert None not in found.values()
        finally:
            place.call(state="closed", **elsewhere)

    def test_the_port_of_one_that_died_is_kept_for_it(self, place: Place) -> None:
        first = place.call("alice", "bob")
        place.kill(first["tunnels"]["alice"])
        assert ports(place.call("carol"))["carol"] not in ports(first).values()
        assert ports(place.call("alice", "bob")) == ports(first)

    def test_one_that_cannot_be_reached_does_not_keep_the_others_from_it(self, place: Place) -> None:
        result = place.call("alice", "refuses", "bob")
        assert list(result["troubles"]) == ["refuses"]
        assert ports(result)["refuses"] is None
        assert place.answers(ports(result)["alice"]) and place.answers(ports(result)["bob"])

    def test_only_one_of_them_is_closed(self, place: Place) -> None:
        result = place.call("alice", "bob")
        assert place.call(state="closed", names=["alice"])["closed"] == ["alice"]
        assert place.answers(ports(result)["bob"])
        assert place.notes() == ["tunnel-bob.json"]

    def test_those_whose_machine_is_gone_are_closed_and_forgotten(self, place: Place) -> None:
        first = place.call("alice", "bob", "carol")
        place.kill(first["tunnels"]["carol"])
        result = place.call("alice", alive=["alice", "eve"])
        assert (result["closed"], place.notes()) == (["bob"], ["tunnel-alice.json"])
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", ports(first)["bob"])) != 0

    def test_a_process_that_has_the_number_of_an_old_one_is_left_alone(self, place: Place) -> None:
        """Nothing but the whole command makes a process ours."""
        opened = place.call("reader")
        note = place.folder / "state 中文/tunnel-reader.json"
        noted = json.loads(note.read_text())
        note.write_text(json.dumps(noted | {"command": [*noted["command"], "else"]}))
        place.call(state="closed")
        assert place.answers(place.port)
        place.kill(opened["tunnels"]["reader"], 15)


class TestTold:
    def test_what_is_open_is_told_without_an_ssh(self, place: Place) -> None:
        place.call("alice")
        result = place.call("alice", "bob", state="told")
        assert (result["changed"], place.calls()) == (False, ["me@alice"])
        assert {name: one["open"] for name, one in result["tunnels"].items()} == {"alice": True, "bob": False}
        assert ports(result)["alice"] == place.port

    def test_its_line_opens_the_way_in_a_shell_beside_what_is_open(self, place: Place) -> None:
        place.call("reader")
        told = place.call("reader", state="told")["tunnels"]["reader"]
        assert told["command_port"] != place.port
        typed = subprocess.Popen(["sh", "-c", f"exec {told['command']}"])
        try:
            deadline = time.monotonic() + 10
            while socket.socket().connect_ex(("127.0.0.1", told["command_port"])):
                assert typed.poll() is None and time.monotonic() < deadline
                time.sleep(0.05)
            assert place.answers(told["command_port"])
        finally:
            typed.kill()
            typed.wait()

    def test_the_line_spells_out_the_whole_way(self, place: Place) -> None:
        way = {
            "name": "reader",
            "host": "192.0.2.7",
            "user": "admin",
            "ssh_port": 2222,
            "key": "/my keys/id",
            "arguments": '-o HostKeyAlias=i-1 -o UserKnownHostsFile="/a b/known_hosts" -o StrictHostKeyChecking=yes',
            "remote_port": 8890,
        }
        words = shlex.split(place.call(machines=[way], state="told")["tunnels"]["reader"]["command"])
        assert words[:4] == ["ssh", "-N", "-L", f"127.0.0.1:{place.port}:127.0.0.1:8890"]
        pairs = list(itertools.pairwise(words))
        assert ("-i", "/my keys/id") in pairs
        assert ("-p", "2222") in pairs
        assert ("-o", "UserKnownHostsFile=/a b/known_hosts") in pairs
        assert ("-o", "StrictHostKeyChecking=yes") in pairs
        assert words[-1] == "admin@192.0.2.7"
        assert "-F" not in words
