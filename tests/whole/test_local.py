"""What `make local` and the playbooks promise to whoever types them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest
from conftest import STATE, Run, on_machine, playbook, run


def status_of(url: str) -> int:
    try:
        return urllib.request.urlopen(url, timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code


def api(address: str, path: str, *, token: bool = True) -> str:
    base, _, secret = address.partition("/tree?token=")
    return f"{base}/api/{path}" + (f"?token={secret}" if token else "")


@pytest.fixture(scope="session")
def second(first: Run) -> Run:
    return run("tools/local")


def test_the_card_says_how_to_stop_and_how_to_clean_up(first: Run) -> None:
    assert "playbooks/stop.yml" in first.output
    assert "make local-down" in first.output


def test_a_second_run_changes_nothing(second: Run) -> None:
    assert second.changed == 0, second.output


def test_a_second_run_is_quick(second: Run) -> None:
    assert second.seconds < 40, f"{second.seconds:.0f} s; the aim is 20 on a quiet machine"


def test_the_token_is_not_shown_where_no_one_reads_along(second: Run, address: str) -> None:
    assert address.partition("token=")[2] not in second.output


def test_the_notebook_wants_the_token(address: str) -> None:
    assert status_of(api(address, "status")) == 200
    assert status_of(api(address, "status", token=False)) == 403


def test_verify_says_what_the_notebooks_run_on(first: Run) -> None:
    shown = playbook("playbooks/verify.yml")
    assert "  reader  no GPU, MXNet 1.9.1 on the CPU\n" in shown.output
    assert shown.changed == 0


def test_the_chapters_are_listed(address: str) -> None:
    listing = json.load(urllib.request.urlopen(api(address, "contents"), timeout=10))
    assert [entry["name"] for entry in listing["content"] if entry["name"].startswith("chapter_")]


def test_a_stopped_machine_comes_back_with_its_notebooks_and_its_token(address: str) -> None:
    on_machine("touch gluon-tutorials-zh/mine.md && sync")
    stopped = playbook("playbooks/stop.yml")
    assert stopped.changed
    assert playbook("playbooks/stop.yml").changed == 0
    started = playbook("playbooks/start.yml", "-e", "show_token=always")
    assert address.partition("token=")[2] in started.output
    assert on_machine("ls gluon-tutorials-zh/mine.md").strip() == "gluon-tutorials-zh/mine.md"
    on_machine("rm gluon-tutorials-zh/mine.md")


def test_terminate_wants_to_be_told(first: Run) -> None:
    with pytest.raises(AssertionError, match="confirm=yes"):
        playbook("playbooks/terminate.yml")
    assert on_machine("hostname").strip()


def test_an_impostor_is_not_talked_to(first: Run) -> None:
    known = STATE / "known_hosts"
    true = known.read_text()
    false = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKbvkHkMRG1ErSMM1zSrYVhXRrNjVHwzDwlHSrzNAkcL"
    known.write_text("".join(f"{line.split()[0]} {false}\n" for line in true.splitlines()))
    try:
        with pytest.raises(AssertionError, match="Host key verification failed"):
            run("ssh", "-F", str(STATE / "ssh_config"), "-o", "ControlPath=none", "reader", "true")
    finally:
        known.write_text(true)
