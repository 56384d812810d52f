"""Entry point: `python -m conda_standin`."""

import json
import os
import sys

from . import cli
from .errors import CondaError


def main() -> int:
    """Run the command line; returns the exit status."""
    try:
        return cli.run(sys.argv[1:])
    except SystemExit as stop:  # argparse: 0 after --help, 2 after wrong use
        return stop.code if isinstance(stop.code, int) else 1
    except CondaError as error:
        if "--json" in sys.argv:
            report = {"error": str(error), "exception_name": error.name, "message": error.message}
            print(json.dumps(report, indent=2))
        else:
            print(f"\n{error}\n", file=sys.stderr)
        return 1


status = main()
sys.stdout.flush()
sys.stderr.flush()
os._exit(status)  # py-rattler's threads can crash the interpreter's own shutdown
