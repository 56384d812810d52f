"""What a machine has once the gluon_env role was there."""

import json
import re
from pathlib import Path

import pytest

LOCK = Path(__file__).resolve().parents[3] / "playbooks/editions/d2l-zh-v1.cpu.txt"
PREFIX = "/opt/miniconda3/envs/gluon"
PYTHON = f"{PREFIX}/bin/python"
TRAIN = """
from mxnet import autograd, gluon, nd
x = nd.random.normal(shape=(256, 2))
y = nd.dot(x, nd.array([2, -3.4]).reshape((2, 1))) + 4.2
net = gluon.nn.Dense(1)
net.initialize()
trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
losses = []
for _ in range(100):
    with autograd.record():
        loss = gluon.loss.L2Loss()(net(x), y)
    loss.backward()
    trainer.step(256)
    losses.append(float(loss.mean().asscalar()))
print(losses[0], losses[-1])
"""


def python(host, code):
    return host.check_output(f"{PYTHON} -W ignore - <<'CODE'\n{code}\nCODE")


@pytest.fixture(scope="module")
def versions(host):
    """Version of each distribution that pip sees."""
    listed = json.loads(host.check_output(f"{PYTHON} -m pip list --format=json --disable-pip-version-check"))
    return {re.sub("[-_.]+", "-", entry["name"]).lower(): entry["version"] for entry in listed}


@pytest.fixture(scope="module")
def checkout(host):
    """The tutorial's folder, in the home of the login."""
    return host.check_output("ls -d ~/*/environment.yml").removesuffix("/environment.yml")


def test_mxnet_learns(host):
    first, last = map(float, python(host, TRAIN).split())
    assert last < first / 1000


def test_mxnet_is_the_wheel_for_this_machine(versions):
    assert [name for name in versions if name.startswith("mxnet")] == ["mxnet"]


def test_every_package_is_the_locked_one(versions):
    locked = dict(re.findall(r"^([\w.-]+)==(\S+)", LOCK.read_text(), re.M))
    assert locked and {name: versions.get(name) for name in locked} == locked


def test_no_cuda_library_is_there_without_a_gpu(versions):
    assert not [name for name in versions if name.startswith("nvidia-")]


def test_the_books_helpers_import(host):
    python(host, "import d2lzh, pandas, matplotlib.pyplot")


def test_the_classic_notebook_is_there(host):
    python(host, "import notebook.notebookapp, nbformat; assert notebook.__version__.startswith('6.')")


def test_the_versions_fit_each_other(host):
    assert "No broken requirements" in host.check_output(f"{PYTHON} -m pip check")


def test_conda_knows_the_environment(host):
    assert PREFIX in json.loads(host.check_output("/opt/miniconda3/bin/conda env list --json"))["envs"]


def test_everything_is_roots(host):
    with host.sudo():
        assert host.check_output(f"find {PREFIX} ! -user root") == ""


def test_nothing_is_writable_by_others(host):
    with host.sudo():
        assert host.check_output(f"find {PREFIX} ! -type l -perm /o+w") == ""


def test_nothing_of_the_build_is_left_behind(host):
    assert host.check_output("ls -A /opt/miniconda3/envs") == "gluon"


def test_the_checkout_is_the_logins(host, checkout):
    assert host.check_output(f"find {checkout} ! -user $(id -un)") == ""


def test_the_checkout_is_clean(host, checkout):
    assert host.check_output(f"git -C {checkout} status --porcelain") == ""


def test_the_checkout_is_on_a_branch_for_the_readers_commits(host, checkout):
    assert host.check_output(f"git -C {checkout} branch --show-current") == "notebooks"
