"""Building the stand-ins: once, whole or not at all, and the same everywhere."""

import hashlib
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from local_ec2 import say, upstream
from local_ec2.upstream import parts, reach, wheels


def test_the_variables_are_those_the_roles_take(served):
    kinds = {name: type(value) for name, value in served.variables.items()}
    assert kinds == {
        "miniconda_url": str,
        "miniconda_version": str,
        "miniconda_sha256": str,
        "miniconda_channels": list,
        "tutorial_url": str,
        "tutorial_version": str,
    }
    assert re.fullmatch(r"[0-9a-f]{40}", served.variables["tutorial_version"])
    assert served.variables["miniconda_sha256"] == hashlib.sha256(served.installer.read_bytes()).hexdigest()


def test_a_second_call_builds_and_downloads_nothing(served, monkeypatch):
    def nothing(*_):
        raise AssertionError("something was built again")

    monkeypatch.setattr(wheels, "download", nothing)
    started = time.monotonic()
    assert upstream.prepare(served.directory, served.url, nothing) == served.variables
    assert time.monotonic() - started < 1


def test_another_directory_gets_the_same_bytes(served, tmp_path):
    again = upstream.prepare(tmp_path / "www", served.url, print)
    assert again == served.variables
    packages = [path.relative_to(tmp_path / "www") for path in (tmp_path / "www").rglob("*.tar.bz2")]
    assert len(packages) == 5
    for path in packages:
        assert (tmp_path / "www" / path).read_bytes() == (served.directory / path).read_bytes()


@pytest.fixture
def part(tmp_path, monkeypatch):
    """A part whose product is a copy of its source, in place of the real ones."""
    source = tmp_path / "source"
    source.write_text("one")

    def build(folder: Path, _):
        (folder / "product").write_text(source.read_text())
        if fake.fault:
            raise fake.fault

    fake = SimpleNamespace(__file__=__file__, SOURCES=[source], build=build, source=source, fault=None)
    monkeypatch.setattr(parts, "PARTS", {"part": fake})
    monkeypatch.setattr(parts.installer, "sha256", lambda _: "")
    monkeypatch.setattr(parts.repository, "head", lambda _: "")
    return fake


def test_an_interrupted_build_leaves_nothing_to_serve_and_is_done_anew(part, tmp_path):
    part.fault = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        upstream.prepare(tmp_path / "www", "http://x", print)
    assert not (tmp_path / "www" / "part").exists()
    part.fault = None
    upstream.prepare(tmp_path / "www", "http://x", print)
    assert (tmp_path / "www" / "part" / "product").read_text() == "one"


def test_a_changed_source_is_built_anew(part, tmp_path):
    upstream.prepare(tmp_path / "www", "http://x", print)
    part.source.write_text("two")
    upstream.prepare(tmp_path / "www", "http://x", print)
    assert (tmp_path / "www" / "part" / "product").read_text() == "two"


def test_a_wheel_that_is_not_the_pinned_one_is_refused(tmp_path):
    pins = tmp_path / "pins.txt"
    pins.write_text(f"wheel==0.48.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(say.Refusal, match=r"pins\.txt"):
        wheels.download(pins, tmp_path, print)
    assert not list(tmp_path.glob("*.whl"))


def test_a_long_download_says_that_it_is_alive(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(wheels, "BREATH", 0.05)
    wheels.download(Path(wheels.__file__).with_name("channel_wheels.txt"), tmp_path, said.append)
    assert any("still fetching" in line for line in said)


def test_upstreams_are_asked_at_once_and_not_for_long(monkeypatch):
    class Answers(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(200)
            self.end_headers()

    up = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=up.serve_forever, daemon=True).start()
    silent, mute, closed = (socket.create_server(("127.0.0.1", 0)) for _ in range(3))
    sites = [f"http://127.0.0.1:{s.getsockname()[1]}" for s in (up.socket, silent, mute, closed)]
    closed.close()
    monkeypatch.setattr(reach, "PROBES", dict.fromkeys(sites, "/"))
    monkeypatch.setattr(reach, "PATIENCE", 1.5)
    started = time.monotonic()
    answers = upstream.reachable()
    up.shutdown()
    silent.close()
    mute.close()
    assert answers == dict(zip(sites, (True, False, False, False), strict=True))
    # One after the other, the two that say nothing would take twice the patience.
    assert time.monotonic() - started < 2.8
