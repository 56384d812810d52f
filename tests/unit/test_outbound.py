"""The outbound module: apt's proxy, and the machine's store of certificates, in a folder."""

from __future__ import annotations

import contextlib
import io
import json
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from private_network import Authority

from plugins.modules import outbound

PROXY, LOCKED = "http://proxy.example.org:3128", "http://me:hush@proxy.example.org:3128"


class Machine:
    """Its update-ca-certificates is the real one, told of other folders."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.apt = folder, folder / "apt/90outbound"
        self.added, self.store = folder / "added", folder / "certs"
        for path in (self.added, self.store, folder / "distribution", folder / "authority"):
            path.mkdir()
        # The distribution's own.
        (folder / "conf").write_text("base.crt\n")
        (folder / "distribution/base.crt").write_text(Authority(folder / "authority").bundle.read_text())
        self.update = folder / "update-ca-certificates"
        self.update.write_text(
            f"#!/bin/sh\nexec {outbound.UPDATE} --localcertsdir {self.added} --etccertsdir {self.store} "
            f'--certsdir {folder}/distribution --certsconf {folder}/conf --hooksdir /nonexistent "$@"\n'
        )
        self.update.chmod(0o755)
        subprocess.run([self.update], check=True, capture_output=True)
        for name, value in {
            "APT": self.apt,
            "ADDED": self.added,
            "TRUSTED": self.store / "ca-certificates.crt",
            "UPDATE": str(self.update),
        }.items():
            monkeypatch.setattr(outbound, name, value)

    def __call__(self, check: bool = False, **options: Any) -> dict[str, Any]:
        said = io.StringIO()
        given = {"_ansible_check_mode": check, "_ansible_remote_tmp": str(self.folder / "tmp"), **options}
        with patch_module_args(given), contextlib.redirect_stdout(said), pytest.raises(SystemExit):
            outbound.main()
        assert "hush" not in said.getvalue()
        return json.loads(said.getvalue())

    def authority(self, name: str = "one") -> str:
        """The text of an authority's certificate."""
        (self.folder / name).mkdir()
        return Authority(self.folder / name).bundle.read_text()

    def trusts(self) -> int:
        """How many authorities beside the distribution's, by the folder and by the file: programs read either."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile=str(self.store / "ca-certificates.crt"))
        in_file = context.cert_store_stats()["x509"]
        assert len(list(self.store.glob("????????.[0-9]"))) == in_file
        return in_file - 1


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def apt_reads(file: Path) -> list[str]:
    """The settings of apt's own reading of a file."""
    dump = subprocess.run(["apt-config", "-c", file, "dump"], capture_output=True, text=True, check=True).stdout
    return sorted(line for line in dump.splitlines() if "::Proxy" in line and "outbound" not in line)


def test_nothing_wanted_is_nothing_done(machine: Machine) -> None:
    assert machine()["changed"] is False
    assert not machine.apt.exists() and machine.trusts() == 0


def test_apt_gets_the_proxy_once(machine: Machine) -> None:
    options = {"proxy": PROXY, "no_proxy": "packages.example.org,.example.com,10.0.0.0/8"}
    assert machine(check=True, **options)["changed"] is True and not machine.apt.exists()
    assert machine(**options)["changed"] is True
    read = apt_reads(machine.apt)
    for kind in ("http", "https"):
        assert f'Acquire::{kind}::Proxy "{PROXY}";' in read
        assert f'Acquire::{kind}::Proxy::packages.example.org "DIRECT";' in read
    assert not [line for line in read if "example.com" in line or "10.0.0.0" in line]
    assert machine.apt.stat().st_mode & 0o777 == 0o644
    assert machine(**options)["changed"] is False


def test_a_password_is_for_root_alone_and_is_not_shown(machine: Machine) -> None:
    answer = machine(proxy=LOCKED, _ansible_diff=True)
    assert f'Acquire::http::Proxy "{LOCKED}";' in machine.apt.read_text()
    assert machine.apt.stat().st_mode & 0o777 == 0o600
    assert "//...@proxy.example.org" in answer["diff"][0]["after"]
    machine.apt.chmod(0o644)
    assert machine(proxy=LOCKED)["changed"] is True and machine.apt.stat().st_mode & 0o777 == 0o600
    # The old one is not shown either.
    assert machine(proxy=PROXY, _ansible_diff=True)["changed"] is True


def test_authorities_are_trusted_once(machine: Machine) -> None:
    both = f"A bundle\n{machine.authority()}\n# another\n{machine.authority('two')}"
    assert machine(check=True, certificates=both)["changed"] is True and machine.trusts() == 0
    assert machine(certificates=both)["changed"] is True
    assert machine.trusts() == 2
    assert machine(certificates=both)["changed"] is False


def test_what_is_not_wanted_any_more_goes(machine: Machine) -> None:
    one, two = machine.authority(), machine.authority("two")
    (machine.added / "others.crt").write_text(machine.authority("three"))
    machine(certificates=one + two, proxy=PROXY)
    assert machine.trusts() == 3
    assert machine(certificates=two, proxy=PROXY)["changed"] is True and machine.trusts() == 2
    assert sorted(machine(check=True)["removed"]) == sorted(map(str, [machine.apt, *machine.added.glob("outbound-*")]))
    assert machine()["changed"] is True
    assert (machine.trusts(), machine.apt.exists(), (machine.added / "others.crt").exists()) == (1, False, True)
    assert machine()["changed"] is False


@pytest.mark.parametrize("wanted", [True, False], ids=["adding", "removing"])
def test_a_run_that_broke_off_is_finished(machine: Machine, wanted: bool) -> None:
    one = machine.authority()
    machine(certificates="" if wanted else one)
    update = machine.update.read_text()
    machine.update.write_text("#!/bin/sh\nexit 1\n")
    assert machine(certificates=one if wanted else "")["failed"]
    machine.update.write_text(update)
    assert machine(certificates=one if wanted else "")["changed"] is True
    assert machine.trusts() == wanted


def test_a_machine_without_the_package_is_told_of_it(machine: Machine) -> None:
    one = machine.authority()
    machine.update.unlink()
    assert "install the package ca-certificates" in machine(certificates=one)["msg"]
    assert machine(proxy=PROXY)["changed"] is True


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0\x82\x03\x01", "There is no certificate in the file"),
        ("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n", "There is no certificate in the file"),
        (f"{outbound.BEGIN}\nAAAA\n{outbound.END}\n", "One of the certificates cannot be read"),
    ],
    ids=["DER", "a key", "damaged"],
)
def test_what_is_no_certificate_is_refused(machine: Machine, text: str, reason: str) -> None:
    answer = machine(certificates=text, proxy=PROXY)
    assert reason in answer["msg"] and not machine.apt.exists()


def test_what_is_no_proxy_is_refused(machine: Machine) -> None:
    assert "http://[USER:PASSWORD@]HOST:PORT" in machine(proxy="http://me:hush@proxy.example.org")["msg"]
