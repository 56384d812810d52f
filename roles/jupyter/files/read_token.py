"""Tell the token that the server answers to; prints JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

path = Path(json.loads(sys.argv[1])["token"])
try:
    print(json.dumps(path.read_text().strip()))
except FileNotFoundError:
    sys.exit(f"file not found: {path}")
