# shellcheck shell=sh
# scrub.sh PATTERN...: take out of this machine what must not be in an image of it, and power it off.
#
# The patterns are further secrets to remove, with the shell's wildcards. Nothing is touched when a credential of the user's
# is found that no pattern names: it exits 3 and names them. Secrets are overwritten, since an image is made of a disk's blocks.
set -eu
umask 077
# Paths may have spaces; lists of them are lines.
IFS='
'

homes=$(getent passwd | awk -F: '$3 == 0 || ($3 >= 1000 && $3 < 65534) {print $6}' | sort -u)

# shred_all PATH...: overwrite and unlink files, and those in folders; what is not there is no error.
shred_all() {
    for path in "$@"; do
        [ ! -L "$path" ] || rm -f -- "$path"
        [ -e "$path" ] || continue
        find "$path" -xdev -type f -exec shred -n 1 -u -- {} +
        rm -rf --one-file-system -- "$path"
    done
}

# empty FOLDER...: what is in them goes, they stay.
empty() {
    for folder in "$@"; do
        [ ! -d "$folder" ] || find "$folder" -xdev -mindepth 1 -delete 2>/dev/null || true
    done
}

found=
for home in $homes; do
    for path in "$home"/.aws/credentials "$home"/.aws/sso/cache/* "$home"/.ssh/id_* "$home"/.netrc "$home"/.git-credentials \
        "$home"/.config/gcloud "$home"/.config/gh/hosts.yml "$home"/.docker/config.json "$home"/.kaggle/kaggle.json \
        "$home"/.cache/huggingface/token "$home"/.pypirc; do
        case $path in *.pub) continue ;; esac
        [ -e "$path" ] || continue
        named=
        for pattern in "$@"; do
            # shellcheck disable=SC2254 # a pattern is meant as one
            case $path in $pattern | $pattern/*) named=yes ;; esac
        done
        [ -n "$named" ] || found="$found $path"
    done
done
[ -z "$found" ] || { echo "$found" >&2; exit 3; }

# From here on the next boot makes this machine anew, wherever the rest is interrupted.
[ ! -d /var/lib/cloud ] || find /var/lib/cloud -xdev -mindepth 1 -maxdepth 1 ! -name seed -exec rm -rf {} +

# Shells that are killed write no history; the one that runs this has no terminal, or keeps it.
own=$(ps -o tty= -p $$ | tr -d ' ')
ps -eo pid=,tty= | while read -r pid tty; do
    case $tty in "$own" | '?') ;; pts/* | tty[0-9]*) kill -KILL "$pid" 2>/dev/null || true ;; esac
done

for home in $homes; do
    [ -d "$home" ] || continue
    shred_all "$home"/.ssh/authorized_keys* "$home"/.ssh/known_hosts* "$home"/.*_history "$home"/.ipython/profile_*/history.sqlite* \
        "$home"/.lesshst "$home"/.viminfo "$home"/.wget-hsts "$home"/.cache
done
for pattern in "$@"; do
    # shellcheck disable=SC2086 # a pattern is meant as one
    shred_all $pattern
done

empty /var/lib/apt/lists /var/cache/apt /var/lib/dhcp /var/lib/dhcpcd
rm -f /var/lib/NetworkManager/*.lease
find /var/log -xdev -type f -delete
# It saves another seed when it is stopped.
systemctl stop systemd-random-seed.service 2>/dev/null || true
rm -f /var/lib/systemd/random-seed /var/lib/systemd/credential.secret
[ -L /var/lib/dbus/machine-id ] || rm -f /var/lib/dbus/machine-id
# Empty, not absent: that would be a first boot, for which systemd enables units anew.
: >/etc/machine-id
chmod 444 /etc/machine-id
shred_all /etc/ssh/ssh_host_*
sync

# A moment later, so that whoever waits for this hears that it is done. What runs this has its own files in /tmp.
systemd-run --quiet --collect sh -c 'sleep 1
find /tmp /var/tmp -xdev -mindepth 1 -delete
rm -rf /root/.ansible /home/*/.ansible
systemctl --no-block poweroff'
