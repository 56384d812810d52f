# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""A conda environment on this machine: what it has, what it lacks, and how to change that."""

import contextlib
import fcntl
import json
import os
import shutil
import time
from pathlib import Path
from typing import NamedTuple

from . import conda
from . import conda_probe as probe
from .conda_pip import Pip
from .conda_snapshot import Snapshot
from .failed import Failed

LARGEST_FILE = 1_000_000  # bytes
FOREIGN = (
    *("CONDA_PREFIX", "CONDA_DEFAULT_ENV", "PYTHONPATH", "PYTHONHOME"),
    *("PIP_USER", "PIP_TARGET", "PIP_PREFIX"),
)


class Survey(NamedTuple):
    """What an environment has, all of it and conda's part ({name: version}), and what is wrong with it.

    `lacking` and `wrong` are sentences about conda's and pip's part, `broken` what an interrupted pip left.
    """

    installed: dict
    conda: dict
    lacking: list
    wrong: list
    broken: list

    @property
    def unmet(self):
        return self.lacking + self.wrong


class Environment:
    """The environment at a prefix: what it has, what it lacks, and how to change that."""

    def __init__(self, module):
        self.module, self.params = module, module.params
        self.prefix = Path(self.params["prefix"]).resolve()
        self.python = self.prefix / "bin" / "python"
        self.conda = Path(self.params["executable"])
        self.root = self.conda.resolve().parent.parent
        self.lock = self.prefix.with_name(f".{self.prefix.name}.lock")
        self.work = self.prefix.with_name(f".{self.prefix.name}.work")
        self.lock_file = None
        self.whole = False  # whether a change that failed was undone

    def fail(self, sentence):
        self.module.fail_json(msg=sentence)

    def exists(self):
        """conda's own test of what an environment is."""
        return (self.prefix / "conda-meta" / "history").is_file()

    def run(self, *command, data=None):
        """Exit status, output, errors. The child holds the lock too, should this process be killed before it.

        Data is for a child that reads all of it before it does anything else: if it ended first, the module would fail.
        """
        held = [self.lock_file.fileno()] if self.lock_file else []
        return self.module.run_command(list(map(str, command)), data=data, expand_user_and_vars=False, pass_fds=held)

    def refuse_what_is_not_ours(self):
        """Only an interrupted run of ours leaves its lock beside a folder that conda has begun."""
        if self.prefix == self.root:
            self.fail(f"{self.prefix} is the base environment; name one of its own, for example {self.root}/envs/NAME.")
        begun = self.lock.exists() and (self.prefix / "conda-meta").is_dir()
        if self.exists() or begun or not os.path.lexists(self.prefix):
            return
        if not self.prefix.is_dir() or any(self.prefix.iterdir()):
            self.fail(
                f"{self.prefix} exists and is no conda environment, so nothing was touched. "
                "Move it away or choose another prefix."
            )

    def read(self, path):
        """The content of an environment file."""
        if not path.is_file():
            raise conda.Unreadable("there is no such file")
        if path.stat().st_size > LARGEST_FILE:
            raise conda.Unreadable(f"it is larger than {LARGEST_FILE // 1000} kB")
        code, out, err = self.run(self.root / "bin" / "python", "-I", "-c", probe.READ_YAML, path)
        if code:
            self.fail(f"{self.root}/bin/python could not read {path}: {conda.telling(err or out)}")
        answer = json.loads(out)
        if "error" in answer:
            raise conda.Unreadable(answer["error"])
        return answer["data"]

    def survey(self, definition, interrupted=False):
        """What is installed and what is unmet; the network is not asked."""
        if not self.exists():
            return Survey({}, {}, [f"{self.prefix} (missing)"], [], [])
        packages = probe.packages(self.prefix)
        lacking, unclear = [], []
        for spec in definition.specs:
            met = probe.met(spec, packages)
            if met is None:
                unclear.append(spec)
            elif not met:
                lacking.append(f"{spec} ({packages.get(conda.conda_name(spec), 'nothing')} is installed)")
        lacking += self.compare(unclear)
        lacking += [f"{key} (variable)" for key in probe.unset(self.prefix, definition.variables)]
        if self.params["prune"]:
            lacking += [f"{name} (no longer asked for)" for name in probe.prunable(self.prefix, definition.specs)]
        found = self.ask_pip(definition, packages, interrupted)
        return found._replace(lacking=lacking)

    def ask_pip(self, definition, packages, interrupted=False):
        """The Survey of the pip part alone."""
        if not definition.pip and not definition.absent:
            return Survey(packages, packages, [], [], [])
        if not self.python.is_file():
            return Survey(packages, packages, [], [f"the pip part (there is no {self.python})"], [])
        asked = {"wanted": definition.pip, "absent": definition.absent}
        asked.update(conda=list(packages), interrupted=interrupted)
        code, out, err = self.run(self.python, "-I", "-c", probe.ASK_PIP, data=json.dumps(asked))
        if code:
            return Survey(packages, packages, [], [f"the pip part ({conda.telling(err or out)})"], [])
        answer = json.loads(out)
        return Survey({**packages, **answer["installed"]}, packages, [], answer["unmet"], answer["broken"])

    def python_version(self):
        """The environment's Python as a tuple of two numbers."""
        code, out, err = self.run(self.python, "-I", "-c", "import sys; print(*sys.version_info[:2])")
        if code:
            raise Failed(f"{self.python} does not run: {conda.telling(err or out)}")
        return tuple(map(int, out.split()))

    def compare(self, specs):
        """conda's own verdict on specs that need its grammar; the file is JSON, which is YAML too."""
        if not specs:
            return []
        file = Path(self.module.tmpdir, "compare.yml")
        file.write_text(json.dumps({"dependencies": specs}))
        code, out, err = self.run(self.conda, "compare", "-p", self.prefix, file)
        return conda.telling(out or err).splitlines() if code else []

    @contextlib.contextmanager
    def locked(self):
        """Hold the environment alone; yields whether an earlier run did not come to its end."""
        self.prefix.parent.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + self.params["lock_timeout"]
        while not self.take_lock():
            if time.monotonic() > deadline:
                holder = self.lock.read_text().strip() or "unknown"
                self.fail(f"Another run (process {holder}) is at work on {self.prefix}; run again when it is through.")
            time.sleep(1)
        with self.lock_file:
            interrupted = bool(self.lock_file.read())
            self.lock.write_text(f"{os.getpid()}\n")
            Snapshot(self.prefix, self.work).mend()
            try:
                yield interrupted
                shutil.rmtree(self.work, ignore_errors=True)
                self.lock.unlink()
            finally:
                if self.whole or not os.path.lexists(self.prefix):
                    self.lock.unlink(missing_ok=True)

    def take_lock(self):
        """Whether the lock is ours now. Who finishes unlinks it, so the one that was opened may be gone."""
        self.lock_file = self.lock.open("a+")
        self.lock_file.seek(0)
        with contextlib.suppress(BlockingIOError, FileNotFoundError):
            fcntl.flock(self.lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(self.lock_file.fileno()), self.lock.stat()):
                return True
        self.lock_file.close()
        return False

    def build(self, definition, survey, interrupted):
        """Create the environment or change it. Raises Failed, after which what there was before is back."""
        snapshot = Snapshot(self.prefix, self.work)
        if not self.exists():
            self.ensure_space()
            if self.prefix.is_dir():
                shutil.rmtree(self.prefix)
        elif not interrupted:
            self.work.mkdir(exist_ok=True)
            snapshot.take()
        try:
            self.change(definition, survey, interrupted)
            left = self.survey(definition)
            if left.unmet:
                raise Failed(f"{self.prefix} still lacks, after all was done: {'; '.join(left.unmet)}.")
        except Failed as error:
            if not snapshot.exists():
                raise
            snapshot.restore()
            self.whole = True
            raise Failed(f"{error} {self.prefix} is as it was before.", **error.told) from error
        return left

    def change(self, definition, survey, interrupted):
        leftovers = self.prefix.glob("lib/python*/site-packages/~*") if interrupted else []
        for path in [self.work / "tmp", *survey.broken, *leftovers]:
            shutil.rmtree(path, ignore_errors=True)
        # uv's, of a run that was killed; see conda_pip.
        (self.prefix / ".lock").unlink(missing_ok=True)
        (self.work / "tmp").mkdir(parents=True)
        self.isolate()
        if survey.lacking:
            file = self.work / "environment.yml"
            file.write_text(definition.rendered())
            prune = ["--prune"] if self.params["prune"] else []
            # It creates and updates, and does so the same on every conda.
            self.must("build", self.conda, "env", "update", "-p", self.prefix, "-f", file, *prune)
        now = self.ask_pip(definition, probe.packages(self.prefix))
        if now.unmet:
            Pip(self, definition).bring(now)

    def ensure_space(self):
        free = shutil.disk_usage(self.prefix.parent).free >> 20
        if free < self.params["free_space"]:
            need = self.params["free_space"]
            raise Failed(f"{self.prefix} needs {need} MiB and {free} MiB are free; enlarge the disk, then run again.")

    def isolate(self):
        """conda and pip see this environment, and nothing of one that a user happens to be in."""
        for name in FOREIGN:
            os.environ.pop(name, None)
        os.environ.update(LC_ALL="C.UTF-8", PYTHONNOUSERSITE="1", TMPDIR=str(self.work / "tmp"))
        os.environ.update(PIP_NO_INPUT="1", PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_ROOT_USER_ACTION="ignore")
        # In the work folder: an interrupted build does not download twice, and a finished one keeps no copy.
        os.environ.setdefault("PIP_CACHE_DIR", str(self.work / "cache"))

    def must(self, deed, *command):
        code, out, err = self.run(*command)
        if code:
            reason = f"It was killed by signal {-code}." if code < 0 else conda.telling(out + err)
            sentence = f"Could not {deed} {self.prefix}; run again to continue. {reason}"
            raise Failed(sentence, rc=code, stdout=out, stderr=err)

    def remove(self):
        """The rename makes it one step: an environment is there, or it is not."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()
        if self.exists():
            self.prefix.rename(self.work / "removed")
