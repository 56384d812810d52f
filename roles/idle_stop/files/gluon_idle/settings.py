"""What the machine was told: one JSON file, written by the idle_stop role."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path

FILE = "/etc/gluon-ec2/idle.json"
REPAIR = "Run the idle_stop role again; until then nothing is stopped."


@dataclass(frozen=True)
class Settings:
    """As in the role's README. 0 and '' switch off what they belong to."""

    minutes: float = 0
    max_hours: float = 0
    daily_at: str = ""
    timezone: str = ""
    warn_minutes: float = 5
    cpu_percent: float = 50
    gpu_percent: float = 5
    jupyter_url: str = "http://127.0.0.1:8888"
    jupyter_token_file: str = "/etc/jupyter/token"
    user: str = ""
    folder: str = ""
    keep_file: str = ""
    keep_hours: float = 12
    spot_stop: bool = False
    spot_watch: bool = True
    checkpoint_folder: str = "/etc/gluon-ec2/checkpoint.d"
    checkpoint_seconds: float = 60
    metadata_url: str = "http://169.254.169.254"


def load(file: Path) -> Settings:
    """Raises SystemExit with a sentence when the file cannot be used: then nothing is stopped."""
    try:
        told = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise SystemExit(f"{file} cannot be read ({error}). {REPAIR}") from None
    if not isinstance(told, dict):
        raise SystemExit(f"{file} is no set of settings. {REPAIR}")
    if unknown := set(told) - {field.name for field in fields(Settings)}:
        raise SystemExit(f"{file} has {', '.join(sorted(unknown))}, which means nothing. {REPAIR}")
    return Settings(**told)
