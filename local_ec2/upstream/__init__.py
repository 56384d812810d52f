"""Stand-ins for what the roles download from Anaconda and GitHub, served over HTTP.

`prepare` builds them, `make_server` serves them, `reachable` tells whether they are needed at all.
"""

from local_ec2.upstream.parts import prepare
from local_ec2.upstream.reach import reachable
from local_ec2.upstream.server import make_server

__all__ = ["make_server", "prepare", "reachable"]
