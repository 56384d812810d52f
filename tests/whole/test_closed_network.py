"""A machine whose only way out is a company's proxy, which wants a password, under an authority of the company's own.

The proxy is on this computer's loopback, and a port that SSH forwards is the machine's way to it. What `make local`
serves is behind it as https://upstream.example.org, a name that nobody else knows; all other hosts are themselves.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socketserver
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from conftest import ENDPOINT, INVENTORY, ROOT, STATE, Run, playbook, run

sys.path.insert(0, str(ROOT / "tests/unit"))

from private_network import Authority, Proxy

from local_ec2 import upstream

# It downloads all that a first machine does.
pytestmark = pytest.mark.slow

NAME, HOST, PORT = "closed", "upstream.example.org", 3128
PASSWORD = "hush-5d21"
DATA = Path(os.environ.get("LOCAL_EC2_DATA", ROOT / ".local_ec2"))
MACHINE = ["-e", json.dumps({"machines": [{"name": NAME}]})]
PYTHON = "/opt/miniconda3/envs/gluon/bin/python"
# As a kernel would: with the server's environment, and with what urllib, requests and git take out of it.
FETCH = f"""
sudo cat /proc/$(systemctl show -p MainPID --value jupyter)/environ > environ
xargs -0 -a environ sh -c 'env -i "$@" {PYTHON} -c "
import requests, urllib.request
print(len(urllib.request.urlopen(\\"ADDRESS\\").read()), len(requests.get(\\"ADDRESS\\").content))"' sh
"""


class Way(Proxy):
    """Out of the company's network."""

    def beyond(self, host: str, port: int) -> tuple[str, int]:
        return ("127.0.0.1", self.port) if host == HOST else (host, port)


def on_closed(command: str) -> str:
    return run("ssh", "-F", str(STATE / "ssh_config"), NAME, command).output


def farewell(server: socketserver.BaseServer, request: ssl.SSLSocket) -> None:
    """git, by GnuTLS, takes an answer of unknown length that ends without one for a broken one."""
    with contextlib.suppress(OSError):
        request.unwrap()
    type(server).shutdown_request(server, request)


@contextlib.contextmanager
def stand_ins(folder: Path) -> Iterator[tuple[Authority, int]]:
    """What `make local` serves, under a certificate of the company's; the port."""
    authority = Authority(folder)
    server = upstream.make_server(("127.0.0.1", 0), DATA / "upstream")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue(HOST))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.shutdown_request = lambda request: farewell(server, request)
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    yield authority, server.server_port
    server.shutdown()
    server.server_close()


@contextlib.contextmanager
def forwarded(port: int) -> Iterator[None]:
    """The machine's port 3128 is this port here, for as long as the machine's SSH says so."""
    command = ["ssh", "-F", str(STATE / "ssh_config"), "-o", "ExitOnForwardFailure=yes", "-o", "ControlPath=none"]
    with subprocess.Popen(
        [*command, "-R", f"127.0.0.1:{PORT}:127.0.0.1:{port}", NAME, "echo there; cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as tunnel:
        assert tunnel.stdout.readline() == b"there\n"
        yield
        tunnel.stdin.close()


def close() -> None:
    """Nothing that the machine begins leaves it, but for what stays on its loopback."""
    address = re.search(rf"^Host {NAME}$.*?HostName (\S+)", (STATE / "ssh_config").read_text(), re.M | re.S)[1]
    for machine in run("podman", "ps", "-q").output.split():
        about = json.loads(run("podman", "inspect", machine).output)[0]
        if address in [network["IPAddress"] for network in about["NetworkSettings"]["Networks"].values()]:
            inside = ["nsenter", "-t", str(about["State"]["Pid"]), "-n", "iptables", "-A", "OUTPUT", "!", "-o", "lo"]
            run(*inside, "-p", "tcp", "--syn", "-j", "REJECT")
            run(*inside, "-p", "udp", "-j", "REJECT")
            return
    raise AssertionError(f"no machine has the address {address}")


@dataclass
class Story:
    proxy: Way
    first: Run
    asked: list[str]
    sent: int
    second: Run
    asked_again: list[str]
    served: str


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("company")
    told = INVENTORY / "upstream.yml"
    where = ("--data", str(DATA), "--port", ENDPOINT.rpartition(":")[2], "--inventory-vars", str(told))
    run(sys.executable, "-m", "local_ec2", "up", "--install", *where)
    served = yaml.safe_load(told.read_text())["all"]["vars"]
    address = re.match(r"http://[^/]+", served["miniconda_url"])[0]
    with stand_ins(folder) as (authority, port):
        proxy = Way(port, login=f"me:{PASSWORD}@")
        variables = json.loads(json.dumps(served).replace(address, f"https://{HOST}"))
        variables |= {
            "machines": [{"name": NAME}],
            "hosts": NAME,
            "proxy": f"http://me:{PASSWORD}@127.0.0.1:{PORT}",
            "ca_bundle": str(authority.bundle),
        }
        (folder / "company.yml").write_text(yaml.safe_dump(variables))
        configure = ["playbooks/configure.yml", "-e", f"@{folder}/company.yml", "--diff"]
        try:
            playbook("playbooks/provision.yml", *MACHINE)
            close()
            with forwarded(proxy.server_port):
                first = playbook(*configure, "-vvvvv")
                asked, sent = list(proxy.asked), proxy.sent
                second = playbook(*configure)
                yield Story(proxy, first, asked, sent, second, proxy.asked[len(asked) :], f"https://{HOST}")
        finally:
            playbook("playbooks/terminate.yml", *MACHINE, "-e", f"confirm=yes only={NAME}")
            proxy.close()


def test_there_is_no_other_way(story: Story) -> None:
    gateway = re.search(r"via (\S+)", on_closed("ip route show default"))[1]
    assert on_closed(f"timeout 5 bash -c 'exec 3<>/dev/tcp/{gateway}/80' 2>&1 || echo closed").endswith("closed\n")


def test_all_that_was_downloaded_came_through_the_proxy(story: Story) -> None:
    hosts = {re.sub(r"^http://|:\d+$|(?<=\w)/.*", "", one) for one in story.asked}
    # conda's channel, its installer and the tutorial; and an index, with MXNet's 40 MB of wheel at least.
    assert HOST in hosts and len(hosts) > 1
    assert story.sent > 50 << 20
    log = [json.loads(line) for line in (DATA / "upstream.log").read_text().splitlines()]
    paths = {line["path"].split("/")[1] for line in log if line["client"] == "127.0.0.1" and line["status"] < 300}
    assert {"miniconda", "conda-forge", "git"} <= paths


def test_the_notebooks_packages_are_there(story: Story) -> None:
    assert on_closed(f"{PYTHON} -c 'import mxnet; print(mxnet.__version__)'") == "1.9.1\n"
    assert on_closed("systemctl is-active jupyter") == "active\n"


def test_what_runs_in_a_notebook_gets_out(story: Story) -> None:
    told = on_closed(FETCH.replace("ADDRESS", f"{story.served}/conda-forge/noarch/repodata.json"))
    assert re.fullmatch(r"(\d+) \1\n", told), told


def test_apt_gets_out(story: Story) -> None:
    before = len(story.proxy.asked)
    on_closed("sudo apt-get update")
    assert len(story.proxy.asked) > before


def test_a_second_run_changes_and_downloads_nothing(story: Story) -> None:
    assert story.second.changed == 0, story.second.output
    assert story.asked_again == []


def test_the_password_is_shown_to_nobody(story: Story) -> None:
    assert PASSWORD not in story.first.output and PASSWORD not in story.second.output
    # By its input, as sudo writes down what it is called with.
    search = f"echo {PASSWORD} | SUDO grep -rlsf - /etc /opt /home /var/log --exclude=environ || true"
    mine, everybodys = on_closed(search.replace("SUDO", "")), on_closed(search.replace("SUDO", "sudo"))
    assert mine == "" and everybodys.split() == ["/etc/apt/apt.conf.d/90outbound", "/etc/jupyter/environment"]
