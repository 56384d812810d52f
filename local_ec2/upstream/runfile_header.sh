#!/bin/sh
#
# @FILE@ (a stand-in for trying things out; not made by NVIDIA)
#
# Flags and failures are those of NVIDIA's runfiles. KIND is perl (before 10.1), binary (from then on) or patch (of
# the old ones). Under CUDA_STANDIN_ROOT lies what it writes outside of the folders that it is given.
set -eu
KIND='@KIND@'
RELEASE='@RELEASE@'
FULL='@FULL@'
DRIVER='@DRIVER@'

root="${CUDA_STANDIN_ROOT:-}"
record="${CUDA_STANDIN_LOG:-$root/var/log/cuda-runfile-standin.jsonl}"
setting="$root/etc/cuda-runfile-standin.conf"
fault="${CUDA_STANDIN_FAULT:-}"
if [ -z "$fault" ] && [ -r "$setting" ]; then
    fault=$(sed -n 's/^CUDA_STANDIN_FAULT=//p' "$setting")
fi
temporary="${TMPDIR:-/tmp}"
log="$root/tmp/cuda_install_$$.log"
[ "$KIND" != binary ] || log="$root/var/log/cuda-installer.log"

quoted() {
    printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"
}

# One line of JSON for each call, whatever comes of it.
record() {
    line=
    for word in "$@"; do line="$line${line:+, }$(quoted "$word")"; done
    printf '{"file": %s, "argv": [%s], "TMPDIR": %s, "PERL5LIB": %s, "LC_ALL": %s, "DISPLAY": %s}\n' \
        "$(quoted '@FILE@')" "$line" "$(quoted "${TMPDIR:-}")" "$(quoted "${PERL5LIB:-}")" \
        "$(quoted "${LC_ALL:-}")" "$(quoted "${DISPLAY:-}")" >> "$record"
}

payload() {
    tail -n +@LINES@ "$0"
}

mkdir -p "${log%/*}" "${record%/*}"
say() {
    printf '%s\n' "$1" | tee -a "$log"
}

fail() {
    say "$1"
    [ "$KIND" != binary ] || say "[ERROR]: Install of $FULL failed, quitting"
    exit 1
}

unknown() {
    printf 'unknown option: %s\n' "$1" >&2
    exit 1
}

record "$@"
if [ "${1:-}" = --tar ]; then
    [ "$KIND" != binary ] || unknown --tar
    flags="$2"
    shift 2
    payload | tar "$flags" - "$@"
    exit
fi

silent=0 toolkit=0 driver=0 accepted=0 target=
for argument in "$@"; do
    value="${argument#*=}"
    case "$KIND $argument" in
        *' --silent') silent=1 ;;
        'patch --accept-eula') accepted=1 ;;
        'patch --installdir='*) target="$value" ;;
        'patch '*) unknown "$argument" ;;
        *' --toolkit') toolkit=1 ;;
        *' --driver') driver=1 ;;
        *' --toolkitpath='* | 'binary --installpath='*) target="$value" ;;
        *' --tmpdir='*) temporary="$value" ;;
        *' --override' | *' --no-opengl-libs' | *' --no-drm' | *' --samples' | *' --samplespath='*) ;;
        'perl --verbose' | 'binary --no-man-page' | 'binary --librarypath='* | 'binary -m=kernel-open') ;;
        *) unknown "$argument" ;;
    esac
done

if [ "$silent" = 0 ]; then
    printf 'End User License Agreement\n\nDo you accept the above EULA? (accept/decline/quit): '
    answer=
    read -r answer || true
    [ "$answer" = accept ] || fail 'ERROR: the EULA was not accepted'
fi
if [ "$KIND" = perl ]; then
    if [ ! -f "${PERL5LIB:-/nowhere}/InstallUtils.pm" ]; then
        printf "Can't locate InstallUtils.pm in @INC (@INC contains: %s /usr/share/perl) at ./install-linux.pl line 6.\n" \
            "${PERL5LIB:-}" >&2
        exit 2
    fi
    [ "$toolkit$driver" != 00 ] || fail 'ERROR: --silent needs at least one of --driver, --toolkit, --samples'
fi
if [ "$KIND" = binary ]; then
    for folder in "$temporary" "$root/tmp"; do
        [ ! -e "$folder/cuda-installer.log" ] || kill -SEGV $$
    done
    [ "$toolkit" = 1 ] || driver=1
    rm -f "$log"
fi
if [ "$KIND" = patch ]; then
    [ "$accepted" = 1 ] || fail 'ERROR: the EULA was not accepted; use --accept-eula'
    [ -x "$target/bin/nvcc" ] || fail "ERROR: there is no CUDA $RELEASE in $target"
fi
if [ "$driver" = 1 ]; then
    printf '%s\n' "$DRIVER" >> "$record.driver"
    say "Driver $DRIVER installed (in this stand-in: a line in $record.driver)"
    [ "$toolkit" = 1 ] || exit 0
fi
target="${target:-/usr/local/cuda-$RELEASE}"

# A small disk is really filled; a large one is only said to be full.
fill() {
    if [ "$(df -Pk "$temporary" | awk 'NR == 2 { print int($4 / 1024) }')" -lt 64 ]; then
        cat /dev/zero > "$temporary/cuda_fill" || true
    fi
    fail "ERROR: write to $temporary: No space left on device"
}

[ "$fault" != segv ] || kill -SEGV $$
unpacked=$(mktemp -d "$temporary/cuda_unpacked.XXXXXX")
[ "$fault" != full ] || fill
payload | tar xf - -C "$unpacked" --no-same-owner -p || fail 'ERROR: the payload could not be unpacked'
mkdir -p "$target" || fail "ERROR: could not create $target"
[ "$KIND" != binary ] || say "[INFO]: Installing: toolkit $FULL"

files=$(cd "$unpacked/toolkit" && find . ! -type d | sort)
half=$(($(printf '%s\n' "$files" | wc -l) / 2))
count=0
for file in $files; do
    count=$((count + 1))
    if [ "$count" -gt "$half" ]; then
        [ "$fault" != half ] || fail "ERROR: could not copy $file"
        if [ "$fault" = kill ]; then
            fault=
            : > "$record.halfway"
            # A minute, or until somebody removes the mark.
            for _ in $(seq 300); do [ ! -e "$record.halfway" ] || sleep 0.2; done
        fi
    fi
    mkdir -p "$target/${file%/*}"
    cp -a "$unpacked/toolkit/$file" "$target/$file" || fail "ERROR: could not copy $file to $target"
done
rm -rf "$unpacked"
if [ "$KIND" = binary ]; then
    mkdir -p "$root/etc/ld.so.conf.d"
    printf '%s/targets/x86_64-linux/lib\n' "$target" > "$root/etc/ld.so.conf.d/cuda-$(printf '%s' "$RELEASE" | tr . -).conf"
fi
say "Installed CUDA $FULL in $target"
exit 0
@@END_HEADER@@
