"""What tests of downloads share: a server that fails when told to, and a disk that is small."""

from __future__ import annotations

import contextlib
import http.server
import os
import re
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PROXIES = [name + end for name in ("http", "https", "all", "no") for end in ("_proxy", "_PROXY")]
PROXIES = [*PROXIES, *(name.upper() for name in PROXIES)]


class Server(http.server.ThreadingHTTPServer):
    """Serves a folder by the last part of a path. Each request takes the next of `faults`, while there are any.

    A fault is a status, or a word and a number: cut (the connection ends at this share of the file), short (so much of
    it is sent as if it were all), flip (one byte, at this share), stall (as cut, but the connection stays open).
    With `tls`, a file with a key and its certificate, it is to be reached by https.
    """

    daemon_threads = True

    def __init__(self, folder: Path, tls: Path | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.has_ranges = folder, True
        self.faults: list[int | tuple[str, float]] = []
        self.always: int | tuple[str, float] | None = None
        self.requests: list[str] = []
        self.sent = 0
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_port}"
        self.ended = threading.Event()
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, args=[0.05], daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no news."""

    def close(self) -> None:
        self.ended.set()
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        fault = self.server.faults.pop(0) if self.server.faults else self.server.always
        file = self.server.folder / self.path.rpartition("/")[2]
        if isinstance(fault, int) or not file.is_file():
            return self.send_error(fault if isinstance(fault, int) else 404)
        data = bytearray(file.read_bytes())
        word, share = fault or ("", 1)
        at = int(len(data) * share)
        if word == "flip":
            data[at] ^= 1
        if word == "short":
            data = data[:at]
        asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", "")) if self.server.has_ranges else None
        begin = int(asked[1]) if asked else 0
        if asked and begin >= len(data):
            return self.send_error(416)
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        body = data[begin : at if word in ("cut", "stall") else None]
        # Before the client has it all, and asks how much that was.
        self.server.sent += len(body)
        self.wfile.write(body)
        if word == "stall":
            self.server.ended.wait(20)
        self.close_connection = True
        return None

    def log_message(self, format: str, *args: object) -> None:
        """What came is counted by the server."""


def until(condition: Any, seconds: float = 120) -> None:
    """Wait until `condition()` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@contextlib.contextmanager
def small_disk(folder: Path, size: str, *options: str) -> Iterator[Path]:
    """A file system of its own at `folder`; the test is skipped where none can be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", ",".join([f"size={size}", "mode=0700", *options]), "none", folder]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)
