"""Write 256 random bits from the kernel to a root-only file, whole or not at all; prints nothing."""

import os
import secrets
import sys
from pathlib import Path

token = Path(sys.argv[1])
token.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
draft = token.with_name(f"{token.name}.{os.getpid()}")
with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
    file.write(secrets.token_hex(32))
    file.flush()
    os.fsync(file.fileno())
draft.replace(token)
