# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""Work done with a user's rights alone, in a process of its own."""

from __future__ import annotations

import json
import os
import pwd
import traceback
from collections.abc import Callable
from typing import Any


def as_user(user: pwd.struct_passwd, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `work` returns. Where it raises, the answer has `exception`, a traceback.

    A repository's configuration can name commands, and a folder of the user's can be a link to anywhere: none of that
    may meet root's rights. All that `work` imports has to be imported before, from files that only root can read.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            answer = attempt(user, work)
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(json.dumps(answer).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answered = pipe.read()
    _, status = os.waitpid(child, 0)
    return json.loads(answered) if status == 0 else {"exception": f"the process for {user.pw_name} was ended: {status}"}


def become(user: pwd.struct_passwd) -> None:
    """Give up all rights but the user's."""
    if os.geteuid() == 0:
        os.initgroups(user.pw_name, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    os.umask(0o022)
    os.chdir("/")
    os.environ.update(HOME=user.pw_dir, USER=user.pw_name, LOGNAME=user.pw_name)
    os.environ.pop("XDG_CONFIG_HOME", None)


def attempt(user: pwd.struct_passwd, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        become(user)
        return work()
    except Exception:
        return {"exception": traceback.format_exc()}
