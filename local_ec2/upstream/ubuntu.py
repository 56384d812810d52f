"""The part of Ubuntu's archive that holds the kernel for EC2, NVIDIA's drivers made for it, and the CUDA toolkit."""

import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from local_ec2.upstream import debs, driver, nvidia
from local_ec2.upstream.debs import Key, Package

SOURCES = [Path(module.__file__) for module in (debs, driver, nvidia)]

KEYRING = "ubuntu-archive-keyring.gpg"
RELEASES = {"jammy": "22.04", "noble": "24.04"}
DRIVERS = {470: "470.256.02", 535: "535.274.02", 580: "580.95.05"}
OPEN = 515  # the branch with which the open modules begin
TRANSITIONAL = {550: 580, 570: 580}
# The version of nvidia-cuda-toolkit, its compiler's, and its runtime library.
TOOLKITS = {
    "jammy": ("11.5.1-1ubuntu1", "11.5.119", "libcudart.so.11.0"),
    "noble": ("12.0.140~12.0.1-4build4", "12.0.140", "libcudart.so.12"),
}


def build(
    folder: Path,
    say: Callable[[str], None],
    kernels: Sequence[str] = (),
    key: Key | None = None,
    drivers: Mapping[int, str] = DRIVERS,
    suites: Iterable[str] = tuple(RELEASES),
) -> None:
    """Publish the suites in `folder`, signed with `key` or with one that is thrown away; the public key is beside them.

    `kernels` are releases, the oldest first, without them the one that runs here. The metapackages lead to the last
    one; a later state of the archive is published by calling again with more of them, or with newer drivers.
    Raises Refusal, and ValueError for kernels that are not in order.
    """
    with tempfile.TemporaryDirectory() as temporary:
        key = key or Key.make(Path(temporary) / "ubuntu", "Ubuntu Archive")
        for suite in suites:
            say(f"upstream stand-ins: Ubuntu's archive {suite}")
            made = components(suite, kernels or [os.uname().release], drivers)
            debs.publish_suite(folder, suite, made, key, "Ubuntu")
        (folder / KEYRING).write_bytes(key.public(armored=False))


def components(suite: str, kernels: Sequence[str], drivers: Mapping[int, str] = DRIVERS) -> dict[str, list[Package]]:
    """What is in main, restricted and multiverse of a suite."""
    if list(kernels) != sorted(kernels, key=lambda kernel: [int(number) for number in re.findall(r"\d+", kernel)]):
        raise ValueError(f"{', '.join(kernels)}: the newest kernel comes last, or apt would not go on to it")
    main = [*_metas(kernels), *(package for kernel in kernels for package in _kernel(kernel))]
    restricted, multiverse = [], [_toolkit(suite)]
    for branch, version in drivers.items():
        revision = f"{version}-0ubuntu0.{RELEASES[suite]}.1"
        restricted += _libraries(branch, version, revision)
        multiverse.append(_utils(branch, version, revision))
        for flavour in ("", "-open") if branch >= OPEN else ("",):
            restricted += _modules(branch, version, flavour, kernels)
            multiverse.append(_headless(branch, revision, flavour))
    for old, new in TRANSITIONAL.items():
        restricted += _transitional(old, new, kernels[-1], f"{drivers[new]}-0ubuntu0.{RELEASES[suite]}.1")
    return {"main": main, "restricted": restricted, "multiverse": multiverse}


def kernel_version(kernel: str) -> str:
    """The version of a kernel's packages: the numbers of its release, 6.8.0-1021 of 6.8.0-1021-aws."""
    first, *rest = re.findall(r"[\d.]*\d", kernel)
    return "-".join([first, *rest]) if rest else f"{first}-1"


def _metas(kernels: Sequence[str]) -> list[Package]:
    """linux-aws and its like; each state of the archive has one kernel that they lead to."""
    newest = kernels[-1]
    version = kernel_version(newest).replace("-", ".")
    both = [f"linux-{part}-aws (= {version})" for part in ("image", "headers")]
    return [
        *(
            Package(f"linux-{part}-aws", version, depends=f"linux-{part}-{newest}", section="kernel")
            for part in ("image", "headers")
        ),
        Package("linux-aws", version, depends=", ".join(both), section="kernel"),
    ]


def _kernel(kernel: str) -> list[Package]:
    version, modules = kernel_version(kernel), f"/lib/modules/{kernel}"
    index = f"if command -v depmod >/dev/null; then depmod -a {kernel}; fi"
    hooks = f"if [ -d /etc/kernel/header_postinst.d ]; then run-parts --arg={kernel} /etc/kernel/header_postinst.d; fi"
    lists = ("modules.order", "modules.builtin", "modules.builtin.modinfo")
    return [
        Package(
            f"linux-image-{kernel}",
            version,
            depends="kmod",
            files={f"/boot/vmlinuz-{kernel}": "stand-in\n"} | {f"{modules}/{name}": "" for name in lists},
            postinst=index,
            section="kernel",
        ),
        Package(
            f"linux-headers-{kernel}",
            version,
            files={f"/usr/src/linux-headers-{kernel}/Makefile": "# stand-in\n"},
            links={f"{modules}/build": f"/usr/src/linux-headers-{kernel}"},
            postinst=hooks,
            section="devel",
        ),
    ]


def _modules(branch: int, version: str, flavour: str, kernels: Sequence[str]) -> list[Package]:
    """The module for each kernel, and the metapackage that follows the newest one; only these userlands go with it."""
    name = f"linux-modules-nvidia-{branch}-server{flavour}"
    common = f"nvidia-kernel-common-{branch}-server"
    userland = f"{common} (<= {version}-1), {common} (>= {version})"
    # A new driver for an old kernel comes as another build of the same package.
    builds = {kernel: f"{kernel_version(kernel)}+{version}" for kernel in kernels}
    made = [
        Package(
            f"{name}-{kernel}",
            builds[kernel],
            depends=f"linux-image-{kernel}, {userland}",
            files={
                f"/lib/modules/{kernel}/kernel/nvidia-{branch}srv{flavour}/nvidia.ko": driver.module(
                    version, opened=bool(flavour), kernel=kernel
                )
            },
            postinst=f"depmod -a {kernel}",
            postrm=f"[ ! -d /lib/modules/{kernel} ] || depmod -a {kernel} || true",
            section="kernel",
        )
        for kernel in kernels
    ]
    newest = kernels[-1]
    meta = Package(
        f"{name}-aws",
        builds[newest],
        depends=f"{name}-{newest} (= {builds[newest]}), {userland}",
        section="kernel",
    )
    return [*made, meta]


def _userland(name: str, branch: int, revision: str, flavour: str = "", **fields: object) -> Package:
    """A package of a branch, which cannot be there together with that of another branch."""
    kind = {"conflicts": name, "provides": name, "replaces": name}
    return Package(f"{name}-{branch}-server{flavour}", revision, **kind, **fields)  # type: ignore[arg-type]


def _libraries(branch: int, version: str, revision: str) -> list[Package]:
    files, links = driver.libraries(version, "libcuda.so.1", "libnvidia-ml.so.1")
    daemon = {"/usr/bin/nvidia-persistenced": driver.DAEMON, driver.UNIT: driver.unit(enabled=False)}
    blacklist = {"/usr/lib/modprobe.d/nvidia-kernel-common.conf": "blacklist nouveau\nalias nouveau off\n"}
    compute = f"libnvidia-compute-{branch}-server"
    return [
        _userland("libnvidia-compute", branch, revision, files=files, links=links, postinst="ldconfig", section="libs"),
        _userland("nvidia-compute-utils", branch, revision, depends=compute, files=daemon),
        _userland("nvidia-kernel-common", branch, revision, files=blacklist),
    ]


def _utils(branch: int, version: str, revision: str) -> Package:
    depends, files = f"libnvidia-compute-{branch}-server", {"/usr/bin/nvidia-smi": driver.smi(version)}
    return _userland("nvidia-utils", branch, revision, depends=depends, files=files)


def _headless(branch: int, revision: str, flavour: str) -> Package:
    parts = ("libnvidia-compute", "nvidia-compute-utils", "nvidia-kernel-common")
    depends = ", ".join(f"{part}-{branch}-server (= {revision})" for part in parts)
    return _userland("nvidia-headless-no-dkms", branch, revision, flavour, depends=depends)


def _transitional(old: int, new: int, kernel: str, revision: str) -> list[Package]:
    """The names of branches that ended, which lead to one that goes on."""
    modules = f"{kernel_version(kernel)}+{revision}"
    names = {"nvidia-utils-{}-server": revision}
    for flavour in ("", "-open"):
        names[f"linux-modules-nvidia-{{}}-server{flavour}-aws"] = modules
        names[f"nvidia-headless-no-dkms-{{}}-server{flavour}"] = revision
    return [
        Package(name.format(old), version, depends=name.format(new), description="transitional stand-in for tests")
        for name, version in names.items()
    ]


def _toolkit(suite: str) -> Package:
    revision, compiler, runtime = TOOLKITS[suite]
    version, release = re.split(r"[~-]", revision)[0], ".".join(compiler.split(".")[:2])
    home = "/usr/lib/cuda"
    return Package(
        "nvidia-cuda-toolkit",
        revision,
        files={
            "/usr/lib/nvidia-cuda-toolkit/bin/nvcc": nvidia.nvcc(release, compiler),
            f"{home}/version.txt": f"CUDA Version {version}\n",
            f"{driver.LIBRARIES}/{runtime}": debs.shared_object(runtime),
            "/usr/include/cuda_runtime.h": "/* stand-in */\n",
        },
        links={
            "/usr/bin/nvcc": "../lib/nvidia-cuda-toolkit/bin/nvcc",
            f"{home}/bin": "../nvidia-cuda-toolkit/bin",
            f"{home}/include": "../../include",
            f"{home}/lib64": "../x86_64-linux-gnu",
            f"{driver.LIBRARIES}/libcudart.so": runtime,
        },
        postinst="ldconfig",
        section="devel",
    )
