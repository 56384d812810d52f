"""Which CUDA toolkits the cuda role installs, from where, and which of them /usr/local/cuda is."""

from __future__ import annotations

from typing import Any

import pytest
from cuda_machine import Machine

from plugins.module_utils.cuda_toolkits import LIBRARIES, PROFILE

ROOT = "/usr/local/cuda-"


def plan(*toolkits: dict[str, Any], machine: Machine | None = None, **asked: Any) -> dict[str, Any]:
    return (machine or Machine.with_driver()).plan(toolkits=list(toolkits), **asked)


def there(*numbers: str, **shown: Any) -> Machine:
    return Machine.with_driver(toolkits={ROOT + number: number for number in numbers}, **shown)


def link(to: str, *known: str) -> dict[str, Any]:
    return {"folder": False, "dangling": False, "leads_to": to, "managed": bool(to), "known": list(known)}


@pytest.mark.parametrize(
    ("system", "number", "packages", "runfiles"),
    [
        ("Debian 12", "11.8", ["nvidia-cuda-toolkit", "nvidia-cuda-toolkit-gcc"], []),
        ("Debian 12", "12.4", ["cuda-toolkit-12-4"], []),
        ("Debian 12", "8.0", [], ["8.0"]),
        ("Ubuntu 22", "11.8", ["cuda-toolkit-11-8"], []),
        ("Ubuntu 24", "11.8", [], ["11.8"]),
        ("Ubuntu 24", "13.0", ["cuda-toolkit-13-0"], []),
    ],
)
def test_packages_come_before_runfiles(system: str, number: str, packages: list[str], runfiles: list[str]) -> None:
    gpu = {"gpus": ["13f2"]} if number == "8.0" else {}
    decided = plan({"version": number}, machine=Machine(system, **gpu), driver="none")
    assert decided["packages"] == packages
    assert [one["version"] for one in decided["runfiles"]] == runfiles


def test_a_version_may_be_a_number_of_yaml() -> None:
    assert plan({"version": 12.4}, driver="none")["packages"] == ["cuda-toolkit-12-4"]


def test_the_distribution_s_needs_no_version() -> None:
    assert "nvidia-cuda-toolkit" in plan({"source": "distribution"})["packages"]


def test_the_first_runfile_has_its_patch() -> None:
    (runfile,) = plan({"version": "8.0"}, machine=Machine(gpus=["13f2"]))["runfiles"]
    assert runfile["url"].endswith("/cuda_8.0.61_375.26_linux-run")
    assert [patch["url"].rpartition("/")[2] for patch in runfile["patches"]] == ["cuda_8.0.61.2_linux-run"]


def test_runfiles_can_come_from_a_mirror() -> None:
    decided = plan({"version": "8.0"}, machine=Machine(gpus=["13f2"]), runfile_url="http://mirror/cuda/")
    (runfile,) = decided["runfiles"]
    assert runfile["url"] == "http://mirror/cuda/cuda_8.0.61_375.26_linux-run"
    assert runfile["patches"][0]["url"] == "http://mirror/cuda/cuda_8.0.61.2_linux-run"


def test_a_runfile_of_one_s_own_needs_no_table() -> None:
    (runfile,) = plan({"version": "11.4", "url": "https://x/y.run", "sha256": "0" * 64})["runfiles"]
    assert (runfile["version"], runfile["url"], runfile["patches"]) == ("11.4", "https://x/y.run", [])


def test_one_that_is_there_stays_whatever_brought_it() -> None:
    machine = there("12.4", link=link(ROOT + "12.4", ROOT + "12.4"))
    decided = plan({"version": "12.4"}, machine=machine)
    assert (decided["packages"], decided["runfiles"], decided["link_to"]) == ([], [], "")


def test_one_that_was_not_finished_is_made_again() -> None:
    machine = Machine.with_driver(unfinished=["10.2"], gpus=["1eb8"])
    assert [one["version"] for one in plan({"version": "10.2"}, machine=machine)["runfiles"]] == ["10.2"]


class TestLink:
    def test_leads_to_the_first(self) -> None:
        assert plan({"version": "12.4"}, {"version": "11.7"}, machine=there("11.7", "12.4"))["link_to"] == ROOT + "12.4"

    def test_leads_to_the_chosen(self) -> None:
        machine = there("11.7", "12.4", link=link(ROOT + "12.4", ROOT + "12.4"))
        decided = plan({"version": "12.4"}, {"version": "11.7"}, machine=machine, default_toolkit="11.7")
        assert (decided["link_to"], decided["link_add"]) == (ROOT + "11.7", [ROOT + "11.7"])

    def test_of_somebody_else_s_is_taken_over(self) -> None:
        own = {**link(ROOT + "12.4"), "managed": False}
        assert plan({"version": "12.4"}, machine=there("12.4", link=own))["link_to"] == ROOT + "12.4"

    def test_leads_to_the_distribution_s(self) -> None:
        machine = Machine.with_driver(toolkits={"/usr/lib/cuda": "11.8"})
        assert plan({"version": "11.8"}, machine=machine)["link_to"] == "/usr/lib/cuda"

    def test_forgets_what_is_gone(self) -> None:
        machine = there("12.4", link=link(ROOT + "12.4", ROOT + "12.4", ROOT + "10.2"))
        assert plan({"version": "12.4"}, machine=machine)["link_forget"] == [ROOT + "10.2"]

    def test_is_in_the_linker_s_cache(self) -> None:
        assert plan({"version": "12.4"}, machine=there("12.4", cached=False))["cache"]

    def test_is_reached_by_the_shell_and_the_linker(self) -> None:
        assert {file["path"] for file in plan({"version": "12.4"}, machine=there("12.4"))["files"]} == {
            LIBRARIES,
            PROFILE,
        }


class TestAbsent:
    def test_of_a_runfile(self) -> None:
        decided = plan({"version": "10.2", "state": "absent"}, {"version": "12.4"}, machine=there("10.2", "12.4"))
        assert (decided["runfiles_gone"], decided["toolkits_gone"]) == (["10.2"], [])

    def test_of_packages_takes_this_version_s_only(self) -> None:
        machine = there("12.4", "12.9")
        for name in ("cuda-toolkit-12-4", "libcublas-12-4", "cuda-toolkit-12-9", "libfoo-12-4"):
            machine.installed(name, "1")
        decided = plan({"version": "12.4", "state": "absent"}, {"version": "12.9"}, machine=machine)
        assert decided["toolkits_gone"] == ["cuda-toolkit-12-4", "libcublas-12-4"]
        assert decided["runfiles_gone"] == []

    def test_of_what_is_not_there_is_nothing(self) -> None:
        decided = plan({"version": "10.2", "state": "absent"})
        assert (decided["work"], decided["settle"]) == (False, False)

    @pytest.mark.parametrize(
        ("known", "end"),
        [([], "--remove-all"), ([ROOT + "9.2"], "--auto")],
        ids=["alone", "beside another's"],
    )
    def test_of_the_last_takes_the_link_along(self, known: list[str], end: str) -> None:
        dangling = link("", *known) | {"managed": True, "dangling": True}
        machine = there("9.2", link=dangling) if known else Machine.with_driver(link=dangling)
        decided = plan({"version": "10.2", "state": "absent"}, machine=machine)
        assert (decided["link_end"], decided["link_forget"], decided["link_gone"]) == (end, [], False)

    def test_of_the_last_takes_somebody_else_s_link_along(self) -> None:
        machine = Machine.with_driver(link=link("") | {"dangling": True})
        decided = plan({"version": "10.2", "state": "absent"}, machine=machine)
        assert (decided["link_end"], decided["link_gone"]) == ("", True)

    def test_of_the_last_takes_it_from_the_linker_s_cache(self) -> None:
        assert plan({"version": "10.2", "state": "absent"}, machine=Machine.with_driver(cached=False))["cache"]
        other = there("9.2", link=link(ROOT + "9.2"), cached=False)
        assert not plan({"version": "10.2", "state": "absent"}, machine=other)["cache"]

    def test_of_the_last_takes_the_files_along(self) -> None:
        machine = there("10.2")
        machine.look["files"] |= {LIBRARIES: "x", PROFILE: "x"}
        decided = plan({"version": "10.2", "state": "absent"}, machine=machine)
        assert decided["files"] == [{"path": LIBRARIES, "text": ""}, {"path": PROFILE, "text": ""}]


@pytest.mark.parametrize(
    ("toolkit", "words"),
    [
        ({"version": "12.4"}, "was made with driver 550.54.15, and this machine's is 535"),
        ({"version": "11.7", "source": "runfile"}, "compiles with GCC 11 at most, and Debian 12 has 12"),
    ],
)
def test_what_will_not_quite_do_is_said(toolkit: dict[str, Any], words: str) -> None:
    assert any(words in note for note in plan(toolkit)["notes"])
