"""What a driver is made of, whoever packs it: nvidia-smi, the persistence daemon, libraries, the kernel's module."""

from local_ec2.upstream.debs import kernel_module, shared_object

LIBRARIES = "/usr/lib/x86_64-linux-gnu"
UNIT = "/usr/lib/systemd/system/nvidia-persistenced.service"

_SMI = r"""#!/bin/sh
# Stand-in for nvidia-smi -L of the driver @VERSION@.
loaded=$(grep -m 1 '^NVRM' /proc/driver/nvidia/version 2>/dev/null | grep -oE '[0-9]+([.][0-9]+){1,2}' | head -n 1)
if [ -z "$loaded" ]; then
    echo "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver." \
        "Make sure that the latest NVIDIA driver is installed and running."
    exit 9
elif [ "$loaded" != "@VERSION@" ]; then
    echo "Failed to initialize NVML: Driver/library version mismatch"
    exit 18
fi
count=0
for device in /sys/bus/pci/devices/*; do
    [ "$(cat "$device/vendor" 2>/dev/null)" = 0x10de ] || continue
    case $(cat "$device/class") in 0x0300* | 0x0302*) ;; *) continue ;; esac
    model=$(cat "$device/device")
    case $model in
    0x102d) name="Tesla K80" ;;
    0x13f2) name="Tesla M60" ;;
    0x1db1) name="Tesla V100-SXM2-16GB" ;;
    0x1eb8) name="Tesla T4" ;;
    0x20b0) name="NVIDIA A100-SXM4-40GB" ;;
    0x2237) name="NVIDIA A10G" ;;
    0x26b9) name="NVIDIA L40S" ;;
    0x27b8) name="NVIDIA L4" ;;
    0x2330) name="NVIDIA H100 80GB HBM3" ;;
    *) name="NVIDIA Device $model" ;;
    esac
    uuid=$(echo "${device##*/}" | md5sum | sed -E 's/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/\1-\2-\3-\4-\5/')
    echo "GPU $count: $name (UUID: GPU-$uuid)"
    count=$((count + 1))
done
[ "$count" -gt 0 ] || { echo "No devices were found" && exit 6; }
"""

DAEMON = """#!/bin/sh
# Stand-in: like the real one it ends at once where no driver is loaded.
[ -e /proc/driver/nvidia/version ] || { echo "nvidia-persistenced failed to initialize." >&2 && exit 1; }
exec sleep infinity
"""

_UNIT = """[Unit]
Description=NVIDIA Persistence Daemon

[Service]
Type=simple
ExecStart=/usr/bin/nvidia-persistenced
"""

START_DAEMON = """if [ "$1" = configure ]; then
    deb-systemd-helper enable nvidia-persistenced.service >/dev/null || true
    if [ -d /run/systemd/system ]; then
        systemctl --system daemon-reload || true
        deb-systemd-invoke start nvidia-persistenced.service >/dev/null || true
    fi
fi"""
STOP_DAEMON = """if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    deb-systemd-invoke stop nvidia-persistenced.service || true
fi"""
PURGE_DAEMON = """if [ "$1" = purge ] && command -v deb-systemd-helper >/dev/null; then
    deb-systemd-helper purge nvidia-persistenced.service >/dev/null || true
fi"""

# The module comes ready-made in /usr/src/nvidia-VERSION, and to build it is to copy it.
DKMS = r"""#!/bin/sh
# Stand-in for DKMS: autoinstall [-k KERNEL], remove [-m nvidia] [-v VERSION] [-k KERNEL] [--all], status.
set -eu
command=${1:-} only='*' version='*'
while [ $# -gt 0 ]; do
    case $1 in
    -k) only=$2 && shift ;;
    -v) version=$2 && shift ;;
    esac
    shift
done
PATH=$PATH:/usr/sbin:/sbin

index() {
    if [ -d "/lib/modules/$1" ] && command -v depmod >/dev/null; then depmod -a "$1"; fi
}
headers() {
    [ -d "/usr/src/linux-headers-$1" ] || [ -e "/lib/modules/$1/build" ]
}
install() {
    [ -d "/lib/modules/$2" ] && headers "$2" || return 0
    mkdir -p "/lib/modules/$2/updates/dkms" "/var/lib/dkms/nvidia/$1/$2/x86_64"
    cp "/usr/src/nvidia-$1/nvidia.ko" "/lib/modules/$2/updates/dkms/"
    index "$2"
    echo "nvidia/$1, $2, x86_64: installed"
}

case $command in
autoinstall)
    if [ "$only" != '*' ] && ! headers "$only"; then
        echo "Error! Your kernel headers for kernel $only cannot be found at /lib/modules/$only/build." >&2
        exit 21
    fi
    for source in /usr/src/nvidia-*/nvidia.ko; do
        [ -e "$source" ] || continue
        source=${source%/*}
        for kernel in /lib/modules/$only; do
            install "${source##*-}" "${kernel##*/}"
        done
    done
    ;;
remove | status)
    for made in /var/lib/dkms/nvidia/$version/$only/x86_64; do
        [ -d "$made" ] || continue
        made=${made%/x86_64}
        of=${made%/*}
        if [ "$command" = status ]; then
            echo "nvidia/${of##*/}, ${made##*/}, x86_64: installed"
        else
            rm -rf "$made" "/lib/modules/${made##*/}/updates/dkms/nvidia.ko"
            rmdir "$of" 2>/dev/null || true
            index "${made##*/}"
        fi
    done
    ;;
*)
    echo "Error! Unknown action specified: \"$command\"" >&2
    exit 1
    ;;
esac
"""

# What the kernel's packages run; without headers there is nothing to build yet.
DKMS_HOOK = """#!/bin/sh
[ -e "/lib/modules/$1/build" ] || [ -d "/usr/src/linux-headers-$1" ] || exit 0
[ ! -x /usr/sbin/dkms ] || dkms autoinstall -k "$1"
"""


def smi(version: str) -> str:
    """The script nvidia-smi of a driver: it tells of the GPUs on the bus if the kernel has loaded that very version."""
    return _SMI.replace("@VERSION@", version)


def unit(enabled: bool) -> str:
    """The daemon's unit. NVIDIA's is enabled at boot; Ubuntu's is static, and waits for udev to start it."""
    return _UNIT + ("\n[Install]\nWantedBy=multi-user.target\n" if enabled else "")


def libraries(version: str, *names: str) -> tuple[dict[str, bytes], dict[str, str]]:
    """Files and links of libraries such as libcuda.so.1, which hold nothing but their names."""
    real = {name: f"{name.removesuffix('.1')}.{version}" for name in names}
    files = {f"{LIBRARIES}/{file}": shared_object(name) for name, file in real.items()}
    return files, {f"{LIBRARIES}/{name}": file for name, file in real.items()}


def module(version: str, opened: bool, kernel: str = "any") -> bytes:
    """nvidia.ko as modinfo sees it."""
    return kernel_module(
        "nvidia", version, "Dual MIT/GPL" if opened else "NVIDIA", f"{kernel} SMP mod_unload modversions"
    )
