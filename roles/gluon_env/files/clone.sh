# clone.sh REPOSITORY VERSION DIRECTORY: one commit, without its history. The checkout gets its name when it is whole;
# an interrupted one is continued.
set -eu
part="$(dirname "$3")/.$(basename "$3").part"
git() { command git -C "$part" -c http.lowSpeedLimit=1000 -c http.lowSpeedTime=60 "$@"; }
mkdir -p "$part"
git init -q
rm -f "$part/.git/index.lock" "$part/.git/shallow.lock"
git config remote.origin.url "$1"
git config remote.origin.fetch '+refs/heads/*:refs/remotes/origin/*'
commit=FETCH_HEAD
if ! git fetch -q --depth 1 origin "$2" 2> "$part/.git/refusal"; then
    cat "$part/.git/refusal" >&2
    # Some servers hand out branches and tags only: then all of them, and the commit out of those.
    grep -q -e 'not our ref' -e unadvertised "$part/.git/refusal"
    git fetch -q --tags origin
    commit=$2
fi
rm -f "$part/.git/refusal"
# What Jupyter keeps beside each notebook is no change of the tutorial.
echo .ipynb_checkpoints/ > "$part/.git/info/exclude"
git checkout -q -f -B notebooks "$commit" --
mv -T "$part" "$3"
