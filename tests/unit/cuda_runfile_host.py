"""A machine in a folder, on which the cuda_runfile module works, and the runfiles that it takes."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from fault_server import PROXIES, Server

from local_ec2.upstream import runfile
from plugins.module_utils import cuda_runfile as installation
from plugins.module_utils import cuda_runfile_toolkit, download, lock
from plugins.modules import cuda_runfile

ROOT = Path(__file__).resolve().parents[2]
CUDA_8, PATCH, CUDA_11 = (runfile.RUNFILES[index] for index in (0, 1, 4))
# The module as another process, its fixed places moved into the folder that is the first argument.
ELSEWHERE = """
import sys
from pathlib import Path
from plugins.module_utils import cuda_runfile as installation, cuda_runfile_toolkit as toolkit, download, lock
root = Path(sys.argv.pop())
installation.LOGS, installation.TMP, toolkit.LOCK = root / "var/log", root / "tmp", root / "lock"
lock.POLL, download.WAITS = 0.05, (0, 0, 0)
from plugins.modules import cuda_runfile
cuda_runfile.main()
"""


class Host:
    """Everything that the module and the stand-in write lies in `folder`."""

    def __init__(self, folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.server, self.monkeypatch = folder, server, monkeypatch
        self.root, self.cache = folder / "root", folder / "cache"
        self.record = self.root / "var/log/cuda-runfile-standin.jsonl"
        for name in ("var/log", "tmp", "etc/ld.so.conf.d"):
            (self.root / name).mkdir(parents=True)
        monkeypatch.setattr(installation, "LOGS", self.root / "var/log")
        monkeypatch.setattr(installation, "TMP", self.root / "tmp")
        monkeypatch.setattr(cuda_runfile_toolkit, "LOCK", self.root / "lock")
        monkeypatch.setattr(cuda_runfile_toolkit, "LD_CONF", self.root / "etc/ld.so.conf.d")
        monkeypatch.setattr(cuda_runfile_toolkit, "LDCONFIG", ["true"])
        monkeypatch.setattr(lock, "POLL", 0.05)
        monkeypatch.setattr(download, "WAITS", (0, 0, 0))
        # It may take seconds where others keep the disk busy.
        monkeypatch.setattr(os, "sync", lambda: None)
        monkeypatch.setenv("CUDA_STANDIN_ROOT", str(self.root))
        monkeypatch.setenv("RES_OPTIONS", download.RESOLVER)
        # No test needs a certificate, and to read all of them takes a tenth of a second each time.
        monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
        for name in (*PROXIES, "CUDA_STANDIN_FAULT", "CUDA_STANDIN_LOG"):
            monkeypatch.delenv(name, raising=False)

    def path(self, version: str = "8.0") -> Path:
        return self.folder / "opt" / f"cuda-{version}"

    def file(self, wanted: runfile.Runfile) -> dict[str, str]:
        """url and sha256 of a runfile that is served."""
        return {
            "url": f"{self.server.url}/cuda/{wanted.file}",
            "sha256": runfile.sha256(self.server.folder / wanted.file),
        }

    def options(self, wanted: runfile.Runfile, check: bool, given: dict[str, Any]) -> dict[str, Any]:
        version = given.get("version", wanted.release)
        return {
            "version": version,
            "path": str(self.path(version)),
            "cache": str(self.cache),
            **({} if given.get("state") == "absent" else self.file(wanted)),
            "_ansible_check_mode": check,
            "_ansible_diff": True,
            "_ansible_remote_tmp": str(self.folder / "remote"),
            **given,
        }

    def __call__(
        self, wanted: runfile.Runfile = CUDA_8, fault: str = "", check: bool = False, **given: Any
    ) -> dict[str, Any]:
        """Run the module; its answer."""
        self.monkeypatch.setenv("CUDA_STANDIN_FAULT", fault)
        said, umask, before = io.StringIO(), os.umask(0o022), dict(os.environ)
        try:
            with (
                patch_module_args(self.options(wanted, check, given)),
                contextlib.redirect_stdout(said),
                pytest.raises(SystemExit),
            ):
                cuda_runfile.main()
        finally:
            os.umask(umask)
            os.environ.clear()
            os.environ.update(before)
        return json.loads(said.getvalue())

    def start(self, wanted: runfile.Runfile = CUDA_8, fault: str = "", **given: Any) -> subprocess.Popen[bytes]:
        """Start the module as a process of its own."""
        process = subprocess.Popen(
            [sys.executable, "-c", ELSEWHERE, self.root],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "CUDA_STANDIN_FAULT": fault},
        )
        process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": self.options(wanted, False, given)}).encode())
        process.stdin.close()
        process.stdin = None
        return process

    def calls(self) -> list[dict[str, Any]]:
        """What the runfiles were called with."""
        return [json.loads(line) for line in self.record.read_text().splitlines()] if self.record.exists() else []

    def beside(self) -> list[str]:
        """What lies where toolkits do, hidden files too."""
        return sorted(file.name for file in (self.folder / "opt").iterdir())


@pytest.fixture(scope="session")
def runfiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all the runfiles."""
    folder = tmp_path_factory.mktemp("runfiles")
    runfile.build(folder, print)
    return folder


@pytest.fixture
def server(runfiles: Path) -> Iterator[Server]:
    server = Server(runfiles)
    yield server
    server.close()


@pytest.fixture
def host(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, server, monkeypatch)
