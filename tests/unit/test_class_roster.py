"""A class's roster: what machines come of it, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.module_utils.class_roster import Refused, machine_of, read, students


def refusals(listed: object) -> list[str]:
    with pytest.raises(Refused) as refused:
        students(listed)
    return list(refused.value.args)


def from_file(folder: Path, text: str | bytes) -> object:
    file = folder / "roster.yml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(file)


class TestNames:
    @pytest.mark.parametrize(
        ("name", "machine"),
        [
            ("Li Wei", "li-wei"),
            ("José Müller-Núñez", "jose-muller-nunez"),
            ("  Anne   Marie ", "anne-marie"),
            ("李伟 (Li Wei)", "li-wei"),
            ("$(touch /tmp/p)", "touch-tmp-p"),
            ("x" * 100, "x" * 40),
        ],
    )
    def test_a_machine_is_called_as_its_student(self, name: str, machine: str) -> None:
        assert students([{"name": name}])[0]["machine"] == machine

    @pytest.mark.parametrize("name", ["李伟", "Σ", "I", "all", "localhost", "i-0abc", "😀😀"])
    def test_a_name_without_latin_letters_or_that_is_taken_gives_one_that_is_always_the_same(self, name: str) -> None:
        assert machine_of(name).startswith("student-")
        assert machine_of(name) == machine_of(name)

    def test_who_comes_and_goes_renames_nobody(self) -> None:
        names = ["李伟", "王芳", "Li Wei", "Chen", "陈晨"]
        machines = {one["name"]: one["machine"] for one in students([{"name": name} for name in names])}
        assert len(set(machines.values())) == len(names)
        for left in range(len(names)):
            some = [{"name": name} for name in [*names[left:], "newcomer"]]
            assert all(machines[one["name"]] == one["machine"] for one in students(some)[:-1])

    def test_a_composed_and_a_decomposed_name_are_one(self) -> None:
        (complaint,) = refusals([{"name": "Jos\u00e9"}, {"name": "Jose\u0301"}])
        assert "2 students are called" in complaint

    def test_a_machine_of_ones_own_is_kept(self) -> None:
        assert students([{"name": "Li Wei", "machine": "s01"}])[0]["machine"] == "s01"


class TestRefusals:
    def test_all_that_is_wrong_is_said_at_once(self) -> None:
        said = refusals(
            [
                {"name": "Li Wei", "email": "li@"},
                {"nane": "Chen"},
                {"name": "Wang", "type": "big one", "machine": "-rf"},
                "Zhao",
                {"name": "An\nna"},
                {"name": 7},
            ]
        )
        assert [sentence.partition(" has")[0].partition(" is")[0] for sentence in said] == [
            'Entry 1 ("Li Wei")',
            "Entry 2",
            "Entry 2",
            'Entry 3 ("Wang")',
            'Entry 3 ("Wang")',
            "Entry 4",
            'Entry 5 ("An\\nna")',
            "Entry 6",
        ]
        assert "Did you mean name" in said[1]

    @pytest.mark.parametrize(
        ("second", "said"),
        [
            ({"name": "li wei"}, '2 students are called "Li Wei"'),
            ({"name": "Li-Wei"}, 'would have the machine "li-wei" (Li Wei, Li-Wei)'),
            ({"name": "Other", "machine": "LI-WEI"}, "give one of them another with machine: NAME"),
            ({"name": "Other", "email": "LI@example.org"}, 'have the e-mail address "li@example.org"'),
        ],
    )
    def test_nobody_is_there_twice(self, second: dict[str, str], said: str) -> None:
        (complaint,) = refusals([{"name": "Li Wei", "email": "li@example.org"}, second])
        assert said in complaint

    @pytest.mark.parametrize("listed", [None, [], "Li Wei", {"name": "Li Wei"}])
    def test_it_is_a_list(self, listed: object) -> None:
        assert refusals(listed)[0].startswith("The roster is no list of students")

    def test_more_than_one_run_launches_are_refused(self) -> None:
        assert "201 students" in refusals([{"name": f"student {number}"} for number in range(201)])[0]


class TestFile:
    def test_what_is_text_stays_text(self, tmp_path: Path) -> None:
        """`No` is a name, and 007 another."""
        text = "\ufeff- {name: No, email: }\r\n- {name: 007, machine: 0x10}\r\n- name: 李伟\r\n  type: g4dn.xlarge\r\n"
        found = students(from_file(tmp_path, text))
        assert [(one["name"], one["machine"]) for one in found[:2]] == [("No", "no"), ("007", "0x10")]
        assert (found[2]["name"], found[2]["type"]) == ("李伟", "g4dn.xlarge")

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("- name: a\n\temail: b\n", "is no YAML in line 2"),
            ("- {name: a, name: b}\n", 'The entry of line 1 has "name" twice'),
            ("- &a {name: a}\n- *a\n", "Line 2 repeats another part"),
            ("- {name: !!python/object/apply:os.system [true]}\n", "which is no text"),
            ("[" * 100_000, "is no YAML"),
            (b"- {name: \xff}\n", "is not UTF-8 at byte 9"),
            ("x" * (1 << 20) + "x", "more than 1048576 bytes"),
        ],
        ids=["tab", "twice", "alias", "tag", "deep", "latin-1", "large"],
    )
    def test_what_it_cannot_be_is_said(self, tmp_path: Path, text: str | bytes, said: str) -> None:
        with pytest.raises(Refused) as refused:
            students(from_file(tmp_path, text))
        assert said in " ".join(refused.value.args)

    def test_one_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(Refused, match="No such file"):
            read(tmp_path / "roster.yml")
