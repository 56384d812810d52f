"""Solving and linking: the conda part of an environment, by py-rattler."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

import rattler
from rattler.exceptions import GatewayError, InvalidMatchSpecError, SolverError

from .condarc import channel_urls, settings
from .errors import CondaError
from .prefix import asked, is_environment, record_files, spec_name, write_history

PLATFORMS = ("linux-64", "noarch")
Package = tuple[str, str, str]  # name, version, build


def change(
    prefix: Path,
    specs: Sequence[str],
    channels: list[str],
    *,
    remove: Sequence[str] = (),
    prune: bool = False,
    dry_run: bool = False,
) -> dict[str, list] | None:
    """Bring `specs` into the environment, making it if need be.

    With `prune` whatever the specs do not need goes; packages of pip always stay. Returns the linked and
    unlinked packages, None where there is nothing to do. A failure leaves no new folder behind.
    """
    installed = [rattler.PrefixRecord.from_path(file) for file in record_files(prefix)]
    wanted = {} if prune else asked(prefix)
    wanted |= {spec_name(spec): spec for spec in specs}
    for name in remove:
        wanted.pop(name, None)
    kept = [record for record in installed if record.name.normalized not in remove]
    solution = _solve(list(wanted.values()), channels, kept) if wanted else []

    before, after = _packages(installed), _packages(solution)
    if before == after and is_environment(prefix):
        return None
    if not dry_run:
        _link(prefix, solution, installed)
        changes = [f"-{'-'.join(p)}" for p in sorted(before - after)]
        changes += [f"+{'-'.join(p)}" for p in sorted(after - before)]
        write_history(prefix, changes, list(specs), [*remove, *(set(asked(prefix)) - set(wanted))])
    return {"LINK": _rows(after - before), "UNLINK": _rows(before - after)}


def _solve(specs: list[str], channels: list[str], installed: list) -> list:
    gateway = rattler.Gateway(cache_dir=_cache() / "cache")
    solving = rattler.solve(
        channel_urls(channels),
        specs,
        gateway=gateway,
        platforms=PLATFORMS,
        locked_packages=installed,
        virtual_packages=rattler.VirtualPackage.detect(),
        add_pip_as_python_dependency=True,
    )
    try:
        return asyncio.run(solving)
    except InvalidMatchSpecError as error:
        raise CondaError("InvalidMatchSpec", str(error)) from error
    except SolverError as error:
        name = "PackagesNotFoundError" if "No candidates" in str(error) else "UnsatisfiableError"
        raise CondaError(name, str(error).strip()) from error
    except GatewayError as error:
        raise CondaError("CondaHTTPError", str(error)) from error


def _link(prefix: Path, solution: list, installed: list) -> None:
    new = not prefix.exists()
    (prefix / "conda-meta").mkdir(parents=True, exist_ok=True)
    linking = rattler.install(solution, prefix, cache_dir=_cache(), installed_packages=installed, show_progress=False)
    try:
        asyncio.run(linking)
    except Exception as error:  # py-rattler raises what each step raises
        if new:
            shutil.rmtree(prefix, ignore_errors=True)
        raise CondaError("CondaError", f"linking failed: {error}") from error


def _cache() -> Path:
    return Path(settings()["pkgs_dirs"][0])


def _packages(records: list) -> set[Package]:
    return {(record.name.normalized, str(record.version), str(record.build)) for record in records}


def _rows(packages: set[Package]) -> list[dict[str, str]]:
    return [dict(zip(("name", "version", "build_string"), row, strict=True)) for row in sorted(packages)]
