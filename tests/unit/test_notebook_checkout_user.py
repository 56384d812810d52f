"""The notebook_checkout module as Ansible runs it, and that it has no more rights than the checkout's owner."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from notebook_checkout_place import BOOK, Place, git, raw

from plugins.module_utils import notebook_checkout_user
from plugins.modules import notebook_checkout

ROOT = Path(__file__).resolve().parents[2]
ME = pwd.getpwuid(os.geteuid()).pw_name


def module(place: Place, user: str = ME, check: bool = False, **given: Any) -> dict[str, Any]:
    """The answer of the module, run as a process."""
    places = {"repository": str(place.upstream), "version": "main", "directory": str(place.checkout)}
    more = {"_ansible_check_mode": check, "_ansible_diff": True, "_ansible_remote_tmp": str(place.folder / "tmp")}
    arguments = {**places, "user": user, "retries": 0, **more, **given}
    done = subprocess.run(
        [sys.executable, "-m", "plugins.modules.notebook_checkout"],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    place = Place(tmp_path, monkeypatch)
    place.publish(BOOK)
    return place


@pytest.fixture
def nobodys(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A place whose home belongs to nobody."""
    if os.geteuid():
        pytest.skip("only root can work as somebody else")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        place = Place(Path(folder), monkeypatch)
        place.publish(BOOK)
        give(place.home)
        give(place.upstream)
        yield place


def give(folder: Path, user: str = "nobody") -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, pwd.getpwnam(user).pw_uid, -1, follow_symlinks=False)


def owners(folder: Path) -> set[int]:
    return {path.lstat().st_uid for path in (folder, *folder.rglob("*"))}


def test_a_password_in_the_address_is_not_told(place: Place) -> None:
    answer = module(place, repository="http://me:hush-hush@127.0.0.1:9/book.git")
    assert answer["failed"] and "hush-hush" not in json.dumps(answer)


def test_it_clones_updates_and_tells(place: Place) -> None:
    assert module(place, check=True)["changed"] is True and not place.checkout.exists()
    assert module(place)["state"] == "cloned"
    assert place.tree() == {path: raw(content) for path, content in BOOK.items()}
    assert module(place, update=True)["changed"] is False
    place.publish({"README.md": "new\n"})
    assert module(place)["changed"] is False
    answer = module(place, update=True)
    assert (answer["changed"], answer["updated"]) == (True, ["README.md"])
    assert answer["diff"]["after"] == f"commit {place.head()}\nupdated README.md\n"


def test_what_is_returned_is_what_is_documented(place: Place) -> None:
    documented = set(yaml.safe_load(notebook_checkout.RETURN))
    for given in ({}, {"update": True}, {"update": False}):
        assert set(module(place, **given)) - {"changed", "diff", "invocation"} == documented


def test_a_failure_is_a_sentence(place: Place) -> None:
    answer = module(place, version="none")
    assert answer["failed"] and answer["msg"].startswith(f"none cannot be fetched from {place.upstream} to ")
    assert "Traceback" not in json.dumps(answer)


def test_an_unknown_user_is_refused(place: Place) -> None:
    assert module(place, user="no-such-login")["msg"] == (
        "user=no-such-login does not exist here: name a login of this machine."
    )


def test_nobody_else_is_worked_for_without_root(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped(Exception):
        pass

    class Module:
        def __init__(self) -> None:
            self.params = {"user": "root"}

        def fail_json(self, msg: str) -> None:
            raise Stopped(msg)

    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    with pytest.raises(Stopped, match="can be worked for by root or root alone: use become"):
        notebook_checkout.owner(Module())


def test_everything_is_the_owners(nobodys: Place) -> None:
    assert module(nobodys, "nobody")["state"] == "cloned"
    nobodys.write("README.md", "mine\n")
    nobodys.write("new.md", "mine\n")
    give(nobodys.checkout)
    shutil.chown(nobodys.home, "nobody")
    nobodys.publish({"README.md": "theirs\n", "new.md": "theirs\n", "more/x.md": "x\n"})
    give(nobodys.upstream)
    answer = module(nobodys, "nobody", update=True)
    assert answer["changed"] and "msg" not in answer, answer
    assert owners(nobodys.home) == {pwd.getpwnam("nobody").pw_uid}


def test_commands_that_a_configuration_names_are_not_roots(nobodys: Place) -> None:
    module(nobodys, "nobody")
    canary = nobodys.home / "canary"
    command = f"sh -c 'id -u >> {canary}; id -G >> {canary}; cat'"
    with (nobodys.checkout / ".git/config").open("a") as config:
        config.write(f'[filter "f"]\n\tsmudge = "{command}"\n\tclean = "{command}"\n')
    nobodys.write(".git/info/attributes", "*.md filter=f\n")
    nobodys.write(".git/hooks/reference-transaction", f"#!/bin/sh\ntouch {nobodys.home}/hook\n")
    (nobodys.checkout / ".git/hooks/reference-transaction").chmod(0o755)
    give(nobodys.checkout)
    nobodys.publish({"README.md": "new\n"})
    give(nobodys.upstream)
    answer = module(nobodys, "nobody", update=True)
    assert answer["updated"] == ["README.md"], answer
    user = pwd.getpwnam("nobody")
    assert set(canary.read_text().split()) == {str(user.pw_uid), str(user.pw_gid)}
    assert not (nobodys.home / "hook").exists()


def test_a_link_of_the_owners_leads_root_nowhere(nobodys: Place) -> None:
    module(nobodys, "nobody")
    roots = nobodys.folder / "roots"
    roots.mkdir()
    (nobodys.checkout / ".git/gluon").symlink_to(roots)
    (nobodys.checkout / "README.md").unlink()
    (nobodys.checkout / "README.md").symlink_to(roots / "README.md")
    give(nobodys.upstream)
    nobodys.publish({"README.md": "new\n", "old.md": "new\n"})
    give(nobodys.upstream)
    answer = module(nobodys, "nobody", update=True)
    assert answer["failed"] and "Permission denied" in answer["msg"], answer
    assert list(roots.iterdir()) == [] and nobodys.read("old.md") == BOOK["old.md"]


def test_a_checkout_of_somebody_else_is_refused(nobodys: Place) -> None:
    give(nobodys.upstream, "root")
    git(nobodys.home, "clone", "-q", str(nobodys.upstream), str(nobodys.checkout))
    said = module(nobodys, "nobody", update=True)["msg"]
    assert said == f"{nobodys.checkout} is a git checkout that is not nobody's: give it to nobody, or name its owner."


def test_a_file_of_roots_is_told_before_anything_is_done(nobodys: Place) -> None:
    module(nobodys, "nobody")
    (nobodys.checkout / "README.md").chmod(0o600)
    shutil.chown(nobodys.checkout / "README.md", "root")
    nobodys.publish({"README.md": "new\n", "old.md": "new\n"})
    give(nobodys.upstream)
    answer = module(nobodys, "nobody", update=True)
    assert answer["msg"].startswith(f"{nobodys.checkout}/README.md cannot be used: Permission denied.")
    assert nobodys.read("old.md") == BOOK["old.md"]


def test_a_file_of_roots_that_can_be_read_becomes_the_owners(nobodys: Place) -> None:
    module(nobodys, "nobody")
    for name in ("README.md", "chapter_one/arrays.md"):
        shutil.chown(nobodys.checkout / name, "root")
    nobodys.write("chapter_one/arrays.md", f"Mine\n\n{BOOK['chapter_one/arrays.md']}")
    nobodys.publish({"README.md": "new\n", "chapter_one/arrays.md": f"{BOOK['chapter_one/arrays.md']}Theirs\n"})
    give(nobodys.upstream)
    answer = module(nobodys, "nobody", update=True)
    assert (answer["updated"], answer["merged"]) == (["README.md"], ["chapter_one/arrays.md"]), answer
    assert owners(nobodys.checkout) == {pwd.getpwnam("nobody").pw_uid}


def test_what_the_process_of_the_user_raises_is_told() -> None:
    me = pwd.getpwuid(os.geteuid())

    def broken() -> dict[str, Any]:
        raise RuntimeError("on purpose")

    assert notebook_checkout_user.as_user(me, broken)["exception"].endswith("RuntimeError: on purpose\n")
    assert "was ended" in notebook_checkout_user.as_user(me, lambda: os._exit(3))["exception"]
    assert notebook_checkout_user.as_user(me, lambda: {"home": os.environ["HOME"]}) == {"home": me.pw_dir}
