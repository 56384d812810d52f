"""Wheels from the Python index, pinned by their hashes."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from local_ec2.say import Refusal

# The machines' Python, not the controller's.
TARGET = ["--python-version=3.11", "--implementation=cp", "--abi=cp311", "--abi=abi3", "--abi=none"]
PLATFORMS = ["manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "any"]
BREATH = 10  # seconds between two signs of life


def download(requirements: Path, folder: Path, say: Callable[[str], None]) -> list[Path]:
    """Fetch the pinned wheels into `folder` from the index that pip is configured with.

    Raises Refusal with pip's last words where that fails.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--require-hashes", f"--requirement={requirements}", f"--dest={folder}", *TARGET]
    command += [f"--platform={platform}" for platform in PLATFORMS]
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        pip = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            while pip.poll() is None:
                try:
                    pip.wait(BREATH)
                except subprocess.TimeoutExpired:
                    say(f"still fetching {requirements.stem} ({time.monotonic() - started:.0f} s)")
        finally:
            pip.kill()
            pip.wait()
        if pip.returncode:
            output.seek(0)
            words = output.read().strip().splitlines()[-1:]
            raise Refusal(
                f"pip could not fetch what {requirements.name} pins ({''.join(words)}): "
                "see that `pip download` reaches a Python index from here, then run again."
            )
    return sorted(folder.glob("*.whl"))
