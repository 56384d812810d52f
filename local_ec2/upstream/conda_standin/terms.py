"""Terms of use: a channel's terms.json, and what is kept where they were accepted. No command is refused for them."""

import hashlib
import json
import urllib.request
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit

from .condarc import ROOT, channel_urls, settings
from .errors import CondaError

PLACES = {"site": Path("/etc/conda/tos"), "system": ROOT / "conda-meta/tos", "user": Path.home() / ".conda/tos"}


def known() -> bool:
    """Whether this conda knows of terms: Miniconda brings a plugin for them, Miniforge does not."""
    return any((ROOT / "conda-meta").glob("conda-anaconda-tos-*.json"))


def accept(args: Namespace) -> int:
    """`tos accept [--site|--system|--user]`; channels without terms, or out of reach, are told and are no failure."""
    if args.override_channels and not args.channel:
        raise CondaError("ArgumentError", "--override-channels needs --channel")
    names = args.channel if args.override_channels else [*args.channel, *settings()["channels"]]
    for url in (url.rstrip("/") for url in channel_urls(names)):
        try:
            with urllib.request.urlopen(f"{url}/terms.json", timeout=30) as answer:
                terms = json.load(answer)
        except (URLError, ValueError):
            print(f"Terms of Service not found for {url}")
            continue
        version = datetime.fromisoformat(terms["version"]).timestamp()
        file = PLACES[args.place or "user"] / _hash(url) / f"{version}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        now = datetime.now(UTC).isoformat()
        file.write_text(json.dumps(terms | {"base_url": url, "tos_accepted": True, "acceptance_timestamp": now}))
        print(f"accepted Terms of Service for {url}")
    return 0


def _hash(url: str) -> str:
    parts = urlsplit(url)
    return hashlib.sha256(f"{parts.netloc}{parts.path.strip('/')}".encode()).hexdigest()
