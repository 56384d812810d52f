"""How the notebook_checkout module fetches: attempts, what is not asked for again, servers of all kinds."""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import threading

import pytest
from notebook_checkout_place import BOOK, Place, empty, git, raw

from plugins.module_utils import notebook_checkout_git

__all__ = ["empty"]


def test_a_server_that_hands_out_branches_and_tags_only(empty: Place) -> None:
    old = git(empty.upstream, "rev-parse", "main~")
    git(empty.upstream, "config", "uploadpack.allowReachableSHA1InWant", "false")
    (empty.login / ".gitconfig").write_text("[protocol]\nversion = 0\n")
    assert empty.good(old)["commit"] == old
    assert empty.read("README.md") == "First edition\n"
    newest = empty.publish({"README.md": "Third edition\n"})
    empty.publish({"README.md": "Fourth edition\n"})
    assert empty.good(newest)["commit"] == newest
    assert empty.read("README.md") == "Third edition\n"


class Asked:
    """Counts the fetches; the first `failures` of them fail with `said`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failures: int, said: str) -> None:
        self.count, self.failures, self.said = 0, failures, said
        self.waits: list[float] = []
        fetch = notebook_checkout_git.Git._fetch

        def counted(git: notebook_checkout_git.Git, *arguments: object) -> None:
            self.count += 1
            if self.count <= self.failures:
                raise notebook_checkout_git.Refused("fetch", self.said)
            fetch(git, *arguments)

        monkeypatch.setattr(notebook_checkout_git.Git, "_fetch", counted)
        monkeypatch.setattr(notebook_checkout_git, "sleep", self.waits.append)
        monkeypatch.setattr(notebook_checkout_git, "WAITS", (5, 10, 20))


RESET = "fatal: unable to access 'https://x:secret@example.org/': Recv failure: Connection reset by peer\n"


def test_a_failed_connection_is_tried_again_and_later_each_time(empty: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch, 4, RESET)
    empty.good("main", retries=4)
    assert (asked.count, asked.waits) == (5, [5, 10, 20, 20])


def test_the_attempts_end(empty: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch, 99, RESET)
    said = empty("main", retries=2)["msg"]
    assert asked.count == 3 and "attempts made: 3" in said and said.endswith("Run again to continue.")
    assert "Connection reset by peer" in said and "secret" not in said


@pytest.mark.parametrize("version", ["no-such-branch", "1" * 40])
def test_a_version_that_is_not_there_is_not_asked_for_again(
    empty: Place, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    asked = Asked(monkeypatch, 0, "")
    said = empty(version, retries=3)["msg"]
    assert asked.count == 1 and version in said and str(empty.upstream) in said
    assert not empty.checkout.exists()
    assert empty.good()["state"] == "cloned"


def test_a_repository_that_is_not_there_is_not_asked_again(empty: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch, 0, "")
    assert "does not appear to be a git repository" in empty(repository="/no/such", retries=3)["msg"]
    assert asked.count == 1


def test_a_git_that_does_not_end_is_ended(empty: Place) -> None:
    silent = f"ext::sleep 60.{os.getpid()}"
    config = f'[url "{silent}"]\n insteadOf = {empty.upstream}\n[protocol]\n allow = always\n'
    (empty.login / ".gitconfig").write_text(config)
    assert "did not end within 1 s" in empty("main", timeout=1)["msg"]
    left = subprocess.run(["pgrep", "-f", f"^sleep 60.{os.getpid()}"], capture_output=True, text=True, check=False)
    assert left.stdout == ""


def test_a_server_that_only_has_files(empty: Place) -> None:
    handler = functools.partial(Quiet, directory=str(empty.folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
        git(empty.upstream, "update-server-info")
        url = f"http://127.0.0.1:{server.server_port}/upstream.git"
        assert empty.good("main", repository=url)["commit"] == empty.head()
        assert empty("no-such-branch", repository=url)["msg"].startswith(
            "no-such-branch cannot be fetched from http://"
        )
        server.shutdown()
    assert empty.tree() == {path: raw(content) for path, content in BOOK.items()}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""
