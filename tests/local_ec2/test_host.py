"""What is found out about the host, and what the base image takes from it."""

import ipaddress
import os
import subprocess
import time
from pathlib import Path

import pytest

from local_ec2 import host, image, recipe
from local_ec2.folder import Folder, State, remove_tree, started
from local_ec2.image import deb822
from local_ec2.say import Refusal, step

DEBIAN = ("http://mirror.example/debian", "bookworm", "main")


def listing(*rows: str):
    return lambda *_: "\n".join(rows)


def test_other_vendors_suites_are_not_debian(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = ["|".join([*DEBIAN, "Debian"]), "http://vendor.example|bookworm|main|Vendor"]
    monkeypatch.setattr(recipe, "_output", listing(*rows))
    assert recipe._debian_sources() == (DEBIAN,)


def test_before_the_first_update_the_path_tells_debian(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = ["|".join([*DEBIAN, "$(ORIGIN)"]), "http://vendor.example/apt|bookworm|main|$(ORIGIN)"]
    monkeypatch.setattr(recipe, "_output", listing(*rows))
    assert recipe._debian_sources() == (DEBIAN,)


def test_a_host_with_another_release_uses_none_of_its_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "_output", listing("http://mirror.example/debian|trixie|main|Debian"))
    assert recipe._debian_sources() == ()


def test_sources_are_grouped_by_mirror() -> None:
    text = deb822((DEBIAN, (DEBIAN[0], "bookworm-updates", "main"), ("http://mirror.example/sec", "s", "main")))
    assert text.count("Types: deb\n") == 2
    assert "Suites: bookworm bookworm-updates\n" in text


def certificate(letter: str) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{letter * 8}\n-----END CERTIFICATE-----\n"


def test_only_certificates_that_debian_lacks_are_added() -> None:
    made = recipe.Recipe((), (), certificate("a") + certificate("b"), "")
    assert made.foreign_certificates(certificate("a")) == [certificate("b")]


def test_a_change_of_the_recipe_gives_another_image() -> None:
    one, other = (recipe.Recipe((source,), (), "", "") for source in (DEBIAN, ("http://other.example", *DEBIAN[1:])))
    assert one.digest != other.digest
    assert one.digest == recipe.Recipe((DEBIAN,), (), "", "").digest


def test_the_free_range_avoids_what_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    first = host.pick_subnet("auto", "local-ec2-00000000")
    monkeypatch.setattr(host, "networks_in_use", lambda: [ipaddress.IPv4Network(f"{first[0]}/16", strict=False)])
    assert not host.pick_subnet("auto", "local-ec2-00000000").overlaps(first)


def test_too_little_room_is_refused_before_anything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(host, "storage", lambda: tmp_path)
    monkeypatch.setattr(host, "ROOM", 1 << 60)
    with pytest.raises(Refusal, match="GiB free"):
        host.need_room(Folder(tmp_path / "data"))


def test_a_process_number_used_again_is_not_the_server() -> None:
    state = State("/x", 1, "10.0.0.0/20", "", "real", pid=os.getpid(), started=started(os.getpid()))
    assert state.alive()
    state.started = "1"
    assert not state.alive()


def test_a_process_that_ended_is_not_alive() -> None:
    process = subprocess.Popen(["true"])
    time.sleep(0.2)
    assert started(process.pid) is None, "a zombie counts as alive"
    process.wait()


def test_a_moved_folder_belongs_to_the_one_that_runs(tmp_path: Path) -> None:
    state = State("/elsewhere", 1, "10.0.0.0/20", "", "real", pid=os.getpid(), started=started(os.getpid()))
    with pytest.raises(Refusal, match="/elsewhere"):
        host.need_own(Folder(tmp_path), state)


def test_what_is_mounted_in_a_folder_survives_its_removal(tmp_path: Path) -> None:
    inside = tmp_path / "root/dev"
    inside.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(inside)], check=True)
    try:
        (inside / "precious").touch()
        with pytest.raises(Refusal, match="different device"):
            remove_tree(tmp_path / "root")
        assert (inside / "precious").exists()
    finally:
        subprocess.run(["umount", str(inside)], check=True)


def test_a_base_image_whose_making_failed_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    made = recipe.Recipe((DEBIAN,), (), "", "http://index.example")
    monkeypatch.setattr(image, "bootstrap", interrupted)
    with pytest.raises(KeyboardInterrupt):
        image.ensure(made, tmp_path / "build")
    assert not image.built(image.name_of(made))


def test_a_long_step_ends_with_a_line_when_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with step("Working"):
        pass
    assert capsys.readouterr().out == "Working ... 0 s done\n"
    with pytest.raises(KeyError), step("Working"):
        raise KeyError
    assert capsys.readouterr().out.endswith("not done\n")
