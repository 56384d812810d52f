"""FAULTS S4: where the token and the password's hash do not show while the role and token.yml work at -vvvvv --diff.

A decoy, which goes the way of everything that is no secret, proves that each of these places is looked at.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from conftest import CONVERGE, MACHINE, PORT, STATE, TOKEN, Machine, playbook

PASSWORD = "correct horse battery staple"
SERVER = "notebooks"
# Notes every command line, 20 times a second, until there is a file stop in its folder.
SAMPLER = """
import pathlib, sys, time
folder, seen, samples, end = pathlib.Path(sys.argv[1]), set(), 0, time.monotonic() + 600
while not (folder / "stop").exists() and time.monotonic() < end:
    for file in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            seen.add(file.read_bytes())
        except OSError:
            pass
    samples += 1
    time.sleep(0.05)
(folder / "seen").write_bytes(b"\\n".join(seen))
(folder / "samples").write_text(str(samples))
"""
# Logs in as a browser does, and prints its cookies.
LOGIN = f"""
import http.client, sys, urllib.parse

def ask(method, body=None, headers={{}}):
    connection = http.client.HTTPConnection("127.0.0.1", {PORT}, timeout=30)
    connection.request(method, "/login", body, headers)
    return "; ".join(cookie.split(";")[0] for cookie in connection.getresponse().headers.get_all("Set-Cookie") or [])

cookies = ask("GET")
form = {{"password": sys.argv[1], "_xsrf": cookies.partition("_xsrf=")[2]}}
kind = "application/x-www-form-urlencoded"
print(cookies + "; " + ask("POST", urllib.parse.urlencode(form), {{"Cookie": cookies, "Content-Type": kind}}))
"""
# Prints as JSON where on the machine TEXT is; files by their path.
SEARCH = """
import json, os, pathlib, subprocess, sys
text = TEXT.encode()
found = []
for kind in ("cmdline", "environ"):
    for file in pathlib.Path("/proc").glob(f"[0-9]*/{kind}"):
        try:
            found += [f"a process's {kind}"] if text in file.read_bytes() else []
        except OSError:
            pass
for what, command in {
    "the journal": ["journalctl", "--no-pager", "-o", "export"],
    "what systemd shows": ["systemctl", "show", "jupyter.service", "jupyter-token.service", "decoy.service"],
}.items():
    found += [what] if text in subprocess.run(command, stdout=subprocess.PIPE).stdout else []
found += ["command lines seen"] if text in pathlib.Path("/root/sampler/seen").read_bytes() else []
for top in ("/etc", "/home", "/root", "/tmp", "/var", "/run", "/opt/miniconda3/envs/gluon/etc"):
    for folder, _, names in os.walk(top):
        # These hold what is listed by itself.
        if folder.startswith(("/root/sampler", "/var/log/journal", "/run/log/journal", "/var/lib/apt", "/var/cache")):
            continue
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path) and os.path.getsize(path) < 2**20:
                found += [path] if text in open(path, "rb").read() else []
print(json.dumps(sorted(set(found))))
"""


@dataclass
class Runs:
    """What was left behind by the role and by token.yml; the secrets by their names."""

    folder: Path
    secrets: dict[str, str] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    commands: set[bytes] = field(default_factory=set)
    samples: int = 0
    on_machine: dict[str, list[str]] = field(default_factory=dict)

    def here(self, name: str) -> list[str]:
        """Where on this computer a secret shows."""
        text = self.secrets[name].encode()
        found = ["the output"] if any(self.secrets[name] in output for output in self.outputs) else []
        found += ["command lines seen"] if any(text in command for command in self.commands) else []
        # Ansible's folder for temporary files, its cache of facts, and what is kept beside the inventory.
        files = [file for top in (self.folder, STATE) for file in top.rglob("*") if file.is_file()]
        return found + [file.name for file in files if text in file.read_bytes()]


def sample(runs: Runs, stop: threading.Event) -> None:
    while not stop.wait(0.05):
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            # Gone meanwhile.
            try:
                runs.commands.add(file.read_bytes())
            except OSError:
                continue


@pytest.fixture(scope="module")
def runs(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    runs, stop = Runs(tmp_path_factory.mktemp("runs")), threading.Event()
    hashed = machine.python(f"from notebook.auth import passwd; print(passwd('{PASSWORD}'))")
    runs.secrets = {"hash": hashed, "token": secrets.token_hex(32), "decoy": f"decoy-{secrets.token_hex(8)}"}
    decoy = runs.secrets["decoy"]
    chosen = {"jupyter_user": SERVER, "jupyter_user_create": True, "jupyter_gpu": True, "jupyter_password_hash": hashed}
    vault = tmp_path_factory.mktemp("vault") / "settings.json"
    vault.write_text(json.dumps(chosen))
    (runs.folder / "decoy.txt").write_text(decoy)
    environment = {
        "ANSIBLE_LOCAL_TEMP": str(runs.folder / "tmp"),
        "ANSIBLE_CACHE_PLUGIN": "jsonfile",
        "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(runs.folder / "facts"),
    }
    loud = ("-vvvvv", "--diff")
    machine.python(f"open('{TOKEN}', 'w').write('{runs.secrets['token']}')")
    machine("rm -rf /root/sampler; mkdir /root/sampler")
    machine(f"cat > /root/sampler/sampler.py <<'CODE'\n{SAMPLER}\nCODE")
    machine("systemd-run --quiet --collect python3 /root/sampler/sampler.py /root/sampler")
    machine(f"systemd-run --quiet --collect --unit decoy -E DECOY={decoy} sh -c 'echo {decoy}; sleep 900'")
    watcher = threading.Thread(target=sample, args=(runs, stop))
    watcher.start()
    try:
        lines = json.dumps({"jupyter_extra_config": f"# {decoy}"})
        role = playbook(CONVERGE, *loud, "-e", f"@{vault}", "-e", lines, **environment)
        took = machine.takes(runs.secrets["token"])
        rotation = playbook("playbooks/token.yml", *loud, "-e", f"hosts={MACHINE}", **environment)
    finally:
        stop.set()
        watcher.join()
    runs.outputs = [role.stdout, rotation.stdout]
    assert (role.returncode, rotation.returncode, took) == (0, 0, True), role.stdout[-2000:] + rotation.stdout[-2000:]
    runs.secrets["new token"] = machine.token()
    machine.leave_a_cell_running()
    machine("touch /root/sampler/stop; for i in $(seq 50); do test -e /root/sampler/samples && break; sleep 0.2; done")
    runs.samples = int(machine("cat /root/sampler/samples"))
    for name, text in runs.secrets.items():
        runs.on_machine[name] = json.loads(machine.python(f"TEXT = {text!r}{SEARCH}"))
    yield runs
    machine("systemctl stop decoy; rm -rf /root/sampler")
    back = playbook(CONVERGE)
    assert back.returncode == 0, back.stdout
    machine(f"userdel -r {SERVER} 2>&1; test ! -e /etc/jupyter/password")


def test_the_search_finds_what_is_to_be_found(runs: Runs) -> None:
    assert runs.samples > 20 and len(runs.commands) > 20
    assert {"the output", "command lines seen", "decoy.txt"} <= set(runs.here("decoy"))
    assert {
        "a process's cmdline",
        "a process's environ",
        "the journal",
        "what systemd shows",
        "command lines seen",
        "/etc/jupyter/jupyter_notebook_config.py",
    } <= set(runs.on_machine["decoy"])


@pytest.mark.parametrize("name", ["hash", "token", "new token"])
def test_it_shows_nowhere_on_this_computer(runs: Runs, name: str) -> None:
    assert runs.here(name) == []


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("hash", {"/etc/jupyter/password", "/run/credentials/jupyter.service/password"}),
        # The next one has taken its place.
        ("token", set()),
        # Those below /run/jupyter are the server's own notes, in a folder of its user alone, and go with it.
        (
            "new token",
            {
                TOKEN,
                "/run/credentials/jupyter.service/token",
                "/run/jupyter/nbserver-N.json",
                "/run/jupyter/nbserver-N-open.html",
            },
        ),
    ],
)
def test_on_the_machine_it_is_where_root_and_the_server_read_it(runs: Runs, name: str, places: set[str]) -> None:
    assert {re.sub(r"-\d+", "-N", place) for place in runs.on_machine[name]} == places


@pytest.mark.usefixtures("runs")
def test_the_hash_is_the_roots_alone(machine: Machine) -> None:
    assert machine("stat -c '%U %G %a' /etc/jupyter/password") == "root root 600"


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(("password", "status"), [(PASSWORD, 200), ("another", 403)])
def test_the_password_logs_in(machine: Machine, password: str, status: int) -> None:
    assert machine.status({"Cookie": machine.python(LOGIN, f"'{password}'")}) == status


@pytest.mark.usefixtures("runs")
def test_the_token_logs_in_beside_it(machine: Machine) -> None:
    assert machine.takes(machine.token())


@pytest.mark.usefixtures("runs")
def test_the_server_runs_as_the_login_that_was_created(machine: Machine) -> None:
    assert machine(f"ps -o user= -p {machine.state('MainPID')}") == SERVER
    assert machine(f"stat -c '%U %a' /home/{SERVER}") in (f"{SERVER} 750", f"{SERVER} 700")
    assert machine(f"passwd -S {SERVER}").split()[1] == "L"


@pytest.mark.usefixtures("runs")
def test_beside_a_gpu_it_is_hardened_and_forbids_no_device(machine: Machine) -> None:
    report = machine("systemd-analyze security --no-pager jupyter.service")
    assert float(re.search(r"Overall exposure level .*: ([\d.]+)", report)[1]) <= 2.5
    shown = machine("systemctl show -p PrivateDevices,ProtectClock,DevicePolicy,DeviceAllow jupyter.service")
    assert set(shown.splitlines()) == {"PrivateDevices=no", "ProtectClock=no", "DevicePolicy=auto"}
