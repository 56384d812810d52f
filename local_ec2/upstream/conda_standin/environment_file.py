"""environment.yml, and the pip part of it."""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from .errors import CondaError
from .prefix import spec_name


@dataclass
class EnvironmentFile:
    """What an environment file says."""

    name: str | None = None
    channels: list[str] = field(default_factory=list)
    conda: list[str] = field(default_factory=list)
    pip: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)


def read(path: str) -> EnvironmentFile:
    """Read an environment file; where pip is needed but not listed, pip is added and nagged about."""
    file = Path(path)
    if file.suffix not in (".yml", ".yaml"):
        raise CondaError("EnvironmentFileExtensionNotValid", f"{file.absolute()} must end in .yml or .yaml")
    try:
        data = yaml.safe_load(file.read_text()) or {}
    except OSError as error:
        raise CondaError("EnvironmentFileNotFound", f"'{file.absolute()}' file not found") from error
    except yaml.YAMLError as error:
        raise CondaError("CondaEnvException", f"{file.absolute()} is no valid YAML: {error}") from error
    if not isinstance(data, dict):
        raise CondaError("CondaEnvException", f"{file.absolute()} is not a map")

    dependencies = data.get("dependencies") or []
    result = EnvironmentFile(
        name=data.get("name"),
        channels=data.get("channels") or [],
        conda=[str(item) for item in dependencies if not isinstance(item, dict)],
        pip=[line for item in dependencies if isinstance(item, dict) for line in item.get("pip") or []],
        variables=data.get("variables") or {},
    )
    if result.pip and "pip" not in map(spec_name, result.conda):
        # On stdout, before any JSON: conda does so, and callers have to cope with it.
        print("Warning: there are pip-installed dependencies, but pip is not listed itself; adding it.")
        result.conda.append("pip")
    return result


def pip_install(prefix: Path, requirements: list[str], file: str) -> list[str] | None:
    """Install the pip part with the environment's own pip; returns what pip installed, None for nothing.

    pip's output goes to stderr line by line, since the caller's stdout may have to be JSON.
    """
    folder = Path(file).absolute().parent
    workdir = folder if os.access(folder, os.W_OK) else None
    with tempfile.NamedTemporaryFile("w", dir=workdir, prefix="condaenv.", suffix=".requirements.txt") as listed:
        listed.write("".join(f"{line}\n" for line in requirements))
        listed.flush()
        command = [prefix / "bin" / "python", "-u", "-m", "pip", "install", "-U", "-r", listed.name]
        command += ["--exists-action=b"]
        return _watch(command, workdir)


def _watch(command: list, workdir: Path | None) -> list[str] | None:
    installed = None
    with subprocess.Popen(command, cwd=workdir, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as pip:
        for line in pip.stdout:
            sys.stderr.write(line)
            sys.stderr.flush()
            if line.startswith("Successfully installed "):
                installed = line.split()[2:]
    if pip.returncode:
        raise CondaError("CondaEnvException", "Pip failed")
    return installed
