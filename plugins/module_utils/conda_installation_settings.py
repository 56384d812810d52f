# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""What all users of a conda installation share: its .condarc, the link for their shells, the terms accepted."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .conda_installation import Installation
from .failed import Failed

HEADER = "# Written by Ansible, and written anew where it differs; a user's own ~/.condarc goes before it.\n"
# Where conda looks for terms besides the installation, and before it.
SITE_TERMS = (Path("/etc/conda/tos"), Path("/var/lib/conda/tos"))
TERMS = "conda-meta/tos"


def render(settings: dict[str, Any]) -> str:
    """The text of a .condarc: a setting to a line, each value as JSON, which YAML takes."""
    for name in settings:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name, re.ASCII):
            raise Failed(
                f"'{name}' is no setting of conda: names have small letters, digits and _.", options=["condarc"]
            )
    return HEADER + "".join(f"{name}: {json.dumps(settings[name], ensure_ascii=False)}\n" for name in sorted(settings))


class Settings:
    """What is wanted of an installation besides its being there. None is what is not looked at."""

    def __init__(self, installation: Installation, condarc: str | None, profile: Path | None, terms: list[str]) -> None:
        self.installation, self.wanted = installation, condarc
        self.condarc, self.profile = installation.prefix / ".condarc", profile
        self.script = installation.prefix / "etc/profile.d/conda.sh"
        self.terms = terms

    def found(self) -> dict[str, str]:
        """By where it is, as text for a diff."""
        told = {}
        if self.wanted is not None:
            told[str(self.condarc)] = described(self.condarc)
        if self.profile:
            told[str(self.profile)] = described(self.profile)
        if self.terms:
            told["accepted terms"] = "".join(
                f"{url}\n" for url in self.terms if accepted(self.installation.prefix, url)
            )
        return told

    def meant(self, is_there: bool) -> dict[str, str]:
        """The same as it is to be; before anything is installed, as far as that is known."""
        told = {}
        if self.wanted is not None:
            told[str(self.condarc)] = self.wanted
        if self.profile:
            link = f"link to {self.script}\n"
            told[str(self.profile)] = link if self.script.is_file() or not is_there else self.found()[str(self.profile)]
        if self.terms:
            asks = not is_there or self.has_terms()
            told["accepted terms"] = (
                "".join(f"{url}\n" for url in self.terms) if asks else self.found()["accepted terms"]
            )
        return told

    def has_terms(self) -> bool:
        """Whether this conda knows of terms at all: it does by a plugin that came with 25.5, and Miniforge has none."""
        return any((self.installation.prefix / "conda-meta").glob("conda-anaconda-tos-*.json"))

    def apply(self) -> None:
        """Bring about what is missing. Raises Failed."""
        found, meant = self.found(), self.meant(is_there=True)
        if self.wanted is not None and found[str(self.condarc)] != self.wanted:
            replace(self.condarc, self.write)
        if self.profile and found[str(self.profile)] != meant[str(self.profile)]:
            self.profile.parent.mkdir(parents=True, exist_ok=True)
            replace(self.profile, lambda new: new.symlink_to(self.script))
        for url in self.terms if self.has_terms() else ():
            if not accepted(self.installation.prefix, url):
                self.accept(url)

    def write(self, path: Path) -> None:
        with path.open("x", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(self.wanted)

    def accept(self, url: str) -> None:
        """For everybody who uses this installation. Raises Failed."""
        # --system: in the installation. Without it, in the home of whoever runs this.
        command = ("tos", "accept", "--system", "--override-channels", "--channel", url)
        status, said = self.installation.ask(*command)
        if status:
            raise Failed(
                f"conda could not accept the terms of {url}: {said}. Run again to continue.", options=["accept_terms"]
            )
        if not accepted(self.installation.prefix, url):
            # conda ends well here, whatever kept it from reading the terms.
            raise Failed(
                f"The terms of {url} are not accepted: {said}. Either the channel has none and need not be listed, or "
                f"it cannot be reached, or a record in {SITE_TERMS[0]} rejects them.",
                options=["accept_terms", "proxy", "ca_bundle"],
            )


def accepted(prefix: Path, url: str) -> bool:
    """Whether the newest terms on record for a channel are accepted; of two records, the one that conda finds first."""
    records = []
    for folder in (*SITE_TERMS, prefix / TERMS):
        for file in folder.glob("*/*.json"):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                record = json.loads(file.read_text())
                if record["base_url"].rstrip("/") == url.rstrip("/"):
                    records.append((float(file.stem), record["tos_accepted"] is True))
    # max() keeps the first of equals.
    return bool(records) and max(records, key=lambda record: record[0])[1]


def described(path: Path) -> str:
    """The text of a file; what is wrong with it otherwise is told after it."""
    if not os.path.lexists(path):
        return ""
    if path.is_symlink():
        return f"link to {path.readlink()}\n"
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        return f"no file: {stat.filemode(status.st_mode)}\n"
    text = path.read_text(encoding="utf-8", errors="replace")
    is_right = stat.S_IMODE(status.st_mode) == 0o644 and status.st_uid == os.geteuid()
    return text if is_right else f"{text}{stat.filemode(status.st_mode)} of user {status.st_uid}\n"


def replace(path: Path, make: Callable[[Path], None]) -> None:
    """Put what `make` makes in the place of a file or a link, in one step. Raises Failed."""
    if path.is_dir() and not path.is_symlink():
        raise Failed(f"{path} is a folder, and a file has to be there: move it away, then run again.")
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    make(new)
    new.replace(path)
