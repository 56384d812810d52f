"""A machine in a folder, on which the conda_installation module works, and installers that behave like real ones."""

from __future__ import annotations

import contextlib
import hashlib
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

from plugins.module_utils import conda_installation_settings, download, lock
from plugins.modules import conda_installation

ROOT = Path(__file__).resolve().parents[2]
OLD, NEW = "py311_26.1.1-1", "py312_26.9.4-1"
MINICONDA, NEWER, MINIFORGE = (
    f"{name}-Linux-x86_64.sh" for name in (f"Miniconda3-{OLD}", f"Miniconda3-{NEW}", "Miniforge3-26.3.2-3")
)
TERMS = "https://repo.example.com/pkgs/main"
SIZE = 1 << 20  # bytes of an installer, most of them behind its end
INSTALLER = r"""#!/bin/bash
# Unpacks into PREFIX as real ones do: without asking whether it is whole, and the file that makes it a conda last.
set -eu
case "$0" in *.sh) ;; *) echo "the name has to end in .sh" >&2; exit 1 ;; esac
printf '%s\n' "$*" >> "$TEST_ROOT/calls"
printf '%s\n' "$HOME $TMPDIR ${CONDARC-unset} ${PYTHONPATH-unset} ${CONDA_PREFIX-unset}" > "$TEST_ROOT/environment"
PREFIX= FORCE=0
while getopts "bfup:" flag; do
    case "$flag" in f | u) FORCE=1 ;; p) PREFIX="$OPTARG" ;; b) ;; *) exit 1 ;; esac
done
[ "$FORCE" = 1 ] || ! [ -e "$PREFIX" ] || { echo "ERROR: File or directory already exists" >&2; exit 1; }
mkdir -p "$PREFIX/bin" "$PREFIX/pkgs"
if [ -e "$PREFIX/conda-meta/history" ]; then echo updated >> "$PREFIX/pkgs/log"; fi
case "$TEST_FAULT" in
    half) echo "unpacking" ; echo "ERROR: the payload cannot be read" >&2; exit 1 ;;
    sleep) touch "$TEST_ROOT/halfway"; sleep 60 ;;
    full) head -c 64m /dev/zero > "$PREFIX/pkgs/fill" || exit 1 ;;
    nothing) exit 0 ;;
esac
echo 'echo "$TMPDIR"' > "$TMPDIR/unpacked"; chmod +x "$TMPDIR/unpacked"; "$TMPDIR/unpacked" > /dev/null
mkdir -p "$PREFIX/conda-meta" "$PREFIX/envs" "$PREFIX/etc/profile.d"
rm -f "$PREFIX"/conda-meta/*.json
echo "{}" > "$PREFIX/conda-meta/conda-@VERSION@-0.json"
[ @TERMS@ = 0 ] || echo "{}" > "$PREFIX/conda-meta/conda-anaconda-tos-0.2.2-0.json"
echo "channels: [defaults]" > "$PREFIX/.condarc"
printf '%s\n' 'conda() { command conda "$@"; }' > "$PREFIX/etc/profile.d/conda.sh"
cat > "$PREFIX/bin/conda" <<'END'
#!/bin/bash
printf '%s\n' "conda $*" >> "$TEST_ROOT/calls"
case "$*" in
    --version) [ "$TEST_FAULT" != broken ] || { echo "ImportError: cannot import name x" >&2; exit 1; }
        echo "conda @VERSION@" ;;
    "tos accept --system --override-channels --channel "*)
        root=$(dirname "$(dirname "$0")") url=${!#}
        case "$url" in
            *down*) echo "CondaHTTPError: HTTP 000 CONNECTION FAILED" >&2; exit 1 ;;
            *without*) echo "Terms of Service not found for $url"; exit 0 ;;
        esac
        hash=$(printf %s "$url" | sha256sum | cut -c-64)
        mkdir -p "$root/conda-meta/tos/$hash"
        printf '{"base_url": "%s", "tos_accepted": true, "version": "2025-07-15T00:00:00Z"}' "$url" \
            > "$root/conda-meta/tos/$hash/1752537600.0.json"
        echo "accepted Terms of Service for $url" ;;
    *) exit 2 ;;
esac
END
chmod 755 "$PREFIX/bin/conda"
if [ "$TEST_FAULT" = writable ]; then
    chmod 777 "$PREFIX/bin" "$PREFIX/etc/profile.d/conda.sh"; chown -h 1234:1234 "$PREFIX/pkgs"
fi
touch "$PREFIX/conda-meta/history"
exit 0
"""
# The module as another process, its fixed places moved into the folder that is the first argument.
ELSEWHERE = """
import sys
from pathlib import Path
from plugins.module_utils import conda_installation_settings, download, lock
conda_installation_settings.SITE_TERMS = (Path(sys.argv.pop()) / "etc/conda/tos",)
lock.POLL, download.WAITS = 0.05, (0, 0, 0)
from plugins.modules import conda_installation
conda_installation.main()
"""


def write_installer(folder: Path, name: str) -> None:
    """The same bytes each time, so that a checksum can be pinned."""
    version = name.removeprefix("Miniconda3-py").removeprefix("Miniforge3-").split("_")[-1].split("-")[0]
    text = INSTALLER.replace("@VERSION@", version).replace("@TERMS@", str(int(name.startswith("Miniconda3"))))
    padding = hashlib.sha256(name.encode()).digest() * (SIZE // 32)
    (folder / name).write_bytes((text.encode() + padding)[:SIZE])


class Host:
    """Everything that the module and the installers write lies in `folder`."""

    def __init__(self, folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.server, self.monkeypatch = folder, server, monkeypatch
        self.prefix = folder / "opt/miniconda3"
        self.work = folder / "opt/.miniconda3.download"
        self.condarc, self.profile = self.prefix / ".condarc", folder / "etc/profile.d/miniconda.sh"
        monkeypatch.setattr(conda_installation_settings, "SITE_TERMS", (folder / "etc/conda/tos",))
        monkeypatch.setattr(lock, "POLL", 0.05)
        monkeypatch.setattr(download, "WAITS", (0, 0, 0))
        # It may take seconds where others keep the disk busy.
        monkeypatch.setattr(os, "sync", lambda: None)
        # Not called CONDA_..., which the module keeps from conda.
        monkeypatch.setenv("TEST_ROOT", str(folder))
        monkeypatch.setenv("RES_OPTIONS", download.RESOLVER)
        # To read all of this machine's certificates takes a tenth of a second each time.
        monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
        for name in PROXIES:
            monkeypatch.delenv(name, raising=False)

    def options(self, name: str, check: bool, given: dict[str, Any]) -> dict[str, Any]:
        file = self.server.folder / name
        return {
            "prefix": str(self.prefix),
            "url": f"{self.server.url}/miniconda/{name}",
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "version": name.partition("-")[2].partition("-Linux")[0],
            "condarc": {"channels": ["conda-forge"]},
            "profile": str(self.profile),
            "free_space": 0,
            "_ansible_check_mode": check,
            "_ansible_diff": True,
            "_ansible_remote_tmp": str(self.folder / "remote"),
            **given,
        }

    def __call__(self, name: str = MINICONDA, fault: str = "", check: bool = False, **given: Any) -> dict[str, Any]:
        """Run the module; its answer."""
        self.set_fault(fault)
        said, umask, before = io.StringIO(), os.umask(0o077), dict(os.environ)
        try:
            with (
                patch_module_args(self.options(name, check, given)),
                contextlib.redirect_stdout(said),
                pytest.raises(SystemExit),
            ):
                conda_installation.main()
        finally:
            os.umask(umask)
            os.environ.clear()
            os.environ.update(before)
        return json.loads(said.getvalue())

    def start(self, name: str = MINICONDA, fault: str = "", **given: Any) -> subprocess.Popen[bytes]:
        """Start the module as a process of its own."""
        self.set_fault(fault)
        process = subprocess.Popen(
            [sys.executable, "-c", ELSEWHERE, self.folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        )
        process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": self.options(name, False, given)}).encode())
        process.stdin.close()
        process.stdin = None
        return process

    def set_fault(self, fault: str) -> None:
        """Of the installer: half, sleep, full, nothing, writable; of what it installs: broken."""
        self.monkeypatch.setenv("TEST_FAULT", fault)

    def calls(self) -> list[str]:
        """The flags that installers were called with, and what conda was asked."""
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []

    def installs(self) -> list[str]:
        return [call for call in self.calls() if not call.startswith("conda ")]

    def beside(self) -> list[str]:
        """What lies where the installation does, hidden files too."""
        return sorted(file.name for file in (self.folder / "opt").iterdir())

    def tree(self) -> list[tuple[str, float]]:
        """All files with the time of their last change."""
        return sorted((str(path), path.lstat().st_mtime) for path in self.folder.rglob("*"))


@pytest.fixture(scope="session")
def installers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all the installers."""
    folder = tmp_path_factory.mktemp("installers")
    for name in (MINICONDA, NEWER, MINIFORGE):
        write_installer(folder, name)
    return folder


@pytest.fixture
def server(installers: Path) -> Iterator[Server]:
    server = Server(installers)
    yield server
    server.close()


@pytest.fixture
def host(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, server, monkeypatch)
