"""The base image: Debian 12 as AWS has it, made by mmdebstrap from Debian's packages."""

import datetime
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from local_ec2.folder import remove_tree
from local_ec2.podman import LABEL, command, podman
from local_ec2.recipe import MACHINE, PACKAGES, SUITE, Recipe
from local_ec2.say import Refusal, step

REPOSITORY = "localhost/local-ec2-debian-12"
USER = "admin"
# What a process mounts and starts in here is gone when it is, or when we are.
ALONE = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child")
STORE = "etc/ssl/certs/ca-certificates.crt"
CONFIGURATION = (
    'CMD ["/sbin/init"]',
    # systemd's poweroff.target
    "STOPSIGNAL SIGRTMIN+4",
)


def name_of(recipe: Recipe) -> str:
    return f"{REPOSITORY}:{recipe.digest}"


def built(image: str) -> str:
    """When an image was built, as the digits YYYYMMDD-HHMM; empty if there is no such image."""
    template = f'{{{{index .Labels "{LABEL}.built"}}}}'
    return podman("image", "inspect", "--format", template, image, check=False).strip()


def ensure(recipe: Recipe, workplace: Path) -> str:
    """Return the name of the base image of `recipe`; build it in `workplace` if podman has it not yet.

    The name carries the recipe's digest and is given last, so an image that has it is whole.
    """
    image = name_of(recipe)
    if built(image):
        return image
    remove_tree(workplace)
    root = workplace / "root"
    root.mkdir(parents=True)
    with step("Building the base image from Debian's packages, once (about a minute)") as follow:
        bootstrap(recipe, root, workplace / "log", follow)
        follow("setting up")
        customize(recipe, root)
        follow("handing it to podman")
        import_image(root, image)
    remove_tree(workplace)
    return image


def bootstrap(recipe: Recipe, root: Path, log: Path, follow: Callable[[str], None]) -> None:
    options = [f"--include={','.join(PACKAGES)}", "--variant=minbase", "--format=directory"]
    # nobody needs these machines after a power cut of the host, and apt is faster without waiting for the disk
    options += ["--dpkgopt=force-unsafe-io", '--aptopt=Acquire::Languages "none"']
    options += [f"--aptopt={line}" for line in recipe.proxies]
    sources = "".join(f"deb {uri} {suite} {component}\n" for uri, suite, component in recipe.sources)
    arguments = [*ALONE, "mmdebstrap", *options, SUITE, str(root), *(["-"] if sources else [])]
    # a TMPDIR or a locale of the user's may not exist inside
    environment = os.environ | {"LC_ALL": "C.UTF-8", "TMPDIR": "/tmp"}
    with (
        subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        ) as process,
        log.open("w") as lines,
    ):
        process.stdin.write(sources)
        process.stdin.close()
        last = ""
        for line in process.stderr:
            lines.write(line)
            last = line.strip()
            if last.startswith("I: ") and last.endswith("..."):
                follow(last[3:-3])
    if process.returncode:
        reason = [line for line in log.read_text().splitlines() if line.startswith(("E: ", "Err:"))]
        raise Refusal(
            f"mmdebstrap could not make the base image ({'; '.join(reason[-3:]) or last}): see whether"
            f" `apt-get update` works here, and run `up` again; all it said is in {log}."
        )


def customize(recipe: Recipe, root: Path) -> None:
    """Turn a minimal Debian into what Debian's image on AWS is to those who log in."""
    inside = ["chroot", str(root)]
    subprocess.run([*inside, "useradd", "-m", "-s", "/bin/bash", "-G", "adm,sudo", USER], check=True)
    write(root / "etc/sudoers.d/90-cloud-init-users", f"{USER} ALL=(ALL) NOPASSWD:ALL\n", 0o440)
    write(root / "etc/ssh/sshd_config.d/50-cloud-init.conf", "PasswordAuthentication no\n")
    write(root / "etc/default/locale", "LANG=C.UTF-8\n")
    write(root / "usr/local/sbin/first-boot", (MACHINE / "first-boot").read_text(), 0o755)
    for unit in MACHINE.glob("*.service"):
        write(root / "etc/systemd/system" / unit.name, unit.read_text())
        subprocess.run([*inside, "systemctl", "-q", "enable", unit.name], check=True)
    # podman gives each machine its own
    for leftover in ("etc/hostname", "etc/resolv.conf", *root.glob("etc/ssh/ssh_host_*")):
        (root / leftover).unlink(missing_ok=True)
    use_network(recipe, root)


def use_network(recipe: Recipe, root: Path) -> None:
    """Let the machine reach packages the way the host does."""
    if recipe.sources:
        (root / "etc/apt/sources.list").unlink(missing_ok=True)
        write(root / "etc/apt/sources.list.d/debian.sources", deb822(recipe.sources))
    if recipe.proxies:
        write(root / "etc/apt/apt.conf.d/90proxy", "\n".join(recipe.proxies) + "\n")
    pip = {"index-url": recipe.pip_index}
    foreign = recipe.foreign_certificates((root / STORE).read_text())
    for number, certificate in enumerate(foreign):
        write(root / f"usr/local/share/ca-certificates/host-{number}.crt", certificate)
    if foreign:
        subprocess.run(["chroot", str(root), "update-ca-certificates"], check=True, capture_output=True)
        # pip brings certificates of its own, unless told
        pip["cert"] = f"/{STORE}"
    if any(pip.values()):
        lines = [f"{key} = {value}\n" for key, value in pip.items() if value]
        write(root / "etc/pip.conf", "".join(["[global]\n", *lines]))


def deb822(sources: tuple[tuple[str, str, str], ...]) -> str:
    """Sources in the form, and under the file name, that Debian's images have."""
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    suites: dict[str, list[str]] = {}
    for uri, suite, _ in sources:
        suites.setdefault(uri, []).append(suite)
    return "\n".join(
        f"Types: deb\nURIs: {uri}\nSuites: {' '.join(names)}\nComponents: main\nSigned-By: {keyring}\n"
        for uri, names in suites.items()
    )


def write(path: Path, text: str, mode: int = 0o644) -> None:
    path.write_text(text)
    path.chmod(mode)


def import_image(root: Path, image: str) -> None:
    moment = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M")
    changes = [*CONFIGURATION, f"LABEL {LABEL}.built={moment}"]
    options = [option for change in changes for option in ("--change", change)]
    pack = ["tar", "-C", str(root), "--numeric-owner", "--xattrs", "--acls", "-c", "."]
    with subprocess.Popen(pack, stdout=subprocess.PIPE) as tar:
        done = subprocess.run(
            command("import", "-q", *options, "-", image), stdin=tar.stdout, capture_output=True, text=True
        )
    if done.returncode or tar.returncode:
        raise Refusal(f"podman could not take the base image ({done.stderr.strip()}): run `up` again.")


def remove_bases() -> int:
    """Remove the base images, of old recipes too, that no machine of another data folder stands on; count them."""
    before, after = podman("images", "-q", REPOSITORY).split(), []
    if before:
        podman("rmi", *before, check=False)
        after = podman("images", "-q", REPOSITORY).split()
    return len(before) - len(after)
