# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""One file from the web: resumed where it was cut off, and under its own name only once its checksum is right."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import os
import re
import shutil
import socket
import ssl
import time
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from ansible.module_utils.urls import open_url

from .failed import Failed

CHUNK = 1 << 20  # bytes
SILENCE = 30  # seconds without a byte after which a connection counts as cut
WAITS = (2, 5, 10)  # seconds before the second, third and fourth attempt
# Seconds after which a name is not looked up once more. The last look may take 18, with three silent name servers.
RESOLVING = 10
RESOLVER = "timeout:3 attempts:2"
PASSING = (408, 425, 429)  # besides 5xx, statuses that may be others in a moment
OUT_OF_TIME = (9, 10)  # OpenSSL's codes for a certificate that is not yet valid, or no longer
FULL = (errno.ENOSPC, errno.EDQUOT)


class Again(Exception):
    """The file did not come, and another attempt may bring it; the message is the end of a sentence."""


class Unresolved(Again):
    """A host has no address."""


class Source(NamedTuple):
    """A file of the web, and the SHA-256, in lower-case hexadecimal, that it has to have.

    `ca_bundle` is a file of the certificates that its server is trusted by, instead of this machine's own.
    """

    url: str
    sha256: str
    ca_bundle: str | None = None

    @property
    def name(self) -> str:
        """The file's name, or, where the URL's end makes none, one from its checksum."""
        name = unquote(urlsplit(self.url).path).rpartition("/")[2]
        return name if re.fullmatch(r"\w[\w.+-]{0,199}", name, re.ASCII) else f"file-{self.sha256[:12]}"

    def held(self, folder: Path) -> int:
        """Bytes of it that are in `folder`, finished or not."""
        files = (folder / self.name, part_of(folder, self))
        return max(file.stat().st_size if file.is_file() else 0 for file in files)


def read_source(url: str, sha256: str, ca_bundle: str | None = None) -> Source:
    """A file that options name. Raises Failed."""
    if not re.fullmatch(r"https?://[^\s/]+/\S+", url) or not url.isprintable():
        raise Failed(f"{url!r} is no address of a file: it has to begin with https:// or http://.", options=["url"])
    if not re.fullmatch(r"[0-9a-f]{64}", sha256.lower(), re.ASCII):
        raise Failed(f"'{sha256}' is no SHA-256: that is 64 hexadecimal digits.", options=["sha256"])
    return Source(url, sha256.lower(), ca_bundle)


def part_of(folder: Path, source: Source) -> Path:
    return folder / f"{source.name}.part"


def fetch(source: Source, folder: Path) -> Path:
    """The file in `folder`, downloaded unless it is there with the right checksum.

    Raises Failed where it is not to be had: at once where the server says so, else after four attempts. What came by
    then is kept for the next run. A file of another checksum is deleted and downloaded once more from its start.
    """
    os.environ.setdefault("RES_OPTIONS", RESOLVER)
    target, part = folder / source.name, part_of(folder, source)
    if target.is_file() and digest_of(target).hexdigest() == source.sha256:
        return target
    target.unlink(missing_ok=True)
    begun, cuts, wrong = time.monotonic(), [], []
    while True:
        try:
            found = _receive(source, part)
        except Again as error:
            cuts.append(error)
            if len(cuts) > len(WAITS):
                raise Failed(_gave_up(source, part, error, len(cuts))) from error
            wait = WAITS[len(cuts) - 1]
            if isinstance(error, Unresolved) and time.monotonic() - begun + wait > RESOLVING:
                raise Failed(_gave_up(source, part, error, len(cuts))) from error
            time.sleep(wait)
            continue
        if found == source.sha256:
            part.replace(target)
            return target
        part.unlink()
        wrong.append(found)
        if len(wrong) == 2:
            raise Failed(
                f"{source.url} is not the file that was asked for: its sha256 should be {source.sha256} and is "
                f"{found}. It was downloaded twice and deleted, and nothing of it was executed. "
                "If the file was replaced on purpose, check the new one and change the sha256.",
                options=["sha256"],
            )


def digest_of(path: Path) -> Any:
    """hashlib's running SHA-256 of a file; of nothing where there is no file."""
    digest = hashlib.sha256()
    if path.is_file():
        with path.open("rb") as file:
            for chunk in iter(lambda: file.read(CHUNK), b""):
                digest.update(chunk)
    return digest


def _receive(source: Source, part: Path) -> str:
    """Bring `part` to its end; its SHA-256. Raises Again and Failed."""
    digest = digest_of(part)
    have = part.stat().st_size if part.is_file() else 0
    if have and digest.hexdigest() == source.sha256:
        return source.sha256
    asking = {"headers": {"Range": f"bytes={have}-"} if have else {}, "ca_path": source.ca_bundle}
    try:
        with open_url(source.url, timeout=SILENCE, decompress=False, use_netrc=False, **asking) as answer:
            begin = _begin(answer, have)
            if begin != have:
                digest, have = hashlib.sha256(), 0
            length = answer.headers.get("Content-Length")
            total = have + int(length) if length else None
            with _opened(part, have) as file:
                # What has come, and not a full chunk: what is waited for is lost where the connection is.
                while (total is None or have < total) and (chunk := answer.read1(CHUNK)):
                    have += _write(file, chunk, source, part, total)
                    digest.update(chunk)
    except HTTPError as error:
        raise _refused(source.url, error, part) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _cut(source.url, error) from error
    if total is not None and have < total:
        raise Again(f"the connection was cut at {have} of {total} bytes")
    return digest.hexdigest()


def _opened(part: Path, have: int) -> Any:
    """The file to write to, after its first `have` bytes. Raises Failed."""
    try:
        return part.open("ab" if have else "wb", buffering=0)
    except OSError as error:
        raise Failed(f"{part} cannot be written: {error.strerror}.") from error


def _begin(answer: Any, have: int) -> int:
    """At which byte of the file the answer begins. Raises Again where that is neither `have` nor the start."""
    if answer.status != http.client.PARTIAL_CONTENT:
        return 0
    span = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    if not span or int(span[1]) not in (0, have):
        raise Again("the server sent another part of the file than the one that was asked for")
    return int(span[1])


def _write(file: Any, chunk: bytes, source: Source, part: Path, total: int | None) -> int:
    """Write all of `chunk`; its length. On a full disk `part` is deleted and Failed raised."""
    left = memoryview(chunk)
    try:
        while left:
            left = left[file.write(left) :]
    except OSError as error:
        if error.errno not in FULL:
            raise Failed(f"{part} cannot be written: {error.strerror}.") from error
        part.unlink()
        free = shutil.disk_usage(part.parent).free >> 20
        need = f"{-(-total >> 20)} MB" if total else "more"
        raise Failed(
            f"The disk is full: {source.name} needs {need} in {part.parent} and {free} MB are free there. "
            "Make room or name another folder, then run again."
        ) from error
    return len(chunk)


def _refused(url: str, error: HTTPError, part: Path) -> Exception:
    """What an HTTP status means: Again for one that may pass, else Failed."""
    with contextlib.suppress(OSError):
        error.close()
    if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
        part.unlink(missing_ok=True)
        return Again("the unfinished file was longer than the server's")
    if error.code >= 500 or error.code in PASSING:
        return Again(f"the server answered {error.code} {error.reason}")
    return Failed(
        f"{url} cannot be downloaded: the server answered {error.code} {error.reason}. Check the URL.", options=["url"]
    )


def _cut(url: str, error: Exception) -> Exception:
    """What a failed connection means: Again, or Failed where another attempt cannot help."""
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, socket.gaierror):
        return Unresolved(f"cannot resolve {_peer(url)}")
    if isinstance(reason, ssl.SSLCertVerificationError):
        return _distrusted(url, reason)
    if isinstance(reason, (socket.timeout, TimeoutError)):
        return Again(f"{_peer(url)} was silent for {SILENCE} s")
    said = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    refused = re.search(r"^Tunnel connection failed: (4\d\d)", said)
    if refused and int(refused[1]) not in PASSING:
        return Failed(f"{_peer(url)} refused the connection: {said}. Check the proxy.", options=["proxy"])
    return Again(f"the connection to {_peer(url)} failed: {said}")


def _distrusted(url: str, error: ssl.SSLCertVerificationError) -> Failed:
    """What a certificate that does not hold means. The clock is why a good one seems not to."""
    fault = getattr(error, "verify_message", error)
    peer = urlsplit(url).hostname
    if getattr(error, "verify_code", 0) in OUT_OF_TIME:
        now = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        return Failed(f"{peer} cannot be trusted: {fault}, by this machine's clock, where it is {now}. Set the clock.")
    return Failed(
        f"{peer} cannot be trusted: {fault}. Check the URL, the proxy and the bundle of certificates.",
        options=["url", "ca_bundle"],
    )


def _peer(url: str) -> str:
    """The host that is connected to for this URL, as the user may look for it."""
    parts = urlsplit(url)
    proxy = None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)
    if not proxy:
        return parts.hostname or url
    return f"{urlsplit(proxy if '://' in proxy else f'//{proxy}').hostname} (the proxy for {parts.hostname})"


def _gave_up(source: Source, part: Path, error: Again, attempts: int) -> str:
    kept = f" What came is kept in {part}." if part.is_file() else ""
    times = f"{attempts} attempts were made" if attempts > 1 else "one attempt was made"
    return f"{source.url} cannot be downloaded: {error} ({times}).{kept} Run again to continue."
