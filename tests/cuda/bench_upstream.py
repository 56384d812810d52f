"""A server for what machines download."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_cloud import free_port

from local_ec2.upstream import make_server


@dataclass
class Upstream:
    """A folder, and where machines find it."""

    directory: Path
    url: str

    @property
    def _log(self) -> Path:
        return self.directory.parent / "upstream.log"

    def requests(self) -> list[dict[str, Any]]:
        """Each request so far: client, method, path, status, bytes, seconds."""
        return [json.loads(line) for line in self._log.read_text().splitlines()] if self._log.exists() else []

    def forget_requests(self) -> None:
        self._log.unlink(missing_ok=True)


@contextlib.contextmanager
def served(directory: Path, address: str) -> Iterator[Upstream]:
    """A new folder, served on a free port of this host's address."""
    directory.mkdir()
    server = make_server((address, free_port()), directory)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Upstream(directory, f"http://{address}:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
