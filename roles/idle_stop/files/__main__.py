"""gluon-idle: run by its folder, so that nothing needs to be installed into the machine's Python."""

import sys

from gluon_idle.cli import main

sys.exit(main())
