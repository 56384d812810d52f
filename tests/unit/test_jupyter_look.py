"""What the jupyter role finds out about the environment, without the seconds of an import where a server runs."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).resolve().parents[2] / "roles/jupyter/files/look.py"
# Nothing is at these, so nothing is found.
QUESTION = {"user": "nobody-of-that-name", "directory": "", "port": 1, "unit": "no.service", "others": [], "mark": "x"}
QUESTION |= dict.fromkeys(("token", "password", "environment"), "/nonexistent") | {"files": ["/nonexistent/file"]}


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script's functions; it looks once while it is imported."""
    python = {"python": "/nonexistent", "imports": ["json"], "module": "json"}
    monkeypatch.setattr(sys, "argv", ["look.py", json.dumps(QUESTION | python)])
    spec = importlib.util.spec_from_file_location("jupyter_look", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass
class Place:
    """An environment of a folder, with a server that runs since a minute; its Python only ever says 0.0."""

    prefix: Path
    state: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.python = str(self.prefix / "bin/python")
        self.site = self.prefix / "lib/python3.11/site-packages"
        for folder in ("notebook", "notebook-6.5.7.dist-info", "notebook_shim-0.2.4.dist-info"):
            (self.site / folder).mkdir(parents=True)
        (self.prefix / "bin").mkdir()
        Path(self.python).write_text("#!/bin/sh\necho 0.0\n")
        Path(self.python).chmod(0o755)
        for path in [*self.site.iterdir(), self.site]:
            os.utime(path, (0, 0))
        began = time.clock_gettime(time.CLOCK_MONOTONIC) - 60
        condition = f"{{ path={self.python} ; argv[]={self.python} -c import notebook.app, argon2 ; ignore_errors=no }}"
        self.state = {
            "ActiveState": "active",
            "ExecMainStartTimestampMonotonic": str(int(began * 1e6)),
            "ExecCondition": condition,
        }


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def version(look: Any, place: Place, *imports: str) -> str:
    return look.served(place.python, list(imports or ("notebook.app", "argon2")), "notebook", place.state)["version"]


def test_what_a_running_server_has_imported_is_not_imported_again(look: Any, place: Place) -> None:
    assert version(look, place) == "6.5.7"


@pytest.mark.parametrize("changed", ["", "notebook", "notebook/__init__.py", "argon2", "notebook-7.0.0.dist-info"])
def test_a_package_that_was_touched_since_is(look: Any, place: Place, changed: str) -> None:
    path = place.site / changed
    if not path.exists():
        path.write_text("")
    os.utime(path)
    assert version(look, place) == "0.0"


@pytest.mark.parametrize(
    "state", [{"ActiveState": "failed"}, {"ActiveState": "activating"}, {"ExecCondition": ""}, {"ExecCondition": "sh"}]
)
def test_so_it_is_where_no_server_shows_it(look: Any, place: Place, state: dict[str, str]) -> None:
    place.state |= state
    assert version(look, place) == "0.0"


def test_so_is_what_the_server_was_not_to_import(look: Any, place: Place) -> None:
    assert version(look, place, "notebook.app") == "0.0"
    assert version(look, place, "jupyterlab.labapp") == "0.0"


@pytest.fixture
def server() -> Iterator[Any]:
    """Answers as a notebook server to those whose headers are on its list."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.headers["Authorization"] in server.known else 403)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.known = ["token c0ffee"]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_server_that_answers_to_its_token_alone_is_well(look: Any, server: Any, tmp_path: Path) -> None:
    token, active = tmp_path / "token", {"ActiveState": "active"}
    assert not look.answers(server.server_port, token, active)
    token.write_text("c0ffee\n")
    assert look.answers(server.server_port, token, active)
    assert not look.answers(server.server_port, token, {"ActiveState": "failed"})
    server.known.append(None)
    assert not look.answers(server.server_port, token, active)
    for other in (b"tea", b"\xff\xfe", b"a\nb"):
        token.write_bytes(other)
        assert not look.answers(server.server_port, token, active)
