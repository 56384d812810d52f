# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""How NVIDIA's runfiles bring a CUDA toolkit to its folder: unattended, and never with a driver."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from .cuda_runfile_toolkit import Toolkit
from .download import Source, fetch
from .failed import Failed
from .folders import Need, ensure_space, free_mb, is_noexec, private, remove, tighten
from .installer import ending, is_full, run, tail, telling

LOGS = Path("/var/log")
TMP = Path("/tmp")
BINARY_INSTALLER = (10, 1)  # the first release whose installer is no perl script


class Installation:
    """One toolkit from a runfile and the patches that follow it, by way of two folders."""

    def __init__(self, toolkit: Toolkit, sources: list[Source], cache: Path, tmpdir: Path, mb: dict[str, int]) -> None:
        self.toolkit, self.sources, self.cache, self.mb = toolkit, sources, cache, mb
        self.work = tmpdir / f"unpacked-{toolkit.path.name}"
        self.output = LOGS / f"cuda-runfile-{toolkit.path.name}.log"
        self.old_logs: dict[Path, int] = {}

    @property
    def sums(self) -> list[str]:
        return [source.sha256 for source in self.sources]

    def make(self) -> None:
        """Download, install, check. Raises Failed; the folder then stays marked as unfinished."""
        if self.toolkit.state(self.sums) == "unfinished":
            self.toolkit.clear()
        remove(self.work)
        self._ensure_room()
        try:
            self._make()
        finally:
            with contextlib.suppress(OSError):
                self.cache.rmdir()

    def _make(self) -> None:
        private(self.cache)
        files = [fetch(source, self.cache) for source in self.sources]
        self.toolkit.begin()
        remove(self.toolkit.path)
        private(self.work)
        try:
            self._install(files)
        finally:
            remove(self.work)
        tighten(self.toolkit.path)
        self.toolkit.finish(self.sums)
        for file in (*files, self.output):
            file.unlink(missing_ok=True)

    def _ensure_room(self) -> None:
        """Raises Failed where there is too little, or where nothing that is unpacked could be executed."""
        held = sum(source.held(self.cache) for source in self.sources) >> 20
        cache = Need(self.cache, max(0, self.mb["cache"] - held))
        ensure_space([cache, Need(self.work.parent, self.mb["tmpdir"]), Need(self.toolkit.path, self.mb["path"])])
        if is_noexec(self.work):
            raise Failed(
                f"{self.work.parent} is mounted noexec, and the installer executes what it unpacks there: "
                "name another folder as tmpdir."
            )

    def _install(self, files: list[Path]) -> None:
        """Run the runfile and its patches, and see that a compiler came of it. Raises Failed."""
        if not self._is_binary:
            # Perl no longer looks in the current folder for the module that this installer brings along. A runfile
            # that does not give it out may do without.
            self._run(files[0], ["--tar", "mxvf", "./InstallUtils.pm"])
        for file in files:
            status = self._run(file, self._patch_flags() if file != files[0] else self._flags())
            if status:
                raise self._failure(file.name, status)
        release = self.toolkit.release()
        if release != self.toolkit.version:
            fault = f"is of release {release}, not {self.toolkit.version}" if release else "does not work"
            raise Failed(
                f"{files[0].name} ended well, but {self.toolkit.path}/bin/nvcc {fault}: check version and url. "
                f"The log is {self._log() or self.output}.",
                log=str(self._log() or self.output),
            )

    @property
    def _is_binary(self) -> bool:
        return tuple(map(int, self.toolkit.version.split("."))) >= BINARY_INSTALLER

    def _flags(self) -> list[str]:
        flags = ["--silent", "--toolkit", f"--toolkitpath={self.toolkit.path}", "--override", "--no-opengl-libs"]
        more = ["--no-man-page", "--no-drm"] if self._is_binary else ["--verbose"]
        return [*flags, *more, f"--tmpdir={self.work}"]

    def _patch_flags(self) -> list[str]:
        return self._flags() if self._is_binary else ["--silent", "--accept-eula", f"--installdir={self.toolkit.path}"]

    def _run(self, file: Path, flags: list[str]) -> int:
        """The exit status; negative is a signal, and so is what a shell makes of one (128 and more)."""
        for folder in (self.work, TMP) if self._is_binary else ():
            # An older log makes the installer crash.
            with contextlib.suppress(OSError):
                (folder / "cuda-installer.log").unlink()
        unwanted = ("DISPLAY", "WAYLAND_DISPLAY", "LD_LIBRARY_PATH", "PERL5OPT")
        environment = {name: value for name, value in os.environ.items() if name not in unwanted}
        environment.update(LC_ALL="C", TMPDIR=str(self.work), PERL5LIB=str(self.work))
        self.old_logs = {log: log.lstat().st_mtime_ns for log in self._logs()}
        return run(["sh", str(file), *flags], self.output, self.toolkit.lock, self.work, environment)

    def _failure(self, name: str, status: int) -> Failed:
        """What to tell of an installer that failed; on a full disk what it left is removed."""
        with self.output.open("ab") as output:
            for stray in self.work.glob("*.log"):
                output.write(stray.read_bytes())
        logs = [log for log in (self._log(), self.output) if log]
        reasons = [reason for reason in map(telling, logs) if reason]
        folders = (self.work.parent, self.toolkit.path.parent)
        fullest = min(folders, key=free_mb)
        if any(map(is_full, logs)) or not free_mb(fullest):
            return self._full(name, fullest)
        last = tail(self.output)[-1:] or tail(logs[0])[-1:]
        reason = "; ".join((reasons[0].splitlines() if reasons else last)[-2:]).rstrip(".") or "it said nothing"
        log = next((log for log in logs if telling(log)), self.output)
        return Failed(
            f"{name} {ending(status)}: {reason}. The log is {log}; run again to begin anew.", log=str(log), rc=status
        )

    def _full(self, name: str, folder: Path) -> Failed:
        need = self.mb["path" if folder == self.toolkit.path.parent else "tmpdir"]
        remove(self.work)
        self.toolkit.clear()
        free = free_mb(folder)
        enough = f"{need} MB" if need > free else "more than that"
        return Failed(
            f"The disk is full: {name} was at work in {folder}, where {free} MB are free now that what it left is "
            f"removed, and it needs {enough}. Enlarge the disk or make room, then run again.",
            log=str(self.output),
        )

    def _log(self) -> Path | None:
        """The log that the last installer wrote itself, where it did."""
        return next((log for log in self._logs() if log.lstat().st_mtime_ns != self.old_logs.get(log)), None)

    def _logs(self) -> list[Path]:
        """The logs of installers; anybody can put a file of that name, or a link, into /tmp."""
        logs = [LOGS / "cuda-installer.log"] if self._is_binary else TMP.glob("cuda_install_*.log")
        return [log for log in logs if log.is_file() and not log.is_symlink() and log.lstat().st_uid == os.geteuid()]
