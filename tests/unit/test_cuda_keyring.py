"""The cuda_keyring module: NVIDIA's key out of its package, only if it is the one that is known."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from fault_server import Server
from private_network import Authority, Proxy

from local_ec2.upstream.debs import Key, Package, deb
from plugins.module_utils import download
from plugins.modules import cuda_keyring

MEMBER = "/usr/share/keyrings/cuda-archive-keyring.gpg"
NAME = "cuda-keyring_1.1-1_all.deb"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Key, Key]:
    folder = tmp_path_factory.mktemp("keys")
    return Key.make(folder / "one", "one"), Key.make(folder / "other", "other")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "www").mkdir()
    server = Server(tmp_path / "www")
    yield server
    server.close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "keyring.gpg"


@pytest.fixture
def take(
    server: Server, target: Path, tmp_path: Path, keys: tuple[Key, Key], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, Any]]:
    """Run the module on a package with this data; its answer."""
    monkeypatch.setattr(download, "WAITS", (0, 0, 0))

    def run(data: bytes, member: str = MEMBER, check: bool = False, **given: Any) -> dict[str, Any]:
        package = deb(Package("cuda-keyring", "1.1-1", architecture="all", files={member: data}))
        (server.folder / NAME).write_bytes(package)
        options = {
            "url": f"{server.url}/{NAME}",
            "sha256": hashlib.sha256(package).hexdigest(),
            "fingerprint": keys[0].fingerprint,
            "path": str(target),
            "_ansible_check_mode": check,
            "_ansible_remote_tmp": str(tmp_path / "remote"),
            **given,
        }
        said, before = io.StringIO(), dict(os.environ)
        with patch_module_args(options), contextlib.redirect_stdout(said), pytest.raises(SystemExit):
            cuda_keyring.main()
        os.environ.clear()
        os.environ.update(before)
        return json.loads(said.getvalue())

    return run


def test_the_known_key_is_taken_once(take: Callable, keys: tuple[Key, Key], target: Path, server: Server) -> None:
    data = keys[0].public(armored=False)
    assert take(data, check=True)["changed"] is True and not target.exists()
    assert take(data)["changed"] is True and target.read_bytes() == data
    assert take(data)["changed"] is False and len(server.requests) == 1


@pytest.mark.parametrize("which", [[1], [0, 1]], ids=["another key", "one key more"])
def test_any_other_is_refused(take: Callable, keys: tuple[Key, Key], target: Path, which: list[int]) -> None:
    answer = take(b"".join(keys[number].public(armored=False) for number in which))
    assert keys[1].fingerprint in answer["msg"] and answer["options"] == ["fingerprint"]
    assert not target.exists()


def test_a_package_without_a_keyring_is_refused(take: Callable) -> None:
    answer = take(b"x", member="/usr/share/doc/cuda-keyring/README")
    assert "has no /usr/share/keyrings/cuda-archive-keyring" in answer["msg"]


def test_another_package_is_refused(take: Callable, keys: tuple[Key, Key], target: Path) -> None:
    answer = take(keys[0].public(armored=False), sha256="0" * 64)
    assert f"its sha256 should be {'0' * 64} and is" in answer["msg"] and answer["options"] == ["sha256"]
    assert not target.exists()


def test_a_package_of_a_folder_is_taken(take: Callable, keys: tuple[Key, Key], target: Path, server: Server) -> None:
    take(keys[0].public(armored=False), url=f"file://{server.folder}/{NAME}")
    assert target.read_bytes() == keys[0].public(armored=False)


def test_the_proxy_and_the_authority_are_used(
    take: Callable, keys: tuple[Key, Key], target: Path, server: Server, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    beyond = Server(server.folder, authority.issue("far.example.org"))
    proxy = Proxy(beyond.server_port, login="me:hush@")
    answer = take(
        keys[0].public(armored=False),
        url=f"https://far.example.org/{NAME}",
        proxy=proxy.url,
        ca_bundle=str(authority.bundle),
    )
    proxy.close()
    beyond.close()
    assert target.is_file() and "hush" not in str(answer)
    assert (proxy.asked, beyond.requests) == (["far.example.org:443"], [f"/{NAME}"])
