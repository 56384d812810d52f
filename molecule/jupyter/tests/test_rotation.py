"""token.yml: a new token, the old one refused, and nothing lost that its reader was not told of."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from dataclasses import dataclass

import pytest
from conftest import MACHINE, PORT, TOKEN, Machine, changed, playbook

# Asks with a token and with the cookie of a browser that logged in with it, until both were refused; {name: [when it
# was taken last, when it was refused first]}, in seconds by the clock of the machine.
WATCH = f"""
import http.client, json, pathlib, time

def status(headers, path='/api/contents'):
    connection = http.client.HTTPConnection('127.0.0.1', {PORT}, timeout=10)
    try:
        connection.request('GET', path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers.get_all('Set-Cookie') or []
    except OSError:
        return 0, []

token = pathlib.Path('{TOKEN}').read_text()
cookies = '; '.join(cookie.split(';')[0] for cookie in status({{}}, f'/tree?token={{token}}')[1])
asked = {{'token': {{'Authorization': f'token {{token}}'}}, 'cookie': {{'Cookie': cookies}}}}
seen = {{name: [0, 0] for name in asked}}
end = time.time() + 300
while time.time() < end and not all(refused for _, refused in seen.values()):
    for name, headers in asked.items():
        answer, _ = status(headers)
        seen[name][0] = time.time() if answer == 200 else seen[name][0]
        seen[name][1] = seen[name][1] or (time.time() if answer == 403 else 0)
    time.sleep(0.1)
pathlib.Path('/root/watched').write_text(json.dumps(seen))
"""


@dataclass
class Rotation:
    """What a reader met who forced a new token while a cell ran."""

    refused: subprocess.CompletedProcess[str]
    checked: subprocess.CompletedProcess[str]
    done: subprocess.CompletedProcess[str]
    # The tokens before, after the refusal, after check mode, and at the end.
    tokens: list[str]
    watched: dict[str, list[float]]
    made: float


@pytest.fixture(scope="module")
def rotation(machine: Machine) -> Rotation:
    machine.leave_a_cell_running()
    tokens = [machine.token()]
    refused = playbook("playbooks/token.yml", "-e", f"only={MACHINE}")
    tokens.append(machine.token())
    checked = playbook("playbooks/token.yml", "-e", f"only={MACHINE}", "-e", "force=yes", "--check")
    tokens.append(machine.token())
    machine(f"cat > /root/watch.py <<'CODE'\n{WATCH}\nCODE")
    machine("rm -f /root/watched; systemd-run --quiet --collect python3 /root/watch.py")
    done = playbook("playbooks/token.yml", "-e", f"only={MACHINE}", "-e", "force=yes", "-e", "show_token=always")
    tokens.append(machine.token())
    machine("for i in $(seq 1000); do test -e /root/watched && break; sleep 0.3; done")
    watched = json.loads(machine("cat /root/watched; rm /root/watched /root/watch.py"))
    return Rotation(refused, checked, done, tokens, watched, float(machine(f"stat -c %.9Y {TOKEN}")))


def test_while_a_cell_runs_it_refuses(rotation: Rotation) -> None:
    assert rotation.refused.returncode != 0
    assert "A cell runs in at-work.ipynb." in rotation.refused.stdout
    assert "force=yes" in rotation.refused.stdout
    assert rotation.tokens[1] == rotation.tokens[0]


def test_check_mode_tells_what_would_end(rotation: Rotation) -> None:
    assert rotation.checked.returncode == 0, rotation.checked.stdout
    assert "would be a new one" in rotation.checked.stdout and "at-work.ipynb (busy)" in rotation.checked.stdout
    assert changed(rotation.checked.stdout) == 1
    assert rotation.tokens[2] == rotation.tokens[0]


def test_it_says_what_ended(rotation: Rotation) -> None:
    assert rotation.done.returncode == 0, rotation.done.stdout
    assert "What ended: at-work.ipynb (busy)" in rotation.done.stdout


def test_the_token_is_another_one_of_at_least_128_bits(rotation: Rotation) -> None:
    assert rotation.tokens[3] != rotation.tokens[0]
    assert re.fullmatch(r"[0-9a-f]{32,}", rotation.tokens[3])


@pytest.mark.parametrize("what", ["token", "cookie"])
def test_the_old_one_is_refused_within_5_s(rotation: Rotation, what: str) -> None:
    taken, refused = rotation.watched[what]
    # It was a good one, until the file changed, and the server that listens now knows it no more.
    assert rotation.made - 60 < taken < rotation.made + 5
    assert refused > taken


def test_the_card_leads_to_the_notebook(rotation: Rotation) -> None:
    found = re.search(r"(http://127\.0\.0\.1:\d+)/tree\?token=(\S+)", rotation.done.stdout)
    assert found, rotation.done.stdout
    assert found[2] == rotation.tokens[3]
    with urllib.request.urlopen(f"{found[1]}/api/status?token={found[2]}", timeout=30) as answer:
        assert "kernels" in json.load(answer)


def test_a_broken_off_one_is_continued_by_the_next(machine: Machine, rotation: Rotation) -> None:
    """As if it was interrupted between the token and the server."""
    machine(f"python3 /etc/jupyter/make_token.py {TOKEN}")
    made = machine.token()
    assert not machine.takes(made)
    again = playbook("playbooks/token.yml", "-e", f"only={MACHINE}")
    assert again.returncode == 0, again.stdout
    assert machine.token() not in (made, *rotation.tokens)
    assert machine.takes(machine.token())


def test_without_ansible_the_token_is_removed_and_the_server_started_again(machine: Machine) -> None:
    old = machine.token()
    machine(f"rm {TOKEN}; systemctl restart jupyter")
    machine.wait()
    assert machine.token() != old and not machine.takes(old)
    assert machine(f"stat -c '%U %a' {TOKEN}") == "root 600"
