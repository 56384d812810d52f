# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""The pip part of an environment, installed by its own pip, or quicker by uv."""

import os
import re

from . import conda

UV_PYTHON = (3, 8)  # the oldest that uv takes
# A source is built by what the environment has: what builds it would come without a hash.
AS_IT_STANDS = ["--require-hashes", "--no-deps", "--no-build-isolation"]
# pip's settings in the words of uv, which reads none of them.
SETTINGS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "constraint": "constraint",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
}


class Pip:
    """Installs into an Environment, whose lock is held. Each step raises its Failed."""

    def __init__(self, environment, definition):
        self.environment, self.definition = environment, definition
        self.python, self.work = environment.python, environment.work
        self.uv, self.options, self.constraints = None, [], []

    def bring(self, survey):
        """Have the pip part as the definition says. What is to go goes when all that comes is on this machine."""
        locked = self.definition.locked
        lines = [one.line for name, one in locked.items() if survey.installed.get(name) != one.version]
        free = [entry for entry in self.definition.pip if conda.pip_name(entry) not in locked]
        going = [name for name in self.definition.absent if name in survey.installed]
        self._find_uv()
        if going:
            self._fetch(lines, AS_IT_STANDS)
            self._fetch(free, self.constraints)
            self._run("uninstall from", "uninstall", *([] if self.uv else ["-qy"]), *going)
        self._install(lines, AS_IT_STANDS)
        # What no lock names, and what locked packages need beyond the lock.
        if self.environment.ask_pip(self.definition, survey.conda).unmet:
            self._install(self.definition.pip, self.constraints)

    def _install(self, lines, options):
        if lines:
            compiled = ["--compile-bytecode"] if self.uv else []
            self._run("install into", "install", *compiled, *options, "-r", self._requirements(lines))

    def _fetch(self, lines, options):
        """Download, without touching the environment."""
        folder = self.work / "fetched"
        if not lines:
            return
        if self.uv:
            # Into a folder of no use: what counts is uv's cache.
            options = [*options, "--target", folder, "-r", self._requirements(lines)]
            self._run("download the packages of", "install", *options)
            return
        options = ["--no-cache-dir", *options, "-qd", folder, "-r", self._requirements(lines)]
        self._run("download the packages of", "download", *options)
        if str(folder) not in os.environ.get("PIP_FIND_LINKS", ""):
            os.environ["PIP_FIND_LINKS"] = f"{folder} {os.environ.get('PIP_FIND_LINKS', '')}".strip()

    def _requirements(self, lines):
        file = self.work / "requirements.txt"
        file.write_text(conda.lines(lines))
        return file

    def _run(self, deed, verb, *arguments):
        if self.uv:
            command = [self.uv, "pip", verb, "--python", self.python, *(self.options if verb == "install" else [])]
        else:
            command = [self.python, "-m", "pip", verb]
        try:
            self.environment.must(deed, *command, *arguments)
        finally:
            # uv leaves its lock there, for everybody to write; who is at work here is told by ours.
            (self.environment.prefix / ".lock").unlink(missing_ok=True)

    def _find_uv(self):
        """Unpack the uv that was asked for, for this time; pip does where it cannot run."""
        wanted = self.environment.params["uv"]
        if not wanted or self.environment.python_version() < UV_PYTHON:
            return
        folder, file = self.work / "uv", self._requirements([wanted])
        if not (folder / "bin" / "uv").is_file():
            options = ["--require-hashes", "--no-deps", "--no-cache-dir", "-q", "--target", folder, "-r", file]
            self.environment.must("download uv for", self.python, "-m", "pip", "install", *options)
        _, out, _ = self.environment.run(self.python, "-m", "pip", "config", "list")
        settings = told(out, os.environ)
        # Beside hashes uv takes none, and a lock needs none.
        self.constraints = [word for file in settings.pop("constraint", "").split() for word in ("-c", file)]
        os.environ.update(settings)
        # The one setting for which uv has no variable.
        self.options = ["--no-index"] if re.search(r"\.no-index='(1|true|yes|on)'", out, re.I) else []
        os.environ.update(
            UV_CACHE_DIR=str(self.work / "cache"), UV_NO_CONFIG="1", UV_SYSTEM_CERTS="1", UV_NO_PROGRESS="1"
        )
        # pip takes the best of all indexes, and uv the first that has the name.
        os.environ.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
        self.uv = folder / "bin" / "uv"


def told(config, environment):
    """uv's environment variables for what `pip config list` shows; what is set for uv already stays."""
    found = {}
    # The environment's own settings stand last, and count most.
    for line in sorted(config.splitlines(), key=lambda line: line.startswith(":env:")):
        setting = re.fullmatch(r"[\w:]+\.([\w-]+)='(.*)'", line.strip())
        if setting and setting[1] in SETTINGS and setting[2]:
            between = "," if setting[1] == "find-links" else " "
            found[SETTINGS[setting[1]]] = between.join(setting[2].replace("\\n", " ").split())
    return {name: value for name, value in found.items() if name not in environment}
