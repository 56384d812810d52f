"""Taking NVIDIA's key out of its package, only if it is the one that is known."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from local_ec2.upstream.debs import Key, Package, deb

SCRIPT = Path(__file__).resolve().parents[2] / "roles/cuda/files/keyring.py"
MEMBER = "/usr/share/keyrings/cuda-archive-keyring.gpg"


@pytest.fixture(scope="module")
def keyring() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cuda_keyring", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Key, Key]:
    folder = tmp_path_factory.mktemp("keys")
    return Key.make(folder / "one", "one"), Key.make(folder / "other", "other")


def package(folder: Path, data: bytes, member: str = MEMBER) -> Path:
    file = folder / "cuda-keyring.deb"
    file.write_bytes(deb(Package("cuda-keyring", "1.1-1", architecture="all", files={member: data})))
    return file


def test_the_known_key_is_taken(keyring: ModuleType, keys: tuple[Key, Key], tmp_path: Path) -> None:
    key = keys[0]
    file, target = package(tmp_path, key.public(armored=False)), tmp_path / "keyring.gpg"
    keyring.main(file, key.fingerprint, target)
    assert target.read_bytes() == key.public(armored=False)
    assert not file.exists()


@pytest.mark.parametrize("which", [[1], [0, 1]], ids=["another key", "one key more"])
def test_any_other_is_refused(keyring: ModuleType, keys: tuple[Key, Key], tmp_path: Path, which: list[int]) -> None:
    data = b"".join(keys[number].public(armored=False) for number in which)
    target = tmp_path / "keyring.gpg"
    with pytest.raises(SystemExit) as caught:
        keyring.main(package(tmp_path, data), keys[0].fingerprint, target)
    assert keys[1].fingerprint in str(caught.value) and "cuda_key_fingerprint" in str(caught.value)
    assert not target.exists()


def test_a_package_without_a_keyring_is_refused(keyring: ModuleType, keys: tuple[Key, Key], tmp_path: Path) -> None:
    file = package(tmp_path, b"x", member="/usr/share/doc/cuda-keyring/README")
    with pytest.raises(SystemExit, match="has no /usr/share/keyrings/cuda-archive-keyring"):
        keyring.main(file, keys[0].fingerprint, tmp_path / "keyring.gpg")
