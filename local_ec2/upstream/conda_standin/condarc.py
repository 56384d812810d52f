"""Settings: the .condarc files in conda's search order, then CONDA_* variables."""

import os
import sys
from pathlib import Path

import yaml

from .errors import CondaError

ROOT = Path(sys.prefix)

DEFAULTS: dict[str, object] = {
    "always_yes": False,
    "channel_alias": "https://conda.anaconda.org",
    "channels": ["defaults"],
    "custom_channels": {},
    "default_channels": [
        "https://repo.anaconda.com/pkgs/main",
        "https://repo.anaconda.com/pkgs/r",
    ],
    "envs_dirs": [],
    "pkgs_dirs": [],
}


def search_path() -> list[Path]:
    """Every place a .condarc may be in, the weakest first."""
    home = Path.home()
    xdg = Path(os.environ.get("XDG_CONFIG_HOME", home / ".config"))
    folders = [Path("/etc/conda"), Path("/var/lib/conda"), ROOT, xdg / "conda", home / ".conda"]
    places = [place for folder in folders for place in _within(folder)] + [home / ".condarc"]
    if prefix := os.environ.get("CONDA_PREFIX"):
        places += _within(Path(prefix))
    if single := os.environ.get("CONDARC"):
        places.append(Path(single))
    return list(dict.fromkeys(places))


def _within(folder: Path) -> list[Path]:
    return [folder / ".condarc", folder / "condarc", *sorted((folder / "condarc.d").glob("*.y*ml"))]


def files() -> list[Path]:
    """The .condarc files that exist, the weakest first."""
    return [place for place in search_path() if place.is_file()]


def settings() -> dict[str, object]:
    """The merged settings: a list grows at its front, a map key by key, anything else is replaced."""
    merged: dict[str, object] = {}
    for layer in [*map(_read, files()), _from_environment()]:
        for key, value in layer.items():
            merged[key] = _merge(merged.get(key), value)
    result = DEFAULTS | merged
    result["envs_dirs"] = [*_paths(result["envs_dirs"]), *_own_folders("envs")]
    result["pkgs_dirs"] = _paths(result["pkgs_dirs"]) or _own_folders("pkgs")
    return result


def channel_urls(names: list[str]) -> list[str]:
    """Addresses of channels given by name, path or address, in order and without repetition."""
    conf = settings()
    urls: list[str] = []
    for name in names:
        if name == "defaults":
            urls += conf["default_channels"]
        elif "://" in name:
            urls.append(name)
        elif name.startswith("/"):
            urls.append(f"file://{name}")
        else:
            base = str(conf["custom_channels"].get(name, conf["channel_alias"]))
            urls.append(f"{base.rstrip('/')}/{name}")
    return [url.rstrip("/") + "/" for url in dict.fromkeys(urls)]


def _read(file: Path) -> dict[str, object]:
    try:
        layer = yaml.safe_load(file.read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise CondaError("ConfigurationLoadError", f"cannot load {file}: {error}") from error
    if not isinstance(layer, dict):
        raise CondaError("ConfigurationLoadError", f"{file} is not a map of settings")
    return layer


def _from_environment() -> dict[str, object]:
    layer: dict[str, object] = {}
    for key, default in DEFAULTS.items():
        value = os.environ.get(f"CONDA_{key.upper()}")
        if value is not None and not isinstance(default, dict):
            layer[key] = value.split(",") if isinstance(default, list) else yaml.safe_load(value)
    return layer


def _merge(old: object, new: object) -> object:
    if isinstance(new, list):
        return list(dict.fromkeys([*new, *(old or [])]))
    if isinstance(new, dict):
        return {**(old or {}), **new}
    return new


def _paths(values: object) -> list[str]:
    return [str(Path(value).expanduser()) for value in values]


def _own_folders(kind: str) -> list[str]:
    """The installation's folder and the user's, the one that can be written first."""
    folders = [str(ROOT / kind), str(Path.home() / ".conda" / kind)]
    return folders if os.access(ROOT / kind, os.W_OK) else folders[::-1]
