# `conda activate` and `conda deactivate` for the shell that sources this file.
_CONDA_EXE='@PREFIX@/bin/conda'

conda() {
    case "${1-}" in
        activate) _conda_leave && _conda_enter "${2-base}" ;;
        deactivate) _conda_leave ;;
        *) "$_CONDA_EXE" "$@" ;;
    esac
}

_conda_enter() {
    case "$1" in
        base) set -- '@PREFIX@' ;;
        */*) ;;
        *) set -- "$("$_CONDA_EXE" env list | awk -v name="$1" '$1 == name { print $2 }')" "$1" ;;
    esac
    if [ ! -f "$1/conda-meta/history" ]; then
        echo "EnvironmentNameNotFound: no environment ${2-$1}" >&2
        return 1
    fi
    _CONDA_OUTER_PATH=$PATH
    PATH="$1/bin:$PATH"
    CONDA_PREFIX=$1
    CONDA_DEFAULT_ENV=$(basename "$1")
    export PATH CONDA_PREFIX CONDA_DEFAULT_ENV
}

_conda_leave() {
    [ -n "${_CONDA_OUTER_PATH-}" ] || return 0
    PATH=$_CONDA_OUTER_PATH
    unset _CONDA_OUTER_PATH CONDA_PREFIX CONDA_DEFAULT_ENV
}
