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
# Not every server hands out a commit by its number: then everything, and the commit out of that.
git fetch -q --depth 1 origin "$2" || { git fetch -q --tags origin && git fetch -q origin "$2"; } || git rev-parse -q --verify "$2^{commit}" > "$part/.git/FETCH_HEAD"
# What Jupyter keeps beside each notebook is no change of the tutorial.
echo .ipynb_checkpoints/ > "$part/.git/info/exclude"
git checkout -q -f -B notebooks FETCH_HEAD
mv -T "$part" "$3"
