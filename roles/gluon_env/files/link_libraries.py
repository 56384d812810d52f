"""Make the CUDA libraries of pip's nvidia packages loadable for MXNet, which looks for them in its own folder only.

link_libraries.py PREFIX; prints how many links were made or removed. A link whose library is gone is removed.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def link(site: Path) -> int:
    """Bring the links of one site-packages folder up to date; the number of changes."""
    wanted = {library.name: Path("..", library.relative_to(site)) for library in site.glob("nvidia/*/lib/*.so*")}
    changes = 0
    for name, target in wanted.items():
        path = site / "mxnet" / name
        if not path.is_symlink() or path.readlink() != target:
            fresh = path.with_name(f".{name}.new")
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(target)
            fresh.replace(path)
            changes += 1
    for path in (site / "mxnet").glob("*.so*"):
        if path.is_symlink() and not path.exists():
            path.unlink()
            changes += 1
    return changes


if __name__ == "__main__":
    os.umask(0o022)
    prefix = Path(json.loads(sys.argv[1])["prefix"])
    print(sum(link(package.parent) for package in prefix.glob("lib/python3*/site-packages/mxnet")))
