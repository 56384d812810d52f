"""What the conda_installation module sets for all users: .condarc, the link for login shells, accepted terms."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml
from conda_installation_host import MINICONDA, MINIFORGE, NEWER, TERMS, Host, host, installers, server

from plugins.module_utils.conda_installation_settings import render

__all__ = ["host", "installers", "server"]

SETTINGS = {
    "channels": ["conda-forge", "https://example.org/a b", "über", "🐍"],
    "auto_activate_base": False,
    "custom_channels": {"conda-forge": "https://example.org/cloud", "no": 'quo"te\nline'},
    "ssl_verify": "/etc/ssl/ca.pem",
    "remote_max_retries": 5,
    "channel_alias": None,
}


def change_of(answer: dict, path: object) -> tuple[str, str]:
    """Before and after of one thing in a diff."""
    return next((one["before"], one["after"]) for one in answer["diff"] if one["before_header"] == str(path))


def record(folder: Path, url: str, name: str, is_accepted: bool) -> None:
    """What conda keeps of terms that were accepted or rejected."""
    (folder / "hash").mkdir(parents=True, exist_ok=True)
    (folder / "hash" / name).write_text(json.dumps({"base_url": url, "tos_accepted": is_accepted}))


def test_conda_reads_what_was_given() -> None:
    assert yaml.safe_load(render(SETTINGS)) == SETTINGS


def test_the_text_does_not_depend_on_the_order_of_the_settings() -> None:
    assert render(SETTINGS) == render(dict(reversed(SETTINGS.items())))


def test_condarc_is_written_over_that_of_the_installer(host: Host) -> None:
    host()
    assert host.condarc.read_text() == render({"channels": ["conda-forge"]})
    host(NEWER)
    assert host.condarc.read_text() == render({"channels": ["conda-forge"]})


def test_condarc_that_was_changed_by_hand_is_restored_and_the_difference_shown(host: Host) -> None:
    host()
    host.condarc.write_text("channels: [defaults]\n")
    for check in (True, False):
        answer = host(check=check)
        assert answer["changed"] is True
        assert change_of(answer, host.condarc) == ("channels: [defaults]\n", render({"channels": ["conda-forge"]}))
        assert len(answer["diff"]) == 1
    assert len(host.installs()) == 1
    assert host()["changed"] is False


@pytest.mark.parametrize("kind", ["writable", "link", "lost"])
def test_condarc_of_another_kind_is_restored(host: Host, kind: str) -> None:
    host()
    elsewhere = host.folder / "elsewhere"
    elsewhere.write_text(host.condarc.read_text())
    if kind == "writable":
        host.condarc.chmod(0o666)
    else:
        host.condarc.unlink()
    if kind == "link":
        host.condarc.symlink_to(elsewhere)
    assert host()["changed"] is True
    assert oct(host.condarc.lstat().st_mode) == oct(0o100644)
    assert elsewhere.read_text() == host.condarc.read_text()
    assert host()["changed"] is False


def test_condarc_is_left_alone_where_it_is_not_given(host: Host) -> None:
    host(condarc=None)
    assert host.condarc.read_text() == "channels: [defaults]\n"
    assert host(condarc=None, proxy="http://proxy.example.org:3128")["changed"] is False


def test_proxy_and_bundle_go_into_condarc_unless_it_says_otherwise(host: Host) -> None:
    host()
    bundle = os.environ.get("REQUESTS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")
    if not Path(bundle).is_file():
        pytest.skip("there is no bundle of certificates here")
    host(proxy="http://proxy.example.org:3128", ca_bundle=bundle)
    settings = yaml.safe_load(host.condarc.read_text())
    assert settings["proxy_servers"] == dict.fromkeys(("http", "https"), "http://proxy.example.org:3128")
    assert settings["ssl_verify"] == bundle
    host(ca_bundle=bundle, condarc={"ssl_verify": True})
    assert yaml.safe_load(host.condarc.read_text()) == {"ssl_verify": True}


def test_no_users_condarc_is_touched(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(host.folder / "home"))
    (host.folder / "home").mkdir()
    host(accept_terms=[TERMS])
    assert list((host.folder / "home").iterdir()) == []


def test_login_shells_find_conda_by_a_link(host: Host) -> None:
    host()
    assert host.profile.readlink() == host.prefix / "etc/profile.d/conda.sh"


@pytest.mark.parametrize("kind", ["lost", "elsewhere", "file"])
def test_the_link_is_restored(host: Host, kind: str) -> None:
    host()
    host.profile.unlink()
    if kind == "elsewhere":
        host.profile.symlink_to("/opt/other/conda.sh")
    if kind == "file":
        host.profile.write_text("conda activate\n")
    answer = host()
    assert [one["before_header"] for one in answer["diff"]] == [str(host.profile)]
    assert host.profile.readlink() == host.prefix / "etc/profile.d/conda.sh"
    assert host()["changed"] is False


def test_a_folder_in_the_place_of_the_link_is_told(host: Host) -> None:
    host.profile.mkdir(parents=True)
    assert f"{host.profile} is a folder, and a file has to be there" in host()["msg"]
    host.profile.rmdir()
    assert host()["changed"] is True


def test_a_conda_without_a_script_for_shells_gets_no_link(host: Host) -> None:
    host()
    host.profile.unlink()
    (host.prefix / "etc/profile.d/conda.sh").unlink()
    for check in (True, False):
        assert host(check=check)["changed"] is False
    assert not host.profile.is_symlink()


def test_no_terms_are_accepted_by_themselves(host: Host) -> None:
    host()
    assert host.calls() == [f"-b -f -p {host.prefix}", "conda --version"]


def test_terms_are_accepted_once_and_for_the_installation(host: Host) -> None:
    answer = host(accept_terms=[TERMS])
    assert change_of(answer, "accepted terms") == ("", f"{TERMS}\n")
    assert f"conda tos accept --system --override-channels --channel {TERMS}" in host.calls()
    calls = host.calls()
    assert host(accept_terms=[f"{TERMS}/"])["changed"] is False
    assert host.calls() == calls
    for check in (True, False):
        answer = host(accept_terms=[TERMS, f"{TERMS}2"], check=check)
        assert change_of(answer, "accepted terms") == (f"{TERMS}\n", f"{TERMS}\n{TERMS}2\n")


def test_a_conda_that_knows_no_terms_is_not_asked(host: Host) -> None:
    assert host(MINIFORGE, accept_terms=[TERMS])["changed"] is True
    for check in (True, False):
        assert host(MINIFORGE, accept_terms=[TERMS], check=check)["changed"] is False
    assert not [call for call in host.calls() if "tos" in call]


def test_what_is_accepted_for_the_whole_machine_is_accepted(host: Host) -> None:
    record(host.folder / "etc/conda/tos", TERMS, "1752537600.0.json", True)
    host(accept_terms=[TERMS])
    assert not [call for call in host.calls() if "tos" in call]


def test_of_two_records_the_newer_terms_count(host: Host) -> None:
    record(host.folder / "etc/conda/tos", TERMS, "1752537600.0.json", True)
    record(host.folder / "etc/conda/tos", TERMS, "1700000000.0.json", False)
    record(host.folder / "etc/conda/tos", TERMS, "broken.json", False)
    host(accept_terms=[TERMS])
    assert not [call for call in host.calls() if "tos" in call]


def test_what_is_rejected_for_the_whole_machine_is_told(host: Host) -> None:
    record(host.folder / "etc/conda/tos", TERMS, "1752537600.0.json", False)
    answer = host(accept_terms=[TERMS])
    assert f"The terms of {TERMS} are not accepted" in answer["msg"] and "rejects them" in answer["msg"]
    assert "accept_terms" in answer["options"]


@pytest.mark.parametrize(
    ("channel", "reason"),
    [("without", "are not accepted: Terms of Service not found for"), ("down", "CondaHTTPError: HTTP 000")],
)
def test_terms_that_cannot_be_read_are_told_and_accepted_by_the_next_run(host: Host, channel: str, reason: str) -> None:
    url = f"https://example.org/{channel}"
    answer = host(accept_terms=[url])
    assert url in answer["msg"] and reason in answer["msg"]
    assert (host.beside(), host(MINICONDA)["changed"]) == (["miniconda3"], False)
    assert host(accept_terms=[TERMS])["changed"] is True
