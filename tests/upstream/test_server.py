"""The server: files, ranges, git, the log."""

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from local_ec2 import upstream
from local_ec2.upstream.server import byte_range

FILE = "/conda-forge/noarch/repodata.json"


def get(url: str, **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def git(*arguments, cwd=None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize(
    ("header", "span"),
    [
        (None, None),
        ("bytes=0-", (0, 99)),
        ("bytes=5-9", (5, 9)),
        ("bytes=90-500", (90, 99)),
        ("bytes=-10", (90, 99)),
        ("bytes=-500", (0, 99)),
        ("bytes=1-2,5-6", None),
        ("bytes=-", None),
        ("lines=1-2", None),
    ],
)
def test_ranges_are_read_as_the_standard_says(header, span):
    assert byte_range(header, 100) == span


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=-0", "bytes=9-5"])
def test_a_range_outside_the_file_is_an_error(header):
    with pytest.raises(ValueError, match="bytes"):
        byte_range(header, 100)


def test_a_broken_download_is_continued(served):
    whole = (served.directory / FILE[1:]).read_bytes()
    status, first = get(served.url + FILE, Range="bytes=0-99")
    assert (status, first) == (206, whole[:100])
    status, rest = get(served.url + FILE, Range="bytes=100-")
    assert (status, first + rest) == (206, whole)
    assert get(served.url + FILE, Range=f"bytes={len(whole)}-")[0] == 416


def test_the_rest_of_a_file_that_has_changed_is_the_whole(served):
    whole = (served.directory / FILE[1:]).read_bytes()
    before = {"Range": f"bytes={len(whole)}-", "If-Range": "Thu, 01 Jan 1970 00:00:00 GMT"}
    assert get(served.url + FILE, **before) == (200, whole)


@pytest.mark.parametrize("path", ["/", "/conda-forge", "/../upstream.log", "/%2e%2e/upstream.log", "/nothing"])
def test_only_files_inside_are_served(served, path):
    assert get(served.url + path)[0] == 404


def test_an_address_that_is_not_there_yet_can_be_bound(tmp_path):
    server = upstream.make_server(("192.0.2.1", 0), tmp_path)
    assert server.socket.getsockname()[0] == "192.0.2.1"
    server.server_close()


def told(served):
    """Path, status and bytes of each whole line in the log."""
    lines = served.log.read_text().splitlines(keepends=True)
    entries = [json.loads(line) for line in lines if line.endswith("\n")]
    return [(entry["path"], entry["status"], entry["bytes"]) for entry in entries]


def test_the_log_counts_the_bytes_of_each_path(served):
    # A line is written after the answer: that of an earlier request may come after this one has been sent.
    before = told(served).count((FILE, 206, 7))
    get(served.url + FILE, Range="bytes=0-6")
    deadline = time.monotonic() + 5
    while told(served).count((FILE, 206, 7)) == before:
        assert time.monotonic() < deadline, "the request is not in the log"
        time.sleep(0.01)
    assert told(served).count((FILE, 206, 7)) == before + 1


def test_a_client_that_goes_away_does_no_harm(served):
    with socket.create_connection(served.url.removeprefix("http://").split(":")) as client:
        client.sendall(f"GET /miniconda/{served.installer.name} HTTP/1.0\r\n\r\n".encode())
        client.recv(100)
    assert get(served.url + FILE)[0] == 200


def test_a_shallow_clone_has_the_newest_commit_only(served, tmp_path):
    done = git("clone", "--quiet", "--depth=1", served.variables["tutorial_url"], tmp_path / "clone")
    assert done.returncode == 0, done.stderr
    commits = git("log", "--format=%H", cwd=tmp_path / "clone").stdout.split()
    assert commits == [served.variables["tutorial_version"]]


def test_any_commit_can_be_fetched_by_its_id(served, tmp_path):
    old = git("rev-parse", "main~2", cwd=served.directory / "git" / "gluon-tutorials-zh.git").stdout.strip()
    git("init", "--quiet", cwd=tmp_path)
    done = git("fetch", "--quiet", "--depth=1", served.variables["tutorial_url"], old, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert git("rev-parse", "FETCH_HEAD", cwd=tmp_path).stdout.strip() == old


def test_nothing_can_be_pushed(served, tmp_path):
    git("clone", "--quiet", served.variables["tutorial_url"], tmp_path)
    done = git("push", served.variables["tutorial_url"], "HEAD:refs/heads/mine", cwd=tmp_path)
    assert done.returncode != 0
    assert "mine" not in git("ls-remote", served.variables["tutorial_url"]).stdout
