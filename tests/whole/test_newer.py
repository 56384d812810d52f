"""update.yml: the tutorial and the environment go forward, and what a reader wrote stays."""

from __future__ import annotations

import json

import pytest
from conftest import Run, on_machine, playbook

# A fork of the tutorial on the machine itself, one commit ahead of the checkout.
FORK = """
set -eu; fork=~/fork/$(basename "$checkout"); rm -rf ~/fork ~/ahead; mkdir ~/fork
git clone -q --bare "$checkout" "$fork"; git -C "$fork" worktree add -q --detach ~/ahead
cd ~/ahead; git config user.name t; git config user.email t@example.org
sed -i '1s/$/ (second edition)/' chapter_prerequisite/ndarray.md
sed -i '1s/$/ (second edition)/' chapter_deep-learning-computation/use-gpu.md
echo '# New' > chapter_prerequisite/new.md
sed -i 's/^- pip:/&\\n  - colorama==0.4.6/' environment.yml
git add -A; git commit -qm ahead; git -C "$fork" update-ref refs/heads/ahead "$(git rev-parse HEAD)"
git -C "$fork" worktree remove --force ~/ahead
"""
# What a reader did: one file at another place than the tutorial, one at the same, and a name that the tutorial takes.
EDITS = """
set -eu; cd "$checkout"
echo 'my last line' >> chapter_prerequisite/ndarray.md
sed -i '1s/.*/# My title/' chapter_deep-learning-computation/use-gpu.md
echo 'my new' > chapter_prerequisite/new.md
"""


@pytest.fixture(scope="module")
def checkout(first: Run) -> str:
    return on_machine("ls -d ~/*/environment.yml").strip().removesuffix("/environment.yml")


@pytest.fixture(scope="module")
def updated(checkout: str) -> tuple[Run, Run]:
    """The update from a fork of the same name, and the same once more."""
    for script in (FORK, EDITS):
        on_machine(f"checkout={checkout}\n{script}")
    home, _, name = checkout.rpartition("/")
    variables = {"tutorial_url": f"{home}/fork/{name}", "tutorial_version": "ahead"}
    ways = ("playbooks/update.yml", "-e", json.dumps(variables))
    return playbook(*ways), playbook(*ways)


def test_changes_at_other_lines_are_both_there(updated: tuple[Run, Run], checkout: str) -> None:
    text = on_machine(f"cat {checkout}/chapter_prerequisite/ndarray.md")
    assert "(second edition)" in text.splitlines()[0] and "my last line" in text


def test_the_readers_lines_stay_and_the_tutorials_are_beside_them(updated: tuple[Run, Run], checkout: str) -> None:
    folder = f"{checkout}/chapter_deep-learning-computation"
    assert on_machine(f"head -1 {folder}/use-gpu.md").strip() == "# My title"
    assert "(second edition)" in on_machine(f"head -1 {folder}/use-gpu.upstream-*.md")


def test_the_readers_file_makes_room_for_the_tutorials(updated: tuple[Run, Run], checkout: str) -> None:
    folder = f"{checkout}/chapter_prerequisite"
    assert (on_machine(f"cat {folder}/new.md").strip(), on_machine(f"cat {folder}/new.yours-*.md").strip()) == (
        "# New",
        "my new",
    )


def test_the_run_says_so(updated: tuple[Run, Run]) -> None:
    said = updated[0].output
    for name in ("ndarray.md", "use-gpu.upstream-", "new.yours-"):
        assert name in said


def test_the_environment_has_what_its_file_says_now(updated: tuple[Run, Run]) -> None:
    assert (
        on_machine("/opt/miniconda3/envs/gluon/bin/python -c 'import colorama; print(colorama.__version__)'")
        == "0.4.6\n"
    )
    assert "until its kernel is restarted" in updated[0].output


def test_the_notebook_is_served_all_the_while(updated: tuple[Run, Run]) -> None:
    assert on_machine("systemctl is-active jupyter").strip() == "active"


def test_a_second_update_changes_nothing(updated: tuple[Run, Run]) -> None:
    assert updated[1].changed == 0
