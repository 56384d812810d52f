"""What a machine has once the idle_stop role was there. That it really stops is shown in tests/whole."""

import json
import re
import time
from pathlib import Path

import pytest

STANDINS = Path(__file__).with_name("standins.py").read_text()
SAID = "/run/standins.json"
NOTICE = "MACHINE-STOPS-SOON.txt"
METADATA = "/latest/meta-data/"
MEASURE = """
import resource, subprocess
done = subprocess.run(["/usr/local/bin/gluon-idle", "check"])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(done.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""


def put(host, path, text):
    with host.sudo():
        host.check_output("mkdir -p %s", str(Path(path).parent))
        host.check_output("printf %%s %s > %s", text, path)


@pytest.fixture(scope="module")
def say(host):
    """Has Jupyter and the metadata service say what is given, by path."""

    def write(**paths):
        usual = {"/api/kernels": "[]", "/api/terminals": "[]", "/api/sessions": "[]"}
        put(host, SAID, json.dumps(usual | paths))

    put(host, "/etc/jupyter/token", "c0ffee")
    put(host, "/run/standins.py", STANDINS)
    with host.sudo():
        host.check_output("systemd-run -q --unit=standins /usr/bin/python3 /run/standins.py %s", SAID)
    write()
    yield write
    with host.sudo():
        host.check_output("systemctl stop standins.service")


@pytest.fixture(scope="module")
def reader(host):
    """The login: its name, home and group."""
    return host.user()


def status(host):
    """What the machine thinks once it has looked anew, by the unit that the timer starts."""
    with host.sudo():
        return json.loads(host.check_output("gluon-idle status --fresh --json"))


def signs(host, source):
    return [(sign["state"], sign["words"]) for sign in status(host)["signs"] if sign["source"] == source]


def journal(host, unit):
    with host.sudo():
        return host.check_output("journalctl -u %s -o cat --no-pager", unit)


@pytest.mark.parametrize("unit", ["gluon-idle.timer", "gluon-spot.service"])
def test_runs_now_and_at_every_boot(host, unit):
    found = host.service(unit)
    assert found.is_running and found.is_enabled


@pytest.mark.parametrize(("unit", "figure"), [("gluon-idle.service", 2.5), ("gluon-spot.service", 2.3)])
def test_is_hardened(host, unit, figure):
    report = host.check_output("systemd-analyze security --no-pager %s", unit)
    assert float(re.search(r"Overall exposure level .*: ([\d.]+)", report).group(1)) <= figure


def test_can_tell_everything(host, say):
    now = status(host)
    assert [sign for sign in now["signs"] if sign["state"] == "unknown"] == []
    assert {sign["source"] for sign in now["signs"]} == {"jupyter", "files", "ssh", "cpu"}
    assert now["problem"] == ""


def test_sees_who_is_logged_in(host, say, reader):
    ((state, words),) = signs(host, "ssh")
    assert (state, words.partition(" (")[0]) == ("busy", f"logged in: {reader.name}")


def test_sees_a_kernel_that_runs(host, say):
    kernel = {"id": "3f2a", "execution_state": "busy", "last_activity": "2026-11-25T12:00:00.000000Z"}
    say(**{"/api/kernels": json.dumps([kernel])})
    assert signs(host, "jupyter") == [("busy", "kernel 3f2a is running")]
    say()
    assert signs(host, "jupyter") == [("quiet", "no kernel and no terminal")]


def test_a_user_keeps_it_up_without_being_root(host, say, reader):
    assert "keeps this machine up for 2 hours" in host.check_output("gluon-idle keep 2")
    assert signs(host, "keep") == [("busy", f"{reader.home}/keep-running keeps it up for another 2.0 hours")]
    host.check_output("gluon-idle keep 0")
    assert signs(host, "keep") == []


def test_anybody_may_ask(host, say):
    status(host)
    assert "in use: " in host.check_output("gluon-idle status")


def test_a_check_costs_little(host, say):
    with host.sudo():
        code, seconds, megabytes = host.check_output("python3 -c %s", MEASURE).split()
    print(f"a check: {seconds} s of CPU, {megabytes} MB")
    assert (code, float(seconds) < 1, float(megabytes) < 50) == ("0", True, True)


def test_the_journal_has_no_line_for_every_look(host, say):
    before = journal(host, "gluon-idle.service").splitlines()
    status(host)
    assert journal(host, "gluon-idle.service").splitlines() == before


def test_the_token_shows_nowhere(host, say):
    status(host)
    with host.sudo():
        assert "c0ffee" not in host.check_output("cat /var/lib/gluon-idle/state.json /etc/gluon-ec2/idle.json")
        assert "c0ffee" not in host.check_output("journalctl -u 'gluon-*' --no-pager")


def drop_in(host, unit, settings, more=""):
    """Have the unit run with other settings until the next reload, in its own sandbox."""
    told = json.loads(host.file("/etc/gluon-ec2/idle.json").content_string) | settings
    put(host, f"/run/{unit}.json", json.dumps(told))
    verb = "check" if unit == "gluon-idle" else "spot"
    start = f"ExecStart=\nExecStart=/usr/local/bin/gluon-idle --settings /run/{unit}.json {verb}\n"
    put(host, f"/run/systemd/system/{unit}.service.d/test.conf", f"[Service]\n{start}{more}")
    with host.sudo():
        host.check_output("systemctl daemon-reload")


def undo(host, unit):
    with host.sudo():
        host.check_output("rm -r /run/systemd/system/%s.service.d && systemctl daemon-reload", unit)


def test_warns_beside_the_notebooks_as_the_user(host, say, reader):
    # The processors are those of the computer that runs the tests, which may be at work. Without a metadata service the
    # machine does not know in its first minute whether it is a spot machine, and so may not stop.
    drop_in(host, "gluon-idle", {"minutes": 6, "warn_minutes": 6, "cpu_percent": 0, "spot_watch": False})
    try:
        status(host)
        notice = host.file(f"{reader.home}/{NOTICE}")
        assert (notice.user, notice.group, notice.mode) == (reader.name, reader.group, 0o644)
        assert "This machine stops at " in notice.content_string
        assert "This machine stops at " in journal(host, "gluon-idle.service")
    finally:
        undo(host, "gluon-idle")
    status(host)
    assert not host.file(f"{reader.home}/{NOTICE}").exists


def test_a_spot_notice_saves_what_can_be_saved(host, say, reader):
    at = host.check_output("date -u -d '+2 minutes' +%Y-%m-%dT%H:%M:%SZ")
    notice = json.dumps({"action": "stop", "time": at})
    say(**{f"{METADATA}instance-life-cycle": "spot", f"{METADATA}spot/instance-action": notice})
    put(host, "/etc/gluon-ec2/checkpoint.d/save", '#!/bin/sh\nid -un > "$HOME/saved-for-$GLUON_REASON"\n')
    with host.sudo():
        host.check_output("chmod 755 /etc/gluon-ec2/checkpoint.d/save")
    drop_in(host, "gluon-spot", {"metadata_url": "http://127.0.0.1:8169"}, "IPAddressAllow=localhost\n")
    try:
        with host.sudo():
            host.check_output("systemctl restart gluon-spot.service")
            deadline = time.monotonic() + 180
            while time.monotonic() < deadline and "is on disk" not in journal(host, "gluon-spot.service"):
                time.sleep(0.5)
        assert "EC2 takes this spot machine back at " in journal(host, "gluon-spot.service")
        assert host.file(f"{reader.home}/saved-for-spot").content_string == f"{reader.name}\n"
        assert "Save your notebooks now" in host.file(f"{reader.home}/{NOTICE}").content_string
        with host.sudo():
            assert host.file("/run/gluon-spot/market").content_string == "spot\n"
    finally:
        undo(host, "gluon-spot")
        say()
        with host.sudo():
            left = f"{reader.home}/saved-for-spot", f"{reader.home}/{NOTICE}"
            host.check_output("rm -f /etc/gluon-ec2/checkpoint.d/save %s %s", *left)
            host.check_output("systemctl restart gluon-spot.service")
