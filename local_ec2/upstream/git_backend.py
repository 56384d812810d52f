"""git's smart HTTP: one request handed to `git http-backend`, a CGI program."""

import contextlib
import email.message
import email.parser
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

READ_ONLY = ("/info/refs", "/git-upload-pack", "/HEAD")


def allowed(path: str, query: str) -> bool:
    """Whether the request only reads."""
    return path.endswith(READ_ONLY) and "git-receive-pack" not in query


@contextmanager
def respond(
    root: Path, method: str, path: str, query: str, headers: email.message.Message, body: bytes
) -> Iterator[tuple[int, list[tuple[str, str]], BinaryIO]]:
    """Run the backend for `path` under `root`; gives status, headers and the body still to be read."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_PROJECT_ROOT": str(root),
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": headers.get("Content-Type", ""),
        "HTTP_CONTENT_ENCODING": headers.get("Content-Encoding", ""),
        "GIT_PROTOCOL": headers.get("Git-Protocol", ""),
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REMOTE_ADDR": "machine",
        "REQUEST_METHOD": method,
    }
    with subprocess.Popen(
        ["git", "http-backend"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as backend:
        # The body is small (what the client has and wants), so it fits before the answer is read.
        with contextlib.suppress(BrokenPipeError), backend.stdin as stdin:
            stdin.write(body)
        answer = email.parser.BytesParser().parsebytes(_head(backend.stdout))
        status = int(answer.get("Status", "200").split()[0])
        yield status, [(k, v) for k, v in answer.items() if k != "Status"], backend.stdout


def _head(stream: BinaryIO) -> bytes:
    lines = []
    while (line := stream.readline()).strip():
        lines.append(line)
    return b"".join(lines)
