"""What the conda_env module downloads of an index, counted where it is served."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conda_place import Place, conda, wheel

__all__ = ["conda"]

SIZES = {"one": 4, "two": 8, "three": 2, "four": 1, "five": 1}  # MB
PIECE = 1 << 16  # bytes


class Index(SimpleHTTPRequestHandler):
    """A folder, in pieces, so that there is a half of it."""

    server: Served

    def copyfile(self, source, outputfile) -> None:
        with contextlib.suppress(ConnectionError):  # who asked was killed
            while piece := source.read(PIECE):
                outputfile.write(piece)
                self.server.count(len(piece))
                # All at one pace, and no further than half before there was a kill.
                time.sleep(0.002)
                if self.server.half.is_set():
                    self.server.resumed.wait(60)

    def end_headers(self) -> None:
        # As indexes have it: a file of that name never changes.
        self.send_header("Cache-Control", "max-age=31536000, immutable")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing is read of it."""


class Served(ThreadingHTTPServer):
    """An index of wheels with random contents. `half` is set when half of them was sent."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(Index, directory=str(folder)))
        self.sent, self.total, self.lock = 0, 0, threading.Lock()
        self.half, self.resumed = threading.Event(), threading.Event()
        self.names: dict[str, str] = {}
        for name, size in SIZES.items():
            wheel(folder, name, module=name, **{f"{name}.bin": os.urandom(size << 19).hex()})
            file = folder / f"{name}-1.0-py3-none-any.whl"
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            page = folder / "simple" / name / "index.html"
            page.parent.mkdir(parents=True)
            page.write_text(f'<a href="/{file.name}#sha256={digest}">{file.name}</a>')
            self.names[name] = digest
            self.total += file.stat().st_size

    def count(self, size: int) -> None:
        with self.lock:
            self.sent += size
            if self.sent > self.total / 2:
                self.half.set()

    def lock_text(self) -> str:
        return "".join(f"{name}==1.0 --hash=sha256:{digest}\n" for name, digest in self.names.items())


@pytest.fixture
def index(conda: Place) -> Iterator[Served]:
    """The index, which the module's pip is told of and nothing else."""
    folder = conda.folder / "index"
    folder.mkdir()
    with Served(folder) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_address[1]}/simple"
        # pip keeps nothing that came without TLS, unless from a host that it trusts.
        conda.index = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": address, "PIP_TRUSTED_HOST": "127.0.0.1"}
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(params=["pip", "uv"])
def asked(request: pytest.FixtureRequest, conda: Place, index: Served) -> dict[str, object]:
    options = {"definition": {"dependencies": ["python=3.11"]}, "pip_lock": index.lock_text()}
    if request.param == "uv":
        options["uv"] = conda.uv()
        conda.index["PIP_FIND_LINKS"] = str(conda.folder / "wheels")
    return options


def test_everything_comes_once_and_never_again(conda: Place, index: Served, asked: dict[str, object]) -> None:
    index.resumed.set()
    assert conda(**asked)["changed"] is True
    assert index.total <= index.sent <= 1.02 * index.total
    index.sent = 0
    assert conda(**asked)["changed"] is False
    assert index.sent == 0


def test_what_came_before_a_kill_is_kept(conda: Place, index: Served, asked: dict[str, object]) -> None:
    with conda.started(**asked) as module:
        assert index.half.wait(180)
        time.sleep(1)  # what came as a whole is unpacked
        os.killpg(module.pid, signal.SIGKILL)
    index.resumed.set()
    assert conda(**asked)["changed"] is True
    assert index.total <= index.sent <= 1.5 * index.total
    assert conda(**asked)["changed"] is False
