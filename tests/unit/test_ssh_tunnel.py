"""The tunnel module, with an `ssh` that forwards where it is told, into the background as the real one does."""

from __future__ import annotations

import contextlib
import http.server
import io
import itertools
import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from plugins.module_utils import tunnels
from plugins.modules import ssh_tunnel

ROOT = Path(__file__).resolve().parents[2]
SSH = f"""#!{sys.executable}
import os, pathlib, signal, socket, sys, threading, time
target = sys.argv[-1]
here = pathlib.Path(__file__).parent
with (here / "calls").open("a") as calls:
    calls.write(target + chr(10))
if "refuses" in target:
    sys.exit("Host key verification failed.")
_, port, host, remote = sys.argv[sys.argv.index("-L") + 1].split(":")
# Goes on when others are on their way as well.
together = time.monotonic() + 20
while "together" in target and len((here / "calls").read_text().split()) < 4:
    if time.monotonic() > together:
        sys.exit("alone")
    time.sleep(0.05)
if "hangs" in target:
    time.sleep(60)
try:
    server = socket.create_server(("127.0.0.1", int(port)))
except OSError as error:
    sys.exit(f"bind: {{error}}")
if "-f" in sys.argv and os.fork():
    os._exit(0)
os.setsid()
# Whatever becomes of the test.
signal.alarm(180)
def pump(one, other):
    while data := one.recv(4096):
        other.sendall(data)
    other.shutdown(socket.SHUT_WR)
def serve(near):
    if (here / "cut").exists():
        time.sleep(60)
    try:
        far = socket.create_connection((host, int(remote)))
    except OSError:
        return near.close()
    threading.Thread(target=pump, args=(near, far), daemon=True).start()
    pump(far, near)
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def notebook() -> Iterator[int]:
    """The port of a server that answers everything."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(403)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


@dataclass
class Place:
    """A folder with notes, an ssh, and a port to begin with."""

    folder: Path
    port: int
    notebook: int

    def arguments(self, *names: str, **options: Any) -> dict[str, Any]:
        machines = [{"name": name, "user": "me", "remote_port": self.notebook} for name in names]
        usual = {"directory": str(self.folder / "state 中文"), "port": self.port, "timeout": 10, "machines": machines}
        return usual | options

    def call(self, *names: str, **options: Any) -> dict[str, Any]:
        """Run the module for these machines, in this process."""
        told = io.StringIO()
        asked = patch_module_args(self.arguments(*names, **options))
        with asked, contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
            ssh_tunnel.main()
        return json.loads(told.getvalue())

    def begin(self, *names: str, **options: Any) -> subprocess.Popen[str]:
        """Run it in a process of its own, beside others."""
        with tempfile.TemporaryFile("w+") as file:
            json.dump({"ANSIBLE_MODULE_ARGS": self.arguments(*names, **options)}, file)
            file.seek(0)
            command = [sys.executable, "-m", "plugins.modules.ssh_tunnel"]
            return subprocess.Popen(command, stdin=file, stdout=subprocess.PIPE, cwd=ROOT, text=True)

    def calls(self) -> list[str]:
        """Where ssh was told to go."""
        return (self.folder / "bin/calls").read_text().split()

    def notes(self) -> list[str]:
        return sorted(file.name for file in (self.folder / "state 中文").glob("tunnel-*"))

    def answers(self, port: int) -> bool:
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
        return True


@pytest.fixture
def place(tmp_path: Path, notebook: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ssh").write_text(SSH)
    (tmp_path / "bin/ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setattr(tunnels, "ANSWER", 3)
    place = Place(tmp_path, free_port(), notebook)
    yield place
    place.call(state="closed")


def ports(result: dict[str, Any]) -> dict[str, int | None]:
    return {name: one["port"] for name, one in result["tunnels"].items()}


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
        os.kill(first["tunnels"]["reader"]["pid"], signal)
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
        os.kill(first["tunnels"]["alice"]["pid"], 9)
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
        os.kill(first["tunnels"]["carol"]["pid"], 9)
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
        os.kill(opened["tunnels"]["reader"]["pid"], 15)


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
