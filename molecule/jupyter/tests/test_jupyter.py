"""What a machine has once the jupyter role was there."""

import re
import time

import pytest
from conftest import PORT, TOKEN


@pytest.fixture(scope="module")
def read(machine):
    """What a reader's session in the browser came to."""
    return machine.told_by("browser.py")


@pytest.fixture(scope="module")
def token(host):
    with host.sudo():
        return host.file(TOKEN).content_string


@pytest.fixture
def sandboxed(host):
    """Skip where systemd has to leave out the mounts of a sandbox, as in a container without CAP_SYS_ADMIN."""
    effective = int(re.search(r"CapEff:\s+(\w+)", host.file("/proc/1/status").content_string).group(1), 16)
    if not effective & 1 << 21:
        pytest.skip("this machine's systemd may not mount anything (no CAP_SYS_ADMIN)")


def main_pid(host):
    return int(host.check_output("systemctl show -p MainPID --value jupyter.service"))


def test_runs_now_and_at_every_boot(host):
    unit = host.service("jupyter.service")
    assert unit.is_running and unit.is_enabled


def test_is_hardened(host):
    report = host.check_output("systemd-analyze security --no-pager jupyter.service")
    assert float(re.search(r"Overall exposure level .*: ([\d.]+)", report).group(1)) <= 2.5


def test_is_not_root(host):
    with host.sudo():
        assert host.process.get(pid=main_pid(host)).user != "root"


def test_listens_on_loopback_only(host):
    listeners = host.check_output(f"ss -Hltn 'sport = :{PORT}'").splitlines()
    assert [line.split()[3] for line in listeners] == [f"127.0.0.1:{PORT}"]


def test_token_is_the_roots_alone(host):
    with host.sudo():
        token = host.file(TOKEN)
        assert (token.user, token.group, token.mode) == ("root", "root", 0o600)


def test_token_has_at_least_128_bits(token):
    assert re.fullmatch(r"[0-9a-f]{32,}", token)


@pytest.mark.parametrize("path", ["/etc/jupyter/jupyter_notebook_config.py", "/etc/systemd/system/jupyter.service"])
def test_settings_are_the_roots(host, path):
    file = host.file(path)
    assert (file.user, file.mode) == ("root", 0o644)


@pytest.mark.parametrize(
    "place",
    [
        "journalctl -u jupyter.service --no-pager",
        "systemctl show jupyter.service",
        "cat /proc/[0-9]*/cmdline",
        "cat /etc/systemd/system/jupyter.service /etc/jupyter/jupyter_notebook_config.py",
    ],
)
def test_token_does_not_show(host, read, token, place):
    with host.sudo():
        assert token not in host.run(place).stdout


def test_token_is_not_in_a_kernels_environment(read):
    assert not read["token_in_kernel"]


@pytest.mark.parametrize(
    ("who", "status"), [("with the token", 200), ("without", 403), ("with another", 403), ("by another name", 403)]
)
def test_answers_only_to_the_token(read, who, status):
    assert read["status"][who] == status


def test_no_page_sends_readers_on_to_another_notebook(machine):
    address = f"'http://127.0.0.1:{PORT}/tree?token=' + open('{TOKEN}').read().strip()"
    page = machine.python(f"import urllib.request; print(urllib.request.urlopen({address}).read().decode())")
    assert "Jupyter" in page and "Notebook 7" not in page


def test_chapter_opens_as_cells(read):
    assert read["cells"] == 2


def test_kernel_runs_cells(read):
    assert read["outputs"] == ["[1, 2, 3]", "6\n", "2"]


def test_opened_chapter_is_saved_as_written(read):
    assert read["opened_and_saved"] == read["chapter"]


def test_run_chapter_is_saved_as_written(read):
    assert read["run_and_saved"] == read["chapter"]


def test_kernel_cannot_gain_privileges(read):
    assert re.search(r"NoNewPrivs:\\t1", read["kernel"]["status"])


@pytest.mark.usefixtures("sandboxed")
def test_kernel_sees_no_ssh_keys(read):
    assert read["kernel"]["keys"] == "False"


def test_kernel_cannot_write_outside_home(read):
    assert (read["kernel"]["writable"], read["kernel"]["home"]) == ("[]", "True")


def test_comes_back_after_a_kill(host):
    with host.sudo():
        killed = main_pid(host)
        host.check_output(f"kill -KILL {killed}")
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline and main_pid(host) in (0, killed):
            time.sleep(0.5)
        assert main_pid(host) not in (0, killed)
        assert host.service("jupyter.service").is_running
