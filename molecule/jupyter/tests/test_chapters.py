"""What a machine's server makes of markdown chapters."""

import json
from pathlib import Path

import pytest

PYTHON = "/opt/miniconda3/envs/gluon/bin/python"
TOKEN = "/etc/jupyter/token"
PORT = 8888


@pytest.fixture(scope="module")
def found(host):
    """What a browser's requests came to (see chapters.py)."""
    code = Path(__file__).with_name("chapters.py").read_text()
    with host.sudo():
        done = host.run(f"{PYTHON} - {TOKEN} {PORT} <<'CODE'\n{code}\nCODE")
        journal = host.check_output("journalctl -u jupyter.service -n 20 --no-pager -o cat")
    assert done.rc == 0, f"{done.stderr}\n{journal}"
    return json.loads(done.stdout)


def test_chapters_are_listed_as_notebooks(found):
    assert found["listed"] == dict.fromkeys(found["chapters"], "notebook")


def test_opened_chapters_are_saved_byte_for_byte(found):
    assert found["saved"] == found["chapters"]


def test_stored_outputs_are_shown(found):
    assert [output["data"]["text/plain"] for outputs in found["outputs"] for output in outputs] == ["<图>"]


def test_only_what_was_changed_is_changed(found):
    new = "\n```{.python .input}\nlen(rows)\n```\n"
    assert found["changed"] == found["chapters"]["数组.md"].replace("sum(rows)", "max(rows)  # 最大") + new


def test_another_encoding_is_refused_in_words(found):
    status, told = found["refused"]
    assert (status, "gbk.md is not UTF-8 encoded" in told) == (400, True)


@pytest.mark.parametrize("how", ["copied", "restored", "renamed"])
def test_chapter_is_the_same(found, how):
    assert found[how] == found["chapters"]["windows.md"]


@pytest.mark.parametrize("name", ["gluon_chapters.py", "gluon_contents.py"])
def test_what_opens_chapters_is_the_roots(host, name):
    file = host.file(f"/etc/jupyter/{name}")
    assert (file.user, file.mode) == ("root", 0o644)
