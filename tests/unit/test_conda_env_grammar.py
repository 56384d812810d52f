"""What conda_env reads out of specifications, requirements and an environment's folder, without conda."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from plugins.module_utils import conda, conda_pip
from plugins.module_utils import conda_probe as probe

names = st.from_regex(r"[a-z][a-z0-9]{0,5}(-[a-z0-9]{1,3})?", fullmatch=True)
versions = st.lists(st.integers(0, 20), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
requirements = st.builds("{}=={}".format, names, versions)


@given(entries=st.lists(requirements, unique_by=conda.pip_name), pins=st.lists(requirements, unique_by=conda.pip_name))
def test_pins_replace_their_own_name_and_nothing_else(entries: list[str], pins: list[str]) -> None:
    merged = conda.replaced(entries, pins, conda.pip_name)
    pinned = {conda.pip_name(pin) for pin in pins}
    assert [entry for entry in merged if entry not in pins] == [e for e in entries if conda.pip_name(e) not in pinned]
    assert set(pins) <= set(merged)
    assert len({conda.pip_name(entry) for entry in merged}) == len(merged)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("numpy", "numpy"),
        ("Jupyter_Client==6.1.12", "jupyter-client"),
        ("a.b[extra] >= 1 ; python_version < '3.9'", "a-b"),
        ("notedown @ https://github.com/mli/notedown/tarball/master", "notedown"),
    ],
)
def test_names_of_pip_requirements(text: str, name: str) -> None:
    assert conda.pip_name(text) == name


@pytest.mark.parametrize("text", ["", "-r other.txt", "-e .", "https://x/y.whl", "./y", "a --hash=sha256:0", "a b"])
def test_what_is_no_pip_requirement(text: str) -> None:
    with pytest.raises(conda.Unreadable):
        conda.pip_name(text)


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("python", "python"),
        ("python=3.11", "python"),
        ("setuptools<81", "setuptools"),
        ("conda-forge::Pip >=20", "pip"),
        ("conda-forge/linux-64::python==3.6", "python"),
        ("python[version='>=3.8']", "python"),
        ("mxnet 1.9.1 py_0", "mxnet"),
    ],
)
def test_names_of_conda_packages(spec: str, name: str) -> None:
    assert conda.conda_name(spec) == name


@pytest.mark.parametrize("spec", ["", "-p /", "$(touch x)", "a;b", "`id`", "{{ x }}"])
def test_what_is_no_conda_package(spec: str) -> None:
    with pytest.raises(conda.Unreadable):
        conda.conda_name(spec)


@pytest.mark.parametrize(
    ("spec", "version", "met"),
    [
        ("a", "1.0", True),
        ("b", "1.0", False),
        ("a=3.11", "3.11.2", True),
        ("a=3.1", "3.11.2", False),
        ("a =3.11", "3.11.2", True),
        ("a 3.11.*", "3.11.2", True),
        ("a=3.11.*", "3.12.0", False),
        ("a==3.11", "3.11.0", True),
        ("a==3.11", "3.11.2", False),
        ("a>=3.9,<3.12", "3.11.2", True),
        ("a>=3.9,<3.12", "3.12", False),
        ("a!=2", "2.0", False),
        # Only conda can tell these:
        ("a=1.0", "1", None),
        ("a 1.0", "1.0", None),
        ("a=1.0=py_0", "1.0", None),
        ("a>=1|<0.5", "1.0", None),
        ("a~=1.0", "1.0", None),
        ("a>=1.0rc1", "1.0", None),
        ("a>=1.0", "1.0rc1", None),
        ("c::a", "1.0", None),
        ("a[build=x]", "1.0", None),
    ],
)
def test_specs_are_decided_where_that_is_certain(spec: str, version: str, met: bool | None) -> None:
    assert probe.met(spec, {"a": version}) is met


@given(installed=versions, wanted=versions, operator=st.sampled_from(["==", "!=", ">=", "<=", ">", "<"]))
def test_versions_are_compared_as_numbers(installed: str, wanted: str, operator: str) -> None:
    expected = eval(f"a {operator} b", {"a": Version(installed), "b": Version(wanted)})
    assert probe.met(f"x{operator}{wanted}", {"x": installed}) is expected


def environment(folder: Path, history: str, records: dict[str, str]) -> Path:
    (folder / "conda-meta").mkdir()
    (folder / "conda-meta/history").write_text(history)
    for name, content in records.items():
        (folder / f"conda-meta/{name}.json").write_text(content)
    return folder


def test_records_are_read_by_their_names(tmp_path: Path) -> None:
    prefix = environment(tmp_path, "", {"python-3.11.2-0_venv": "", "typing-extensions-4.16.0-py_0": "", "state": ""})
    assert probe.packages(prefix) == {"python": "3.11.2", "typing-extensions": "4.16.0"}


def test_only_what_nobody_needs_any_more_is_prunable(tmp_path: Path) -> None:
    history = "\n".join(
        [
            "==> 2026-11-24 <==",
            '# update specs: ["python=3.11", "left", "needed", "gone"]',
            "# remove specs: ['gone']",
            "# neutered specs: []",
        ]
    )
    records = {"python-3.11-0": '{"depends": ["needed >=1"]}', "left-1-0": "{}", "needed-1-0": "{}", "gone-1-0": "{}"}
    assert probe.prunable(environment(tmp_path, history, records), ["python"]) == ["left"]


def test_variables_that_are_not_set_are_told(tmp_path: Path) -> None:
    prefix = environment(tmp_path, "", {})
    (prefix / "conda-meta/state").write_text('{"env_vars": {"A": "1", "B": "2"}}')
    assert probe.unset(prefix, {"A": 1, "B": "3", "C": ""}) == ["B", "C"]


def test_the_end_of_a_long_log_tells_the_reason() -> None:
    log = "Collecting a\n" * 50 + "ERROR: No matching distribution found for b==9\n" + "Cleaning up\n" * 20
    assert conda.telling(log) == "ERROR: No matching distribution found for b==9"
    assert conda.telling("one\ntwo\n") == "one\ntwo"


HASH = f"--hash=sha256:{'0' * 64}"


def test_a_lock_is_read_as_the_tools_write_it() -> None:
    text = f"""
# made by a tool
numpy==1.23.5 \\
    {HASH} \\
    {HASH.replace("0", "1")}
    # via mxnet
Typing.Extensions == 4.1 ; python_version < "3.12" {HASH}
"""
    locked = conda.read_lock(text)
    assert [(one.name, one.version) for one in locked.values()] == [("numpy", "1.23.5"), ("typing-extensions", "4.1")]
    assert locked["numpy"].line.count("--hash") == 2 and locked["numpy"].requirement == "numpy==1.23.5"
    assert locked["typing-extensions"].requirement == 'Typing.Extensions == 4.1 ; python_version < "3.12"'


@pytest.mark.parametrize(
    "line",
    [
        "a==1",
        f"a>=1 {HASH}",
        f"a {HASH}",
        "a==1 --hash=md5:00",
        "a==1 --hash=sha256:12",
        f"a==1 {HASH}\nA==2 {HASH}",
        "-r b",
    ],
)
def test_what_is_no_lock(line: str) -> None:
    with pytest.raises(conda.Unreadable, match="lock"):
        conda.read_lock(line)


@pytest.mark.parametrize(
    ("pin", "version", "meets"),
    [
        ("a", "1.0", True),
        ("a==1.0", "1.0", True),
        ("a[x] == 1.0rc1", "1.0rc1", True),
        ("a>=1,<2", "1.5", True),
        ("a<1", "1.5", False),
        ("a==1.1", "1.0", False),
        ("a>=1", "1.0rc1", False),
        ("a~=1.0", "1.0", False),
    ],
)
def test_a_lock_counts_where_it_certainly_meets_the_pin(pin: str, version: str, meets: bool) -> None:
    assert conda.meets(version, pin) is meets


def test_pips_settings_are_told_to_uv() -> None:
    config = "global.index-url='https://a/simple'\nglobal.find-links='/x\\n/y'\n:env:.index-url='https://b/simple'\nbad"
    assert conda_pip.told(config, {}) == {"UV_DEFAULT_INDEX": "https://b/simple", "UV_FIND_LINKS": "/x,/y"}
    assert conda_pip.told(config, {"UV_DEFAULT_INDEX": "https://c"}) == {"UV_FIND_LINKS": "/x,/y"}
