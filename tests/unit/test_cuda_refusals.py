"""What the cuda role refuses, in which words, before anything is changed."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from cuda_machine import Machine

UNUSABLE = "set cuda_gpu to none"


class Case(NamedTuple):
    """What a machine shows, what is asked of it, and what the one sentence says."""

    shown: dict[str, Any]
    asked: dict[str, Any]
    words: list[str]


def toolkit(**item: Any) -> dict[str, Any]:
    return {"toolkits": [item]}


V100, K80, L4, H100, T4G, B200 = (["1db1"], ["102d"], ["27b8"], ["2330"], ["1eb4"], ["2901"])
MXNET = {"code_for": ["5.0", "5.2", "7.0", "7.5", "8.0", "8.6", "8.9"]}
UBUNTU = {"system": "Ubuntu 22"}

CASES = {
    "GPU that is not in the table": Case(
        {"gpus": ["ffff"]}, {}, ["device ffff", "same architecture among K80, M60", "to none"]
    ),
    "AMD": Case({"gpus": [], "others": ["1002:7362"]}, {}, ["AMD's Radeon Pro V520", "g4dn.xlarge", UNUSABLE]),
    "a fraction of a GPU": Case({"gpus": L4, "family": "g6f"}, {}, ["fraction of an L4", "GRID driver", UNUSABLE]),
    "a distribution that is not in the table": Case(
        {"system": "Fedora 43"}, {}, ["Fedora 43 is not supported", "Debian 12"]
    ),
    "MXNet without code for the GPU": Case(
        {"gpus": H100, **UBUNTU}, MXNET, ["capabilities 5.0, 5.2", "none for H100 (9.0)", "no kernel image", UNUSABLE]
    ),
    "MXNet on aarch64": Case(
        {"gpus": T4G, "machine": "aarch64"}, MXNET, ["T4G is in an aarch64 machine", "no MXNet with GPU", "g4dn.xlarge"]
    ),
    "a retired family's GPU without its old driver": Case(
        {"gpus": K80},
        {"driver": "nvidia"},
        ["branches 580, 590", "K80 needs branch 340 to 470", "another distribution"],
    ),
    "a GPU newer than the distribution's drivers": Case(
        {"gpus": B200},
        {},
        ["Debian 12 has the driver branches 470, 535", "B200 needs branch 570 or newer", "cuda_driver=nvidia"],
    ),
    "a driver past the GPU's last branch": Case(
        {"gpus": V100},
        {"driver": "nvidia", "driver_branch": "595"},
        ["595 does not know V100", "last branch that does is 580", "Set it to 580"],
    ),
    "a driver older than the GPU": Case(
        {"gpus": L4, **UBUNTU},
        {"driver_branch": "470"},
        ["470 does not know L4", "first branch that does is 520", "535 or 580"],
    ),
    "a branch that is not there": Case(
        UBUNTU, {"driver_branch": "570"}, ["570 is not among those of Ubuntu 22", "Set it to 470 or 535 or 580"]
    ),
    "open modules on Volta": Case(
        {"gpus": V100, **UBUNTU},
        {"driver_modules": "open"},
        ["open: these modules run on Turing and newer", "V100 is volta", "proprietary"],
    ),
    "proprietary modules on Blackwell": Case(
        {"gpus": B200, **UBUNTU},
        {"driver_modules": "proprietary"},
        ["do not run on Blackwell", "B200 is blackwell100", "Set it to open"],
    ),
    "modules that a branch has not": Case(
        {},
        {"driver": "nvidia", "driver_branch": "615", "driver_modules": "proprietary"},
        ["branch 615 of NVIDIA's repository", "Set it to open"],
    ),
    "GPUs that no driver knows together": Case(
        {"gpus": ["102d", "2901"]}, {"driver": "nvidia"}, ["K80, B200 needs branch 570 to 470"]
    ),
    "Secure Boot": Case({"secure_boot": True}, {}, ["Secure Boot is on", "switch it off, or use Ubuntu"]),
    "a keyring that is not known": Case(
        {"machine": "aarch64"}, {"driver": "nvidia"}, ["keyring package for aarch64", "cuda_keyring_sha256"]
    ),
    "another driver than the image's": Case(
        {"loaded": "570.133.20", "installer": True, **UBUNTU},
        {"driver_branch": "580"},
        ["Driver 570.133.20", "nvidia-uninstall", "to keep it"],
    ),
    "an image's driver that does not know the GPU": Case(
        {"loaded": "595.58.03", "gpus": V100}, {}, ["does not know V100", "branch 384 to 580", "remove it"]
    ),
    "an image's driver for another kernel": Case(
        {"built": {"5.15.0-1-aws": {"module": "nvidia", "version": "570.133.20"}}},
        {},
        ["no module for the running kernel 6.1.0-50"],
    ),
    "CUDA too new for the GPU": Case(
        {"gpus": V100},
        toolkit(version="13.0") | {"driver": "none"},
        ["13.0 has dropped V100 (compute capability 7.0)", "the last", "12.9"],
    ),
    "CUDA too old for the GPU": Case(
        {"gpus": L4},
        toolkit(version="11.7", source="runfile"),
        ["11.7 does not know L4 (compute capability 8.9)", "the first", "11.8"],
    ),
    "CUDA too new for the driver": Case(
        {},
        toolkit(version="13.0"),
        ["CUDA 13.0 needs driver 580.65.06 or newer", "this machine's is 535", "cuda_driver_branch"],
    ),
    "the distribution's CUDA too new for the driver": Case(
        {"gpus": ["13f2"]},
        toolkit(source="distribution") | {"driver_branch": "470"},
        ["CUDA 11.8 needs driver 520 or newer", "this machine's is 470"],
    ),
    "CUDA that nobody knows": Case(
        {}, toolkit(version="9.9"), ["CUDA 9.9 is in no table", "8.0, 10.2", "url and sha256"]
    ),
    "no version": Case({}, toolkit(version="eleven"), ["version=eleven is none such as 11.8"]),
    "nothing of a version": Case({}, toolkit(source="nvidia"), ["version=nothing is none such as 11.8"]),
    "CUDA that the distribution has not": Case(
        {},
        toolkit(version="12.9", source="distribution"),
        ["Debian 12's own CUDA toolkit is 11.8, not 12.9", "nvidia or runfile"],
    ),
    "CUDA that NVIDIA's repository has not": Case(
        {},
        toolkit(version="11.8", source="nvidia"),
        ["repository for debian12 has no CUDA 11.8", "set source to runfile"],
    ),
    "a runfile without its checksum": Case(
        {}, toolkit(version="11.4", url="https://x/y.run"), ["only one of url and sha256"]
    ),
    "a runfile for another processor": Case(
        {"gpus": T4G, "machine": "aarch64"},
        toolkit(version="11.8", source="runfile"),
        ["is for x86_64, and this is aarch64"],
    ),
    "a version twice": Case(
        {},
        {"toolkits": [{"version": "11.8"}, {"version": "11.8", "source": "runfile"}]},
        ["names CUDA 11.8 more than once"],
    ),
    "a default that is not to be had": Case(
        {},
        toolkit(version="11.8") | {"default_toolkit": "12.9"},
        ["cuda_default_toolkit=12.9 is not in cuda_toolkits (11.8)"],
    ),
    "a folder where the link belongs": Case(
        {"link": {"folder": True, "dangling": False, "leads_to": "/usr/local/cuda", "managed": False, "known": []}},
        toolkit(version="11.8"),
        ["/usr/local/cuda is a folder", "move it"],
    ),
    "no room": Case(
        {"free": 9000},
        toolkit(version="11.8", source="runfile"),
        ["needed (driver 1500, CUDA 11.8 20400)", "9000 MB are free"],
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_it_refuses(case: Case) -> None:
    plan = Machine(**case.shown).plan(**case.asked)
    (sentence,) = plan["complaints"]
    for words in case.words:
        assert words in sentence
    assert not plan["work"] and not plan["settle"]
