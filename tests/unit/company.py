"""A company's network: a host beyond its proxy, which wants a password, under the company's own authority."""

from __future__ import annotations

import functools
import http.server
import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fault_server import PROXIES
from private_network import Authority, Proxy

ROOT = Path(__file__).resolve().parents[2]
LOGIN = "me:hush"


class Company:
    """`www` is what https://far.example.org has. No name server knows that name, so the proxy is the only way to it."""

    url = "https://far.example.org"

    def __init__(self, folder: Path) -> None:
        self.folder, self.www = folder, folder / "www"
        self.www.mkdir(parents=True)
        self.authority = Authority(folder)
        handler = functools.partial(Quiet, directory=str(self.www))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.authority.issue("far.example.org"))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, args=[0.05], daemon=True).start()
        self.proxy = Proxy(self.server.server_port, login=f"{LOGIN}@")

    def close(self) -> None:
        self.proxy.close()
        self.server.shutdown()
        self.server.server_close()

    @property
    def way(self) -> dict[str, str]:
        """The modules' options."""
        return {"proxy": self.proxy.url, "ca_bundle": str(self.authority.bundle)}

    def has_led_out(self) -> bool:
        """Whether the proxy was asked for the host and for nothing else, and something came back."""
        return set(self.proxy.asked) == {"far.example.org:443"} and self.proxy.sent > 0

    def run(self, module: str, **options: Any) -> dict[str, Any]:
        """The module as a process of its own; its answer, in which there is no password."""
        done = subprocess.run(
            [sys.executable, "-m", f"plugins.modules.{module}"],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": {"_ansible_remote_tmp": str(self.folder / "tmp"), **options}}),
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout, done.stderr
        assert "hush" not in done.stdout + done.stderr
        return json.loads(done.stdout)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    for name in list(os.environ):
        if name in PROXIES or name.startswith(("GIT_", "PIP_", "CURL_", "SSL_", "REQUESTS_", "CONDA_")):
            monkeypatch.delenv(name)
    company = Company(tmp_path / "company")
    yield company
    company.close()
