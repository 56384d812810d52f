"""The HTTP server: files with ranges, and git repositories under /git/."""

import json
import re
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from local_ec2.upstream import git_backend

CHUNK = 1 << 18  # bytes
LONGEST_BODY = 1 << 24  # bytes; a git client's list of commits is far below
IP_FREEBIND = getattr(socket, "IP_FREEBIND", 15)
LOG = "upstream.log"


def make_server(address: tuple[str, int], directory: Path) -> ThreadingHTTPServer:
    """A server of `directory`, bound to `address` though that may not exist yet; `serve_forever` runs it.

    Each request becomes a line of JSON in upstream.log beside `directory`: time, client, method, path,
    status, bytes (of the body) and seconds.
    """
    return Server(address, directory)


class Server(ThreadingHTTPServer):
    """Knows what it serves and where it writes its log."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], directory: Path) -> None:
        self.directory = directory
        self.log = directory.parent / LOG
        self.log_lock = threading.Lock()
        super().__init__(address, Handler)

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
        # Not HTTPServer's, which asks the name server for the name of an address that is not there yet.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def finish_request(self, request, client_address) -> None:
        self.RequestHandlerClass(request, client_address, self, directory=str(self.directory))


class Handler(SimpleHTTPRequestHandler):
    """One request."""

    server: Server

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        started, self.status, self.sent = time.monotonic(), 0, 0
        url = urlsplit(self.path)
        path = unquote(url.path)
        try:
            if path.startswith("/git/"):
                self._git(path, url.query)
            elif self.command == "POST":
                self.send_error(HTTPStatus.METHOD_NOT_ALLOWED)
            else:
                self._file()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client went; the log says how much it got
        finally:
            self._log(path, time.monotonic() - started)

    def _file(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            return self.send_error(HTTPStatus.NOT_FOUND)
        size, changed = path.stat().st_size, self.date_time_string(path.stat().st_mtime)
        # A part of another state than the one that the client has a part of would make no whole.
        wanted = self.headers.get("Range") if self.headers.get("If-Range", changed) == changed else None
        try:
            span = byte_range(wanted, size)
        except ValueError:
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self._headers([("Content-Range", f"bytes */{size}"), ("Content-Length", "0")])
            return None
        first, last = span or (0, size - 1)
        headers = [
            ("Accept-Ranges", "bytes"),
            ("Cache-Control", "no-cache"),  # a rebuilt channel is seen at once
            ("Content-Length", str(last - first + 1)),
            ("Content-Type", self.guess_type(path)),
            ("Last-Modified", changed),
        ]
        if span:
            headers.append(("Content-Range", f"bytes {first}-{last}/{size}"))
        self.send_response(HTTPStatus.PARTIAL_CONTENT if span else HTTPStatus.OK)
        self._headers(headers)
        with path.open("rb") as file:
            file.seek(first)
            self._body(_chunks(file, last - first + 1))
        return None

    def _git(self, path: str, query: str) -> None:
        length = self.headers.get("Content-Length", "0")
        if not git_backend.allowed(path, query):
            return self.send_error(HTTPStatus.FORBIDDEN, "this repository is read only")
        if "Transfer-Encoding" in self.headers or not length.isdigit() or int(length) > LONGEST_BODY:
            return self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        body = self.rfile.read(int(length))
        root = self.server.directory / "git"
        inside = path.removeprefix("/git")
        with git_backend.respond(root, self.command, inside, query, self.headers, body) as answer:
            status, headers, stream = answer
            self.send_response(status)
            self._headers(headers)
            self._body(iter(lambda: stream.read1(CHUNK), b""))
        return None

    def _headers(self, headers: list[tuple[str, str]]) -> None:
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    def _body(self, chunks: Iterator[bytes]) -> None:
        for chunk in chunks if self.command != "HEAD" else ():
            self.wfile.write(chunk)
            self.sent += len(chunk)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        self.status = int(code)  # written with the byte count once the answer is out

    def log_message(self, format: str, *args: object) -> None:
        """Errors stand in the log by their status."""

    def _log(self, path: str, seconds: float) -> None:
        entry = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "client": self.client_address[0],
            "method": self.command,
            "path": path,
            "status": self.status,
            "bytes": self.sent,
            "seconds": round(seconds, 3),
        }
        with self.server.log_lock, self.server.log.open("a") as log:
            log.write(json.dumps(entry) + "\n")


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First and last byte that a Range header asks for; None for the whole file.

    Several ranges at once get the whole file, as the standard allows. Raises ValueError where nothing of
    the range is in the file.
    """
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", header or "")
    if not asked or not any(asked.groups()):
        return None
    start, end = asked.groups()
    if not start:
        first, last = max(0, size - int(end)), size - 1
    else:
        first, last = int(start), min(int(end or size), size - 1)
    if first > last:
        raise ValueError(header)
    return first, last


def _chunks(file: BinaryIO, left: int) -> Iterator[bytes]:
    while left and (chunk := file.read(min(CHUNK, left))):
        left -= len(chunk)
        yield chunk
