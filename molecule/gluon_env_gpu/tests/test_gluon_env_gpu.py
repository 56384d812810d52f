"""What MXNet's build for a GPU can do on a machine that has the driver's library and no GPU."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "gluon_env/tests"))

from test_gluon_env import PYTHON, TRAIN, python, versions

__all__ = ["versions"]


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
