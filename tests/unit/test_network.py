"""The way out of a closed network: conda, pip, uv and git by a proxy with a password, under a private authority."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from company import Company, company
from conda_place import Place, conda, wheel
from notebook_checkout_place import git

from local_ec2.upstream import channel
from plugins.module_utils import network
from plugins.module_utils.failed import Failed

__all__ = ["company", "conda"]

ROOT = Path(__file__).resolve().parents[2]
# The stand-in for conda of the local EC2, as its installer lays it out, with this Python.
STANDIN = f"""#!{sys.executable}
import runpy, sys
sys.path.insert(0, "{ROOT}/local_ec2/upstream")
runpy.run_module("conda_standin", run_name="__main__")
"""


def publish_package(folder: Path, name: str) -> None:
    """A channel with one package of conda's."""
    index = channel._index(name, "1.0", "0", "noarch", [])
    blob = channel._package(index, {}, {f"share/{name}": b"from far away\n"})
    file = f"{name}-1.0-0.tar.bz2"
    digests = {kind: hashlib.new(kind, blob).hexdigest() for kind in ("md5", "sha256")}
    record = {**index, **digests, "size": len(blob)}
    for subdir, packages in {"noarch": {file: record}, "linux-64": {}}.items():
        (folder / subdir).mkdir(parents=True)
        repodata = {"info": {"subdir": subdir}, "packages": packages, "packages.conda": {}, "repodata_version": 1}
        (folder / subdir / "repodata.json").write_text(json.dumps(repodata))
    (folder / "noarch" / file).write_bytes(blob)


def publish_wheel(folder: Path, name: str) -> None:
    """An index with one package of pip's."""
    (folder / "simple" / name).mkdir(parents=True)
    wheel(folder, name, module=name)
    page = f'<a href="/{name}-1.0-py3-none-any.whl">{name}-1.0-py3-none-any.whl</a>'
    (folder / "simple" / name / "index.html").write_text(page)


def test_conda(company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_package(company.www / "channel", "far")
    # Else it asks Anaconda's, too.
    monkeypatch.setenv("CONDA_DEFAULT_CHANNELS", f"{company.url}/channel")
    (tmp_path / "conda/bin").mkdir(parents=True)
    (tmp_path / "conda/bin/conda").write_text(STANDIN)
    (tmp_path / "conda/bin/conda").chmod(0o755)
    answer = company.run(
        "conda_env",
        prefix=str(tmp_path / "envs/e"),
        executable=str(tmp_path / "conda/bin/conda"),
        definition={"dependencies": ["far"]},
        **company.way,
    )
    assert answer.get("packages") == {"far": "1.0"}, answer
    assert (tmp_path / "envs/e/share/far").read_text() == "from far away\n"
    assert company.has_led_out()


@pytest.fixture
def asked(company: Company, conda: Place) -> dict[str, Any]:
    """An environment with a package that only the far index has."""
    publish_wheel(company.www, "far")
    conda.index = {"PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0"}
    return {
        "definition": {"dependencies": ["python=3.11", {"pip": ["far"]}]},
        "pip_index": f"{company.url}/simple",
        **company.way,
    }


@pytest.mark.parametrize("by", ["pip", "uv"])
def test_pip(company: Company, conda: Place, asked: dict[str, Any], by: str) -> None:
    if by == "uv":
        conda.index["PIP_FIND_LINKS"] = str(conda.folder / "wheels")
        asked["uv"] = conda.uv()
    answer = conda(**asked)
    assert answer.get("packages", {}).get("far") == "1.0" and "hush" not in str(answer), answer
    assert company.has_led_out() and (conda.folder / "uv-calls").exists() is (by == "uv")


def test_pip_with_a_password_that_is_wrong(company: Company, conda: Place, asked: dict[str, Any]) -> None:
    asked["proxy"] = asked["proxy"].replace("hush", "psst")
    answer = conda(**asked)
    assert answer["failed"] and "psst" not in str(answer) and company.proxy.asked == []


def test_an_index_with_a_password(company: Company, conda: Place, asked: dict[str, Any]) -> None:
    asked["pip_index"] = asked["pip_index"].replace("//", "//reader:psst@")
    answer = conda(**asked)
    assert answer.get("packages", {}).get("far") == "1.0" and "psst" not in str(answer), answer


@pytest.fixture
def published(company: Company) -> dict[str, Any]:
    """The options of a checkout from a server that has files only."""
    repository = company.www / "book.git"
    git(company.www, "init", "-q", "--bare", "-b", "main", str(repository))
    tree = git(repository, "hash-object", "-t", "tree", "-w", "/dev/null")
    commit = git(repository, "commit-tree", "-m", "book", tree)
    git(repository, "update-ref", "refs/heads/main", commit)
    git(repository, "update-server-info")
    return {
        "repository": f"{company.url}/book.git",
        "version": "main",
        "directory": str(company.folder / "book"),
        "user": pwd.getpwuid(os.geteuid()).pw_name,
        "retries": 0,
    }


def test_git(company: Company, published: dict[str, Any]) -> None:
    answer = company.run("notebook_checkout", **published, **company.way)
    assert answer.get("state") == "cloned", answer
    assert company.has_led_out()


def test_git_with_a_password_that_is_wrong(company: Company, published: dict[str, Any]) -> None:
    way = {**company.way, "proxy": company.proxy.url.replace("hush", "psst")}
    answer = company.run("notebook_checkout", **published, **way)
    assert answer["failed"] and "407" in answer["msg"] and "psst" not in str(answer)


def test_git_that_does_not_know_the_authority(company: Company, published: dict[str, Any]) -> None:
    answer = company.run("notebook_checkout", **published, proxy=company.proxy.url)
    assert "certificate" in answer["msg"]


@pytest.mark.parametrize(
    "proxy",
    [
        "proxy.example.org:3128",
        "http://proxy.example.org",
        "http://proxy.example.org:3128/path",
        "socks5://proxy.example.org:1080",
        "http://me:hu@sh@proxy.example.org:3128",
        "http://me:hu/sh@proxy.example.org:3128",
        'http://proxy.example.org:3128"',
    ],
)
def test_what_is_no_proxy(proxy: str) -> None:
    with pytest.raises(Failed) as caught:
        network.login(proxy)
    assert caught.value.told == {"options": ["proxy"]} and proxy not in str(caught.value)


@pytest.mark.parametrize(
    ("proxy", "login"),
    [
        ("http://proxy.example.org:3128", ""),
        ("https://proxy:3128/", ""),
        ("http://[fd00::1]:3128", ""),
        ("http://me@proxy:3128", "me"),
        ("http://EXAMPLE%5Cme:hu%40sh@proxy:3128", "EXAMPLE%5Cme:hu%40sh"),
    ],
)
def test_what_is_a_proxy(proxy: str, login: str) -> None:
    assert network.login(proxy) == login


def test_the_machine_itself_is_reached_without_it() -> None:
    asked = {"proxy": "http://proxy:3128", "no_proxy": ".example.org", "ca_bundle": None}
    before = dict(os.environ)
    network.use(SimpleNamespace(params=asked, no_log_values=set()))
    told = os.environ["no_proxy"], os.environ["HTTPS_PROXY"]
    os.environ.clear()
    os.environ.update(before)
    assert told == (".example.org,localhost,127.0.0.1,::1,169.254.169.254", "http://proxy:3128")
