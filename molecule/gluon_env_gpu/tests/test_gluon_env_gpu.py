"""What MXNet's build for a GPU can do on a machine that has the driver's library and no GPU."""

import json
import re

import pytest

PYTHON = "/opt/miniconda3/envs/gluon/bin/python"
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
    return {entry["name"].lower(): entry["version"] for entry in listed}


def test_it_is_the_build_for_a_gpu_and_no_other(versions):
    assert [name for name in versions if name.startswith("mxnet")] == ["mxnet-cu117"]


def test_it_was_compiled_with_cuda(host):
    code = (
        "import mxnet; print(mxnet.runtime.Features().is_enabled('CUDA'), mxnet.runtime.Features().is_enabled('CUDNN'))"
    )
    assert python(host, code) == "True True"


def test_it_sees_that_there_is_no_gpu(host):
    assert python(host, "import mxnet; print(mxnet.context.num_gpus())") == "0"


def test_it_learns_on_the_cpu(host):
    first, last = map(float, python(host, TRAIN).split())
    assert last < first / 1000


def test_its_cuda_libraries_are_those_of_the_environment(host):
    code = "import mxnet; print(open('/proc/self/maps').read())"
    loaded = re.findall(r"/\S*lib(?:cublas|cudnn|cudart)\S*", python(host, code))
    assert loaded and not [path for path in loaded if not path.startswith("/opt/miniconda3/envs/gluon/")]


def test_the_versions_fit_each_other(host):
    assert "No broken requirements" in host.check_output(f"{PYTHON} -m pip check")
