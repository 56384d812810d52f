"""What the cuda role sees on a machine."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from plugins.module_utils import cuda_look

WANTED = ["contrib", "non-free"]


@pytest.fixture
def look() -> ModuleType:
    return cuda_look


@pytest.fixture
def apt(tmp_path: Path, look: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for apt's sources, all of which apt knows to be Debian's but for the one called other.test."""
    targets = [
        f"{uri}/ {suite} {origin}"
        for uri, origin in [
            ("http://a.test/debian", "Debian"),
            ("mirror+file:/m.list", "Debian"),
            ("http://other.test", "X"),
        ]
        for suite in ("bookworm", "bookworm-updates")
    ]
    monkeypatch.setattr(look, "output", lambda *_: "\n".join(targets))
    (tmp_path / "sources.list.d").mkdir()
    return tmp_path


def added(look: ModuleType, apt: Path) -> str:
    return look.sources(WANTED, apt / "sources.list.d/cuda.sources", apt)


def device(bus: Path, slot: str, vendor: str, kind: str, model: str) -> None:
    (bus / slot).mkdir(parents=True)
    for name, value in (("vendor", vendor), ("class", kind), ("device", model)):
        (bus / slot / name).write_text(value + "\n")


def test_gpus_are_the_devices_that_display_or_compute(look: ModuleType, tmp_path: Path) -> None:
    device(tmp_path, "0000:00:1f.0", "0x10de", "0x030000", "0x2237")
    device(tmp_path, "0000:00:1e.0", "0x10de", "0x030200", "0x1eb8")
    device(tmp_path, "0000:00:1d.0", "0x10de", "0x040300", "0x10f0")
    device(tmp_path, "0000:00:20.0", "0x1002", "0x030000", "0x7362")
    assert look.displays(tmp_path) == [("0x10de", "1eb8"), ("0x10de", "2237"), ("0x1002", "7362")]


def test_no_bus_is_no_gpu(look: ModuleType, tmp_path: Path) -> None:
    assert look.displays(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("told", "version"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.309.01  Tue Jul 1 2026\nGCC version: 12\n", "535.309.01"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.178.04  Release Build\n", "580.178.04"),
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  590.44  Mon\n", "590.44"),
    ],
)
def test_loaded_driver_has_its_version(look: ModuleType, tmp_path: Path, told: str, version: str) -> None:
    (tmp_path / "version").write_text(told)
    assert look.loaded(tmp_path / "version") == version


def test_no_driver_is_loaded_without_its_file(look: ModuleType, tmp_path: Path) -> None:
    assert look.loaded(tmp_path / "version") == ""


def test_components_are_added_beside_a_sources_file(look: ModuleType, apt: Path) -> None:
    text = "Types: deb\n# a note\nURIs: http://a.test/debian\nSuites: bookworm bookworm-updates\nComponents: main\n"
    (apt / "sources.list.d/debian.sources").write_text(text + "Signed-By: /usr/share/keyrings/a.gpg\n")
    assert added(look, apt) == (
        "Types: deb\nURIs: http://a.test/debian\nSuites: bookworm bookworm-updates\n"
        "Components: contrib non-free\nSigned-By: /usr/share/keyrings/a.gpg\n\n"
    )


def test_components_are_added_beside_a_sources_list(look: ModuleType, apt: Path) -> None:
    (apt / "sources.list").write_text(
        "# deb http://a.test/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://a.test/debian bookworm main contrib # mine\n"
        "deb-src http://a.test/debian bookworm main\n"
    )
    assert added(look, apt) == (
        "Types: deb\nURIs: http://a.test/debian\nSuites: bookworm\nComponents: non-free\nSigned-By: /k.gpg\n\n"
    )


def test_components_are_added_before_apt_knows_any_origin(
    look: ModuleType, apt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look, "output", lambda *_: "")
    (apt / "sources.list").write_text("deb http://a.test/debian bookworm main\n")
    assert "Components: contrib non-free\n" in added(look, apt)


def test_a_key_within_the_source_is_repeated_whole(look: ModuleType, apt: Path) -> None:
    key = "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc=\n -----END PGP PUBLIC KEY BLOCK-----\n"
    text = f"Types: deb deb-src\nURIs: mirror+file:/m.list\nSuites: bookworm\nComponents: main\n{key}"
    (apt / "sources.list.d/debian.sources").write_text(text)
    assert " abc=\n -----END PGP PUBLIC KEY BLOCK-----\n" in added(look, apt)


@pytest.mark.parametrize(
    "entry",
    [
        "Types: deb\nURIs: http://a.test/debian\nSuites: bookworm\nComponents: main contrib non-free\n",
        "Types: deb\nURIs: http://other.test\nSuites: bookworm\nComponents: main\n",
        "Types: deb-src\nURIs: http://a.test/debian\nSuites: bookworm\nComponents: main\n",
        "Types: deb\nEnabled: no\nURIs: http://a.test/debian\nSuites: bookworm\nComponents: main\n",
    ],
    ids=["has them", "of another origin", "of sources", "switched off"],
)
def test_nothing_is_added_beside_a_source_that(look: ModuleType, apt: Path, entry: str) -> None:
    (apt / "sources.list.d/debian.sources").write_text(entry)
    assert added(look, apt) == ""


def test_its_own_file_is_no_source_to_repeat(look: ModuleType, apt: Path) -> None:
    entry = "Types: deb\nURIs: http://a.test/debian\nSuites: bookworm\nComponents: main\n"
    (apt / "sources.list.d/debian.sources").write_text(entry)
    first = added(look, apt)
    (apt / "sources.list.d/cuda.sources").write_text(first)
    assert added(look, apt) == first


def test_a_journal_of_dpkg_s_is_something_unfinished(
    look: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look, "output", lambda *_: "")
    assert not look.interrupted(tmp_path)
    (tmp_path / "0003").touch()
    assert look.interrupted(tmp_path)
