"""What a machine has once the miniconda role was there."""

import json
import re

import pytest
import yaml

PREFIX = "/opt/miniconda3"
CONDA = f"{PREFIX}/bin/conda"


@pytest.fixture(scope="module")
def info(host):
    """What conda tells of itself to a user who is not root."""
    return json.loads(host.check_output(f"{CONDA} info --json"))


def test_conda_answers_any_user(host):
    assert re.match(r"conda \d+\.\d+", host.check_output(f"{CONDA} --version"))


def test_its_root_is_the_prefix(info):
    assert info["root_prefix"] == PREFIX


def test_it_is_of_the_version_that_was_asked_for(host):
    version = host.file(f"{PREFIX}/.miniconda_version").content_string.splitlines()[0]
    assert re.fullmatch(r"py3\d+_(.+)-\d+", version)[1] == host.check_output(f"{CONDA} --version").split()[1]


def test_everything_is_roots(host):
    with host.sudo():
        assert host.check_output(f"find {PREFIX} ! -user root -o ! -group root") == ""


def test_nothing_is_writable_by_others(host):
    with host.sudo():
        assert host.check_output(f"find {PREFIX} ! -type l -perm /o+w") == ""


def test_another_user_finds_nothing_to_write_to(host):
    with host.sudo():
        walk = host.run(f"runuser -u nobody -- find {PREFIX} /etc/profile.d/miniconda.sh ! -type l -writable")
    assert (walk.rc, walk.stdout) == (0, "")
    assert host.run(f"touch {PREFIX}/canary {PREFIX}/envs/canary").rc != 0


def test_another_user_can_read_all_of_it(host):
    # Environments and the packages they are made of are conda's own, of which this machine may have some.
    walk = f"find {PREFIX} ! -type l ! -path '{PREFIX}/envs/*' ! -path '{PREFIX}/pkgs/*' ! -readable"
    with host.sudo():
        assert host.check_output(f"runuser -u nobody -- {walk}") == ""


def test_the_channels_are_the_installations(host, info):
    assert f"{PREFIX}/.condarc" in info["config_files"]
    assert yaml.safe_load(host.file(f"{PREFIX}/.condarc").content_string)["channel_priority"] == "strict"


def test_no_channel_is_anacondas(info):
    assert not [url for url in info["channels"] if "repo.anaconda.com" in url]


def test_no_terms_were_accepted(host):
    with host.sudo():
        assert host.run(f"ls {PREFIX}/conda-meta/tos /etc/conda/tos /root/.conda/tos").stdout == ""


def test_nothing_was_written_into_a_home(host):
    look = "find /root /home -name '.conda*' -o -name .bashrc -newer /etc/profile.d/miniconda.sh"
    with host.sudo():
        assert host.check_output(look) == ""


def test_conda_activate_works_in_a_login_shell(host):
    assert host.check_output("bash -lc 'conda activate base && echo $CONDA_PREFIX'") == PREFIX


def test_a_login_shell_starts_without_an_environment(host):
    assert host.check_output("bash -lc 'echo ${CONDA_PREFIX:-none}'") == "none"


def test_nothing_of_the_installation_is_left_behind(host):
    with host.sudo():
        left = host.check_output(f"ls -A /opt {PREFIX}").split()
    assert not [name for name in left if name.endswith((".download", ".sh")) or name == ".miniconda_begun"]
