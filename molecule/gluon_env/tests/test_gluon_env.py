"""The environment and the checkout that the gluon_env role made."""

from __future__ import annotations

from typing import Any

PYTHON = "/opt/miniconda3/envs/gluon/bin/python"
CHECKOUT = "/home/admin/gluon-tutorials-zh"
TRAINING = """
from mxnet import autograd, gluon, nd
net = gluon.nn.Dense(1); net.initialize()
trainer = gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.1})
x = nd.array([[1.], [2.]]); y = 3 * x
def step():
    with autograd.record():
        loss = ((net(x) - y) ** 2).mean()
    loss.backward(); trainer.step(2)
    return loss.asscalar()
first = step()
for _ in range(20): last = step()
print(last < first)
"""


def run(host: Any, code: str) -> str:
    """What the environment's Python prints."""
    return host.check_output(f'{PYTHON} -W ignore -c "{code}"').strip()


def test_mxnet_trains(host: Any) -> None:
    assert run(host, TRAINING) == "True"


def test_mxnet_is_the_build_for_a_machine_without_a_gpu(host: Any) -> None:
    assert run(host, "import mxnet; print(mxnet.__version__, mxnet.context.num_gpus())") == "1.9.1 0"


def test_the_notebook_reads_markdown(host: Any) -> None:
    assert run(host, "import notedown, notebook; print(notebook.__version__.split('.')[0])") == "6"


def test_the_packages_fit_each_other(host: Any) -> None:
    assert host.run(f"{PYTHON} -m pip check").rc == 0


def test_nobody_but_root_may_change_the_environment(host: Any) -> None:
    writable = host.run("find /opt/miniconda3/envs/gluon -not -type l -perm /022 -print -quit")
    assert writable.stdout == ""
    assert host.run("find /opt/miniconda3/envs/gluon -not -user root -print -quit").stdout == ""


def test_the_checkout_is_its_users(host: Any) -> None:
    assert host.file(f"{CHECKOUT}/environment.yml").user == "admin"
    assert host.check_output(f"git -C {CHECKOUT} status --porcelain") == ""
