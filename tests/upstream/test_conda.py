"""The installer and the command it installs, held against what conda 26.x was seen to do."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from local_ec2.upstream import conda_standin

TINY = "name: tiny\ndependencies:\n- python=3.11\n- pip\n- pip:\n  - tiny==1.0\n"


def write(path: Path, text: str = TINY) -> Path:
    path.write_text(text)
    return path


def install(script: Path, *arguments: str | Path, answer: str = "") -> subprocess.CompletedProcess[str]:
    command = ["sh", script, *arguments]
    return subprocess.run(command, input=answer, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def tiny(conda, tmp_path_factory):
    """A file with a pip part, and the environment that `env update` made of it."""
    here = tmp_path_factory.mktemp("tiny")
    file, prefix = write(here / "environment.yml"), here / "env"
    done = conda("env", "update", "-p", prefix, "-f", file, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["actions"]["PIP"] == ["tiny-1.0"]
    assert "Successfully installed tiny-1.0" in done.stderr
    return file, prefix


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["-h"], 2),
        (["-z"], 1),
        (["-b", "-p", "{tmp}"], 1),
        (["-b", "-p", "{tmp}/a b"], 1),
        (["-p", "{tmp}/new"], 2),
    ],
    ids=["help", "unknown flag", "prefix exists", "a space in the prefix", "licence refused"],
)
def test_wrong_use_of_the_installer_ends_as_with_miniconda(served, tmp_path, arguments, status):
    done = install(served.installer, *(argument.format(tmp=tmp_path) for argument in arguments), answer="no\n")
    assert done.returncode == status
    assert not list(tmp_path.iterdir())


def test_an_installer_of_another_name_is_refused(served, tmp_path):
    other = shutil.copy(served.installer, tmp_path / "installer")
    done = install(other, "-b", "-p", tmp_path / "new")
    assert (done.returncode, (tmp_path / "new").exists()) == (1, False)


def test_a_damaged_installer_makes_no_environment(served, tmp_path):
    cut = tmp_path / "cut.sh"
    cut.write_bytes(served.installer.read_bytes()[:1_000_000])
    assert install(cut, "-b", "-p", tmp_path / "new").returncode == 1
    assert not (tmp_path / "new" / "conda-meta").exists()


def test_an_update_keeps_the_environments_and_not_the_settings(conda, served):
    kept, condarc = conda.prefix / "envs" / "mine", conda.prefix / ".condarc"
    kept.mkdir()
    settings = condarc.read_text()
    done = install(served.installer, "-b", "-u", "-p", conda.prefix)
    assert (done.returncode, kept.is_dir(), condarc.read_text()) == (0, True, "channels:\n  - defaults\n")
    kept.rmdir()
    condarc.write_text(settings)
    assert conda("--version").stdout == f"conda {conda_standin.VERSION}\n"


def test_info_tells_version_and_root(conda):
    told = json.loads(conda("info", "--json").stdout)
    assert told["conda_version"] == conda_standin.VERSION
    assert told["root_prefix"] == str(conda.prefix)
    assert told["config_files"] == [str(conda.prefix / ".condarc")]


def test_the_user_s_condarc_comes_before_the_installation_s(conda, served):
    home = Path(conda.environment["HOME"])
    mine = write(home / ".condarc", "channels: [https://mine.example]\n")
    shown = json.loads(conda("config", "--show", "channels", "--json").stdout)
    mine.unlink()
    assert shown == {"channels": ["https://mine.example", *served.variables["miniconda_channels"]]}


def test_the_environment_works(conda, tiny):
    done = conda("run", "-p", tiny[1], "python", "-c", "import tiny; print(tiny.version); raise SystemExit(7)")
    assert (done.stdout, done.returncode) == ("1.0\n", 7)


@pytest.mark.parametrize("verb", ["update", "create"])
def test_the_same_file_again_is_nothing_to_do(conda, tiny, verb):
    file, prefix = tiny
    history = (prefix / "conda-meta" / "history").read_bytes()
    done = conda("env", verb, "-p", prefix, "-f", file, "--json")
    assert json.loads(done.stdout) == {
        "message": "All requested packages already installed.",
        "success": True,
    }
    assert (prefix / "conda-meta" / "history").read_bytes() == history


def test_pip_unlisted_is_nagged_about_before_the_json(conda, tiny, tmp_path):
    unlisted = write(tmp_path / "environment.yml", TINY.replace("- pip\n", ""))
    lines = conda("env", "update", "-p", tiny[1], "-f", unlisted, "--json").stdout.splitlines()
    assert lines[0].startswith("Warning:")
    assert json.loads("\n".join(lines[1:]))["success"] is True


def test_list_tells_conda_s_packages_from_pip_s(conda, tiny, served):
    rows = {row["name"]: row for row in json.loads(conda("list", "-p", tiny[1], "--json").stdout)}
    assert set(rows) == {"python", "pip", "tiny"}
    assert rows["python"]["base_url"] == served.variables["miniconda_channels"][0]
    assert (rows["tiny"]["channel"], rows["tiny"]["version"]) == ("pypi", "1.0")


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["python=3.11", {"pip": ["tiny>=1.0"]}], 0),
        (["python=3.12"], 1),
        ([{"pip": ["tiny==2.0"]}], 1),
        (["typing_extensions"], 1),
        ([{"pip": ["tiny[extra]"]}], 1),
    ],
)
def test_compare_answers_by_its_exit_status(conda, tiny, tmp_path, lines, status):
    file = write(tmp_path / "environment.yml", json.dumps({"dependencies": lines}))
    assert conda("compare", "-p", tiny[1], file).returncode == status


def test_export_from_history_is_what_was_asked_for(conda, tiny):
    exported = json.loads(conda("env", "export", "-p", tiny[1], "--from-history", "--json").stdout)
    assert exported["dependencies"] == ["python=3.11", "pip"]


def test_prune_takes_conda_s_packages_and_leaves_pip_s(conda, tmp_path):
    prefix, file = tmp_path / "env", tmp_path / "environment.yml"
    write(file, TINY.replace("- pip\n", "- pip\n- wheel\n"))
    assert conda("env", "update", "-p", prefix, "-f", file).returncode == 0
    write(file, "dependencies:\n- python=3.11\n- pip\n")
    done = conda("env", "update", "-p", prefix, "-f", file, "--prune", "--json")
    gone = {row["name"] for row in json.loads(done.stdout)["actions"]["UNLINK"]}
    left = {row["name"] for row in json.loads(conda("list", "-p", prefix, "--json").stdout)}
    assert (gone, left) == ({"wheel", "packaging"}, {"python", "pip", "tiny"})


def test_a_failing_pip_part_leaves_the_conda_part(conda, tmp_path):
    file = write(tmp_path / "environment.yml", TINY.replace("tiny==1.0", "tiny==9"))
    done = conda("env", "update", "-p", tmp_path / "env", "-f", file, "--json")
    assert (done.returncode, json.loads(done.stdout)["exception_name"]) == (1, "CondaEnvException")
    assert (tmp_path / "env" / "conda-meta" / "history").is_file()


@pytest.mark.parametrize("spec", ["python=3.12", "no-such-package"])
def test_what_cannot_be_solved_leaves_nothing(conda, tmp_path, spec):
    file = write(tmp_path / "environment.yml", f"dependencies:\n- {spec}\n")
    assert conda("env", "update", "-p", tmp_path / "env", "-f", file).returncode == 1
    assert not (tmp_path / "env").exists()


def test_env_update_has_no_dry_run(conda, tiny):
    assert conda("env", "update", "--dry-run", "-p", tiny[1], "-f", tiny[0]).returncode == 2


def test_without_a_terminal_the_answer_is_no_and_no_failure(conda, tiny):
    assert conda("env", "remove", "-p", tiny[1]).returncode == 0
    assert conda("create", "-p", tiny[1], "python").returncode == 0
    assert (tiny[1] / "bin" / "python").exists()


def test_a_named_environment_comes_and_goes(conda, tmp_path):
    env = conda.prefix / "envs" / "tiny"
    assert conda("env", "create", "-f", write(tmp_path / "environment.yml")).returncode == 0
    assert str(env) in json.loads(conda("env", "list", "--json").stdout)["envs"]
    shell = f". '{conda.prefix}/bin/activate' tiny && python -c 'import tiny, sys; print(sys.prefix)'"
    done = subprocess.run(["bash", "-c", shell], env=conda.environment, capture_output=True, text=True)
    assert done.stdout == f"{env}\n", done.stderr
    assert conda("env", "remove", "-n", "tiny", "-y").returncode == 0
    assert not env.exists()
