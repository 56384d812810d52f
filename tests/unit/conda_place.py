"""A conda that only makes virtual environments, an index of small wheels, and the conda_env module run with them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pip
import pytest

ROOT = Path(__file__).resolve().parents[2]
CONDA = f"""#!{sys.executable}
import json, os, pathlib, sys, venv
fault = os.environ["FAULT"]
with open(pathlib.Path(__file__).parents[1] / "calls", "a") as calls:
    print(*sys.argv[1:], file=calls)
if fault == "conda":
    sys.exit("Solving\\nPackagesNotFoundError: nothing provides it\\n")
if fault == "asks":
    sys.exit("Proceed ([y]/n)? " + (sys.stdin.read() or "nobody answers"))
prefix, file = (pathlib.Path(sys.argv[sys.argv.index(flag) + 1]) for flag in ("-p", "-f"))
content = json.loads(file.read_text())
(prefix / "conda-meta").mkdir(parents=True, exist_ok=True)
if fault == "early":
    os.kill(os.getpid(), 9)
venv.create(prefix)
site = prefix / "lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
if not (site / "pip").exists():
    (site / "pip").symlink_to("{Path(pip.__file__).parent}")
# pip takes a folder away in which it sees nothing else, and links it does not see.
(site / "README.txt").touch()
specs = content["dependencies"]
for spec in specs if fault != "silent" else []:
    name, _, version = spec.partition("=")
    (prefix / f"conda-meta/{{name}}-{{version.strip('=') or '1'}}-0.json").write_text('{{"depends": []}}')
with open(prefix / "conda-meta/history", "a") as history:
    print("# update specs:", specs, file=history)
if fault == "late":
    (site / "cpu-1.0.dist-info").mkdir()
    (site / "cpu-1.0.dist-info/METADATA").write_text("Name: cpu\\nVersion: 1.0\\n")
    os.kill(os.getpid(), 9)
"""


def wheel(folder: Path, name: str, requires: str = "", module: str = "both", version: str = "1.0", **more: str) -> None:
    """A distribution whose module is `both`, as CPU and GPU builds of one library have it, and `more` files by path."""
    info = f"{name}-{version}.dist-info"
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    files = {
        f"{module}.py": f"name = {name!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **more,
    }
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            entry = zipfile.ZipInfo(path)
            entry.external_attr = 0o100755 << 16
            archive.writestr(entry, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"]))


class Place:
    """A folder with a conda, an index of wheels, and room for an environment."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.prefix = folder, folder / "conda/envs/e"
        self.calls = folder / "conda/calls"
        self.index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder / "wheels"), "PIP_EXTRA_INDEX_URL": ""}
        (folder / "conda/bin").mkdir(parents=True)
        (folder / "wheels").mkdir()
        wheel(folder / "wheels", "cpu")
        wheel(folder / "wheels", "gpu", "library")
        wheel(folder / "wheels", "library", module="library")
        for name, text in (("conda", CONDA), ("python", f'#!/bin/sh\nexec {sys.executable} "$@"\n')):
            (folder / "conda/bin" / name).write_text(text)
            (folder / "conda/bin" / name).chmod(0o755)

    def __call__(self, fault: str = "", check: bool = False, **options: Any) -> dict[str, Any]:
        """Run the module; its answer."""
        with self.started(fault, check, **options) as module:
            told, errors = module.communicate()
        assert told, errors
        return json.loads(told)

    def started(self, fault: str = "", check: bool = False, **options: Any) -> subprocess.Popen[str]:
        """The module as it runs, in a process group of its own."""
        arguments = {
            "prefix": str(self.prefix),
            "executable": str(self.folder / "conda/bin/conda"),
            "_ansible_check_mode": check,
            "_ansible_diff": True,
            "_ansible_remote_tmp": str(self.folder / "tmp"),
            **options,
        }
        if not {"file", "definition"} & set(options) and options.get("state") != "absent":
            arguments["definition"] = {"dependencies": ["python=3.11", {"pip": ["cpu==1.0"]}]}
        module = subprocess.Popen(
            [sys.executable, "-m", "plugins.modules.conda_env"],
            env={**os.environ, **self.index, "FAULT": fault, "PYTHONPATH": str(ROOT)},
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert module.stdin
        module.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
        module.stdin.close()
        module.stdin = None
        return module

    def locked(self, *names: str, version: str = "1.0") -> str:
        """These distributions as a lock has them."""
        files = {name: self.folder / f"wheels/{name}-{version}-py3-none-any.whl" for name in names}
        digests = {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()}
        return "".join(f"{name}=={version} --hash=sha256:{digest}\n" for name, digest in digests.items())

    def uv(self) -> str:
        """The uv of these tests, as a wheel in the index."""
        script = f'#!/bin/sh\necho "$@" >> {self.folder}/uv-calls\nexec {Path(sys.executable).with_name("uv")} "$@"\n'
        wheel(self.folder / "wheels", "uv", **{"uv-1.0.data/scripts/uv": script})
        return self.locked("uv").strip()

    def imported(self) -> str:
        """Which of the two wheels the environment imports."""
        command = [self.prefix / "bin/python", "-c", "import both; print(both.name)"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def beside(self) -> list[str]:
        return sorted(path.name for path in self.prefix.parent.iterdir())


@pytest.fixture
def conda(tmp_path: Path) -> Place:
    return Place(tmp_path)
