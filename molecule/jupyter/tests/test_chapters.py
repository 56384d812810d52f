"""What a machine's server makes of markdown chapters."""

import pytest


@pytest.fixture(scope="module")
def found(machine):
    """What a browser's requests came to."""
    return machine.told_by("chapters.py")


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
