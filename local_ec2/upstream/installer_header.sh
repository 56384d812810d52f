#!/bin/sh
#
# NAME:  @NAME@ (a stand-in for trying things out; made neither by Anaconda nor by conda-forge)
# VER:   @VERSION@
#
# Flags and exit statuses are those of Miniconda's installer. It breaks off in the middle if INSTALLER_FAULT is half.
set -eu
unset LD_LIBRARY_PATH CONDARC

die() {
    printf 'ERROR: %s\n' "$1" >&2
    exit 1
}

usage() {
    cat <<EOT
usage: $0 [options]

-b           run without questions; the licence counts as accepted
-f           no error if the prefix exists
-h           print this help and exit
-p PREFIX    where to install, $PREFIX by default
-u           update an existing installation
-c, -i, -k, -m, -s, -t    accepted, and without effect here
EOT
}

case "$0" in
    *.sh) ;;
    *) die 'the name of the installer has to end in .sh' ;;
esac

PREFIX="${HOME:-/opt}/miniconda3"
BATCH=0
FORCE=0
while getopts "bcfhikmp:stu" flag; do
    case "$flag" in
        b) BATCH=1 ;;
        f | u) FORCE=1 ;;
        h) usage; exit 2 ;;
        p) PREFIX="$OPTARG" ;;
        c | i | k | m | s | t) ;;
        *) usage >&2; exit 1 ;;
    esac
done

if [ "$BATCH" = 0 ]; then
    printf 'This is a stand-in for @NAME@, under the MIT license of the project it is part of.\n'
    printf 'Do you accept the license terms? [yes|no]\n>>> '
    answer=
    read -r answer || true
    case "$answer" in
        yes | YES | Yes) ;;
        *) printf 'The license was not accepted; nothing is installed.\n'; exit 2 ;;
    esac
fi

case "$PREFIX" in
    *' '*) die "no spaces in the prefix, please: $PREFIX" ;;
    /*) ;;
    *) PREFIX="$PWD/$PREFIX" ;;
esac
if [ "$FORCE" = 0 ] && [ -e "$PREFIX" ]; then
    die "File or directory already exists: '$PREFIX'. To update it, use the -u option."
fi
[ -x '@PYTHON@' ] || die 'this stand-in needs @PYTHON@ (Debian 12)'
mkdir -p "$PREFIX"
free=$(df -Pk "$PREFIX" | awk 'NR == 2 { print int($4 / 1024) }')
[ "$free" -ge @SIZE_MB@ ] || die "not enough disk space: @SIZE_MB@ MB needed, $free MB free"

PREFIX=$(cd "$PREFIX" && pwd)
printf 'PREFIX=%s\n' "$PREFIX"
unpacked=$(mktemp -d "$PREFIX/.unpacked.XXXXXX")
trap 'rm -rf "$unpacked"' EXIT
tail -n +@LINES@ "$0" | tar xf - -C "$unpacked" --no-same-owner || die 'the installer is damaged; fetch it again'

'@PYTHON@' -m venv --without-pip "$PREFIX"
site="$PREFIX/lib/python3.11/site-packages"
for wheel in "$unpacked"/wheels/*.whl; do
    '@PYTHON@' -m zipfile -e "$wheel" "$site"
done
if [ "${INSTALLER_FAULT-}" = half ]; then
    die 'the payload cannot be read'
fi
rm -rf "$site/conda_standin"
cp -r "$unpacked/conda_standin" "$site/"
mkdir -p "$PREFIX/condabin" "$PREFIX/conda-meta" "$PREFIX/envs" "$PREFIX/pkgs" "$PREFIX/etc/profile.d"
rm -f "$PREFIX"/conda-meta/conda-*.json
cp "$unpacked"/conda-meta/*.json "$PREFIX/conda-meta/"
printf 'channels:\n  - @CHANNEL@\n' > "$PREFIX/.condarc"
for script in bin/conda bin/activate etc/profile.d/conda.sh; do
    sed "s|@""PREFIX@|$PREFIX|g" "$site/conda_standin/shell/${script##*/}" > "$PREFIX/$script"
done
chmod 755 "$PREFIX/bin/conda"
ln -sf ../bin/conda "$PREFIX/condabin/conda"
# Last: this file is what makes a folder an environment.
touch "$PREFIX/conda-meta/history"
printf 'installation finished.\n'
exit 0
@@END_HEADER@@
