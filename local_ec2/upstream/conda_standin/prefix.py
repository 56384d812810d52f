"""What is in an environment: conda-meta, its history, and the packages that pip put there."""

import json
import re
from collections.abc import Iterable
from datetime import datetime
from importlib.metadata import distributions
from pathlib import Path

from . import VERSION
from .condarc import ROOT, settings
from .errors import CondaError


def is_environment(prefix: Path) -> bool:
    """Whether `prefix` is an environment in conda's own eyes."""
    return (prefix / "conda-meta" / "history").is_file()


def existing(prefix: Path) -> Path:
    """`prefix`, or an error where it is no environment."""
    if not is_environment(prefix):
        raise CondaError("EnvironmentLocationNotFound", f"Not a conda environment: {prefix}")
    return prefix


def by_name(name: str) -> Path:
    """The environment called `name`: where it is, or where it would be made."""
    if name in ("base", "root"):
        return ROOT
    places = [Path(folder) / name for folder in settings()["envs_dirs"]]
    return next((place for place in places if place.exists()), places[0])


def known() -> list[Path]:
    """The base and every named environment."""
    folders = [Path(folder) for folder in settings()["envs_dirs"]]
    named = [env for folder in folders if folder.is_dir() for env in sorted(folder.iterdir())]
    return [ROOT, *(env for env in named if is_environment(env))]


def record_files(prefix: Path) -> list[Path]:
    """The file of each conda package in the environment."""
    return sorted((prefix / "conda-meta").glob("*.json"))


def asked(prefix: Path) -> dict[str, str]:
    """What the user asked conda for, by package name: the specs of the history that still stand."""
    specs: dict[str, str] = {}
    history = prefix / "conda-meta" / "history"
    for line in history.read_text().splitlines() if history.is_file() else []:
        if found := re.match(r"# (update|remove) specs: (.*)", line):
            for spec in json.loads(found[2]):
                name = spec_name(spec)
                specs.pop(name, None)
                if found[1] == "update":
                    specs[name] = spec
    installed = {record["name"] for record in _records(prefix)}
    return {name: spec for name, spec in specs.items() if name in installed}


def write_history(prefix: Path, changes: Iterable[str], update: list[str], remove: list[str]) -> None:
    """Append a revision: the packages that came (+) and went (-), and what was asked for."""
    lines = [f"==> {datetime.now():%Y-%m-%d %H:%M:%S} <==", f"# conda version: {VERSION}", *changes]
    if remove:
        lines.append(f"# remove specs: {json.dumps(remove)}")
    if update:
        lines.append(f"# update specs: {json.dumps(update)}")
    with (prefix / "conda-meta" / "history").open("a") as history:
        history.writelines(f"{line}\n" for line in lines)


def spec_name(spec: str) -> str:
    """The package name at the head of a spec such as `conda-forge::python =3.11`."""
    return re.split(r"[\s=<>!~\[]", spec.rpartition("::")[2].strip(), maxsplit=1)[0].lower()


def listing(prefix: Path) -> list[dict[str, object]]:
    """All packages as `conda list --json` shows them; pip's packages shadow conda's of the same name."""
    records = _records(prefix)
    owned = {file for record in records for file in record["files"]}
    rows = {record["name"]: _conda_row(record) for record in records if not _lost(prefix, record)}
    for site in prefix.glob("lib/python3*/site-packages"):
        for package in distributions(path=[str(site)]):
            metadata = Path(str(package._path)) / "METADATA"  # importlib.metadata has no public way to ask
            name = re.sub(r"[-_.]+", "-", package.metadata["Name"] or "").lower()
            if name and str(metadata.relative_to(prefix)) not in owned:
                rows[name] = _pip_row(name, package.version)
    return sorted(rows.values(), key=lambda row: str(row["name"]))


def _records(prefix: Path) -> list[dict]:
    return [json.loads(file.read_text()) for file in record_files(prefix)]


def _lost(prefix: Path, record: dict) -> bool:
    """Whether pip has removed or replaced a Python package that conda had installed."""
    metadata = [file for file in record["files"] if file.endswith(".dist-info/METADATA")]
    return bool(metadata) and not any((prefix / file).exists() for file in metadata)


def _conda_row(record: dict) -> dict[str, object]:
    channel = str(record.get("channel") or "").rstrip("/")
    return {
        "base_url": channel,
        "build_number": record["build_number"],
        "build_string": record["build"],
        "channel": channel.rpartition("://")[2].lstrip("/"),
        "dist_name": f"{record['name']}-{record['version']}-{record['build']}",
        "name": record["name"],
        "platform": record["subdir"],
        "version": record["version"],
    }


def _pip_row(name: str, version: str) -> dict[str, object]:
    return {
        "base_url": "https://conda.anaconda.org/pypi",
        "build_number": 0,
        "build_string": "pypi_0",
        "channel": "pypi",
        "dist_name": f"{name}-{version}-pypi_0",
        "name": name,
        "platform": "pypi",
        "version": version,
    }
