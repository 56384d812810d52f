# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""A copy of an environment as it was, for the case that changing it fails; it takes hardly any room."""

import os
import shutil
import subprocess


class Snapshot:
    """The copy of `prefix` in the folder `work`, which is on the same file system."""

    def __init__(self, prefix, work):
        self.prefix, self.kept, self.begun = prefix, work / "before", work / "before.part"
        self.failed = work / "failed"

    def exists(self):
        return self.kept.is_dir()

    def take(self):
        """Raises OSError, or CalledProcessError where cp fails."""
        shutil.rmtree(self.begun, ignore_errors=True)
        # Hard links: conda, pip and uv replace files, and never write into one that is there...
        subprocess.run(["cp", "-al", "--", self.prefix, self.begun], check=True, capture_output=True, text=True)
        # ...except for conda's own records.
        records = self.begun / "conda-meta"
        shutil.rmtree(records)
        shutil.copytree(self.prefix / "conda-meta", records)
        self.begun.rename(self.kept)

    def restore(self):
        """The environment as it was. What a run that was killed in here left is continued by `mend`."""
        shutil.rmtree(self.failed, ignore_errors=True)
        if os.path.lexists(self.prefix):
            self.prefix.rename(self.failed)
        self.kept.rename(self.prefix)

    def mend(self):
        """Complete a `restore` that was cut off between its two steps."""
        if self.exists() and not os.path.lexists(self.prefix):
            self.kept.rename(self.prefix)
