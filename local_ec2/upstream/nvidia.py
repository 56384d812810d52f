"""NVIDIA's apt repositories: the keyring, four drivers with their traps, and CUDA toolkits."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from local_ec2.upstream import debs, driver
from local_ec2.upstream.debs import Key, Package

SOURCES = [Path(debs.__file__), Path(driver.__file__)]

ADDRESS = "https://developer.download.nvidia.com/compute/cuda/repos"
KEY_FILE = "3bf863cc.pub"
KEYRING = "cuda-keyring_1.1-1_all.deb"
DRIVERS = ("580.95.05", "580.105.08", "595.58.03", "615.36.01")
SUFFIXED = "580"  # the last branch whose packages bear its number
EMPTY = "615"  # the branch since which cuda-drivers installs nothing, and says nothing
# Toolkit: its full version, its compiler's, and the name of its runtime library.
TOOLKITS = {
    "11.7": ("11.7.1", "11.7.99", "libcudart.so.11.0"),
    "11.8": ("11.8.0", "11.8.89", "libcudart.so.11.0"),
    "12.4": ("12.4.1", "12.4.131", "libcudart.so.12"),
    "12.9": ("12.9.1", "12.9.86", "libcudart.so.12"),
    "13.0": ("13.0.2", "13.0.88", "libcudart.so.13"),
}


@dataclass(frozen=True)
class System:
    """What differs between the repositories: names of packages, and the toolkits that are there."""

    revision: str
    module: str  # {} is -open or nothing
    libraries: dict[str, tuple[str, ...]]  # package: libraries in it
    support: str
    smi: str
    toolkits: tuple[str, ...]


def _ubuntu(*toolkits: str) -> System:
    libraries = {"libnvidia-compute": ("libcuda.so.1", "libnvidia-ml.so.1")}
    return System("1ubuntu1", "nvidia-dkms{}", libraries, "nvidia-kernel-common", "nvidia-utils", toolkits)


_LIBRARIES = {"libcuda1": ("libcuda.so.1",), "libnvidia-ml1": ("libnvidia-ml.so.1",)}
SYSTEMS = {
    "debian12": System(
        "1", "nvidia-kernel{}-dkms", _LIBRARIES, "nvidia-kernel-support", "nvidia-smi", ("12.4", "12.9", "13.0")
    ),
    "ubuntu2204": _ubuntu("11.7", "11.8", "12.4", "12.9", "13.0"),
    "ubuntu2404": _ubuntu("12.9", "13.0"),
}


def build(
    folder: Path,
    say: Callable[[str], None],
    key: Key | None = None,
    trusted: Key | None = None,
    systems: Iterable[str] = tuple(SYSTEMS),
) -> None:
    """Publish repos/SYSTEM/x86_64/ in `folder`, signed with `key` or with one that is thrown away.

    `trusted` is the key that the machines are given, where that is another one. Raises Refusal.
    """
    with tempfile.TemporaryDirectory() as temporary:
        key = key or Key.make(Path(temporary) / "nvidia", "cudatools")
        for name in systems:
            say(f"upstream stand-ins: NVIDIA's repository {name}")
            repository = folder / "repos" / name / "x86_64"
            given = trusted or key
            packages = [_keyring(name, given), *(package for version in DRIVERS for package in _driver(version, name))]
            packages += [_dkms(), *_pinnings(), *_suffixed(name), *_toolkits(SYSTEMS[name].toolkits)]
            debs.publish_flat(repository, packages, key, "NVIDIA", "NVIDIA CUDA")
            (repository / KEY_FILE).write_bytes(given.public(armored=True))


def keyring_sha256(folder: Path) -> dict[str, str]:
    """The digest of cuda-keyring in each repository that `build` made in `folder`."""
    found = sorted(folder.glob(f"repos/*/x86_64/{KEYRING}"))
    return {file.parts[-3]: hashlib.sha256(file.read_bytes()).hexdigest() for file in found}


def fingerprint(folder: Path) -> str:
    """Of the key that the machines are given, in place of the real one's."""
    return debs.fingerprints(next(folder.glob(f"repos/*/x86_64/{KEY_FILE}")))[0]


def _keyring(name: str, key: Key) -> Package:
    keyring, source = "/usr/share/keyrings/cuda-archive-keyring.gpg", f"/etc/apt/sources.list.d/cuda-{name}-x86_64.list"
    pin = "/etc/apt/preferences.d/cuda-repository-pin-600"
    return Package(
        "cuda-keyring",
        "1.1-1",
        architecture="all",
        files={
            keyring: key.public(armored=False),
            source: f"deb [signed-by={keyring}] {ADDRESS}/{name}/x86_64/ /\n",
            pin: "Package: *\nPin: release l=NVIDIA CUDA\nPin-Priority: 600\n",
        },
        conffiles=(source, pin),
    )


def _pinnings() -> list[Package]:
    """One for each branch and one for each version; apt goes back to that one too, and one takes another's place."""
    name, file = "nvidia-driver-pinning", "/etc/apt/preferences.d/nvidia-driver-pinning"
    packages = "nvidia-* libnvidia-* libcuda1 cuda-drivers*"
    versions = {version.split(".")[0]: ".*" for version in DRIVERS} | {version: "-*" for version in DRIVERS}
    return [
        Package(
            f"{name}-{version}",
            f"{version}-1",
            architecture="all",
            conflicts=name,
            provides=name,
            replaces=name,
            # No conffile: it goes with its package, and the next one's is not asked about.
            files={file: f"Package: {packages}\nPin: version {version}{rest}\nPin-Priority: 1001\n"},
        )
        for version, rest in versions.items()
    ]


def _driver(version: str, name: str) -> list[Package]:
    """Both flavours of a driver. All of one version hangs together, but the front takes a newer driver too."""
    system = SYSTEMS[name]
    revision = f"{version}-{system.revision}"
    userland = [*system.libraries, system.smi, "nvidia-modprobe", "nvidia-persistenced"]
    made = [*_libraries(version, system, revision), *_userland(version, system, revision)]
    for flavour, other, front in (("-open", "", "nvidia-open"), ("", "-open", "cuda-drivers")):
        empty = front == "cuda-drivers" and version.startswith(EMPTY)
        packages = f"nvidia-driver{flavour}"
        made += [
            _module(version, system, revision, flavour, other),
            Package(
                packages,
                revision,
                depends=_same(revision, system.module.format(flavour), *userland),
                conflicts=f"nvidia-driver{other}",
            ),
            Package(front, revision, depends="" if empty else f"{packages} (>= {revision})"),
        ]
    return made


def _same(revision: str, *names: str) -> str:
    return ", ".join(f"{name} (= {revision})" for name in names)


def _module(version: str, system: System, revision: str, flavour: str, other: str) -> Package:
    source = f"/usr/src/nvidia-{version}"
    return Package(
        system.module.format(flavour),
        revision,
        depends=f"dkms (>= 99), kmod, {_same(revision, system.support)}",
        conflicts=system.module.format(other),
        files={
            f"{source}/nvidia.ko": driver.module(version, opened=bool(flavour)),
            f"{source}/dkms.conf": f'PACKAGE_NAME="nvidia"\nPACKAGE_VERSION="{version}"\nAUTOINSTALL="yes"\n',
        },
        postinst="dkms autoinstall",
        prerm=f"[ ! -x /usr/sbin/dkms ] || dkms remove -m nvidia -v {version} --all",
        section="kernel",
    )


def _libraries(version: str, system: System, revision: str) -> list[Package]:
    return [
        Package(name, revision, files=files, links=links, postinst="ldconfig", section="libs")
        for name, sonames in system.libraries.items()
        for files, links in [driver.libraries(version, *sonames)]
    ]


def _userland(version: str, system: System, revision: str) -> list[Package]:
    libraries = _same(revision, *system.libraries)
    blacklist = {"/usr/lib/modprobe.d/nvidia-blacklists-nouveau.conf": "blacklist nouveau\nalias nouveau off\n"}
    return [
        Package(system.support, revision, files=blacklist),
        Package(system.smi, revision, depends=libraries, files={"/usr/bin/nvidia-smi": driver.smi(version)}),
        Package("nvidia-modprobe", revision, files={"/usr/bin/nvidia-modprobe": "#!/bin/sh\n"}),
        Package(
            "nvidia-persistenced",
            revision,
            depends=f"{libraries}, init-system-helpers",
            files={"/usr/bin/nvidia-persistenced": driver.DAEMON, driver.UNIT: driver.unit(enabled=True)},
            postinst=driver.START_DAEMON,
            prerm=driver.STOP_DAEMON,
            postrm=driver.PURGE_DAEMON,
        ),
    ]


def _suffixed(name: str) -> list[Package]:
    """The last names that say which branch they are of, and keep to it."""
    made = []
    for version in (version for version in DRIVERS if version.startswith(SUFFIXED)):
        revision = f"{version}-{SYSTEMS[name].revision}"
        for front, its_driver in (("nvidia-open", "nvidia-driver-open"), ("cuda-drivers", "nvidia-driver")):
            depends = f"{its_driver} (>= {revision}), {its_driver} (<< {int(SUFFIXED) + 1})"
            made.append(Package(f"{front}-{SUFFIXED}", revision, depends=depends))
    return made


def _dkms() -> Package:
    hooks = tuple(f"/etc/kernel/{hook}.d/dkms" for hook in ("postinst", "header_postinst"))
    files = {"/usr/sbin/dkms": driver.DKMS} | dict.fromkeys(hooks, driver.DKMS_HOOK)
    return Package("dkms", "99", architecture="all", depends="kmod", files=files, conffiles=hooks)


def _toolkits(releases: tuple[str, ...]) -> list[Package]:
    made = [package for release in releases for package in _toolkit(release)]
    newest = releases[-1]
    return [*made, Package("cuda", f"{TOOLKITS[newest][0]}-1", depends=f"cuda-{newest.replace('.', '-')}")]


def _toolkit(release: str) -> list[Package]:
    full, compiler, runtime = TOOLKITS[release]
    major, dashed, home = release.split(".")[0], release.replace(".", "-"), f"/usr/local/cuda-{release}"
    target = f"{home}/targets/x86_64-linux"
    priority = release.replace(".", "")
    links = {"/usr/local/cuda": "cuda", f"/usr/local/cuda-{major}": f"cuda-{major}"}
    add = [f"update-alternatives --install {link} {name} {home} {priority}" for link, name in links.items()]
    drop = [f"update-alternatives --remove {name} {home}" for name in links.values()]
    told = {"cuda": ("CUDA SDK", full), "cuda_nvcc": ("CUDA NVCC", compiler)}
    parts = {
        f"cuda-toolkit-{dashed}-config-common": full,
        f"cuda-nvcc-{dashed}": compiler,
        f"cuda-cudart-dev-{dashed}": full,
    }

    def package(title: str, version: str, **fields: object) -> Package:
        return Package(title, f"{version}-1", section="devel", **fields)  # type: ignore[arg-type]

    return [
        package(
            f"cuda-toolkit-{major}-config-common",
            f"{major}.0",
            files={f"/etc/ld.so.conf.d/988_cuda-{major}.conf": f"/usr/local/cuda-{major}/targets/x86_64-linux/lib\n"},
            postinst="ldconfig",
        ),
        package(
            f"cuda-toolkit-{dashed}-config-common",
            full,
            depends=f"cuda-toolkit-{major}-config-common",
            postinst="\n".join([*add, "ldconfig"]),
            prerm="\n".join(['[ "$1" = remove ] || exit 0', *drop]),
        ),
        package(f"cuda-nvcc-{dashed}", compiler, files={f"{home}/bin/nvcc": nvcc(release, compiler)}),
        package(
            f"cuda-cudart-{dashed}",
            full,
            depends=f"cuda-toolkit-{dashed}-config-common",
            files={f"{target}/lib/{runtime}": debs.shared_object(runtime)},
            links={f"{home}/lib64": "targets/x86_64-linux/lib", f"{home}/include": "targets/x86_64-linux/include"},
        ),
        package(
            f"cuda-cudart-dev-{dashed}",
            full,
            depends=f"cuda-cudart-{dashed} (= {full}-1)",
            files={f"{target}/include/cuda_runtime.h": "/* stand-in */\n"},
            links={f"{target}/lib/libcudart.so": runtime},
        ),
        package(
            f"cuda-toolkit-{dashed}",
            full,
            depends=", ".join(f"{part} (>= {version}-1)" for part, version in parts.items()),
            files={
                f"{home}/version.json": json.dumps(
                    {key: dict(zip(("name", "version"), pair, strict=True)) for key, pair in told.items()}
                )
            },
        ),
        package(f"cuda-{dashed}", full, depends=f"cuda-toolkit-{dashed} (>= {full}-1), cuda-drivers"),
    ]


def nvcc(release: str, version: str) -> str:
    """A compiler that tells its version, and compiles nothing."""
    return f"""#!/bin/sh
cat <<end
nvcc: NVIDIA (R) Cuda compiler driver
Copyright (c) 2005-2025 NVIDIA Corporation
Built on Wed_Aug_20_01:58:59_PM_PDT_2025
Cuda compilation tools, release {release}, V{version}
Build cuda_{release}.r{release}/compiler.0_0
end
"""
