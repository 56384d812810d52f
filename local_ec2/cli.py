"""python -m local_ec2 up|down|status"""

import argparse
import ipaddress
import logging
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from local_ec2 import host, image, recipe, report
from local_ec2.disks import release
from local_ec2.folder import NONE, PODMAN, Folder, State, locked, started
from local_ec2.podman import LABEL, podman, remove_all, storage
from local_ec2.say import Refusal, say, step

DOWN = 3
DIED = "The server of an earlier `up` has died, and what it knew with it: this one starts empty."
PATIENCE = 60  # seconds
# A proxy of the environment's knows nothing of the loopback address.
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
HEADER = "# Written by `local_ec2 up`; `local_ec2 down` removes it.\n"


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="local_ec2", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument("--data", type=Path, default=Path(".local_ec2"), metavar="DIR", help="data folder (%(default)s)")

    up = commands.add_parser("up", parents=[data], help="start it, and build the base image if there is none")
    up.add_argument("--port", type=int, default=5950, help="port of the API on 127.0.0.1 (%(default)s)")
    up.add_argument(
        "--machines",
        choices=[PODMAN, NONE],
        default=PODMAN,
        help="what instances are: containers with systemd, or nothing but their states in the API (%(default)s)",
    )
    up.add_argument(
        "--subnet", default="auto", help="range of the machines, like 10.180.16.0/20 (%(default)s: a free one)"
    )
    up.add_argument(
        "--upstream",
        choices=["auto", "real", "stand-in"],
        default="auto",
        help="where machines download from: real sites, or stand-ins served here (%(default)s: what answers)",
    )
    up.add_argument(
        "--inventory-vars", type=Path, metavar="FILE", help="inventory file to write the stand-ins' addresses to"
    )
    up.add_argument("--install", action="store_true", help="install the Debian packages that are missing")
    up.set_defaults(run=run_up)

    down = commands.add_parser("down", parents=[data], help="stop it, and remove machines, network, images and data")
    down.add_argument("--images", action="store_true", help="remove the base image too")
    down.set_defaults(run=run_down)

    status = commands.add_parser(
        "status", parents=[data], help=f"show it and its machines; exit status {DOWN} if it is down"
    )
    status.set_defaults(run=run_status)
    return top


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    # a profile or a CA bundle for the real AWS would disturb the clients here
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    try:
        return options.run(options, Folder(options.data))
    except Refusal as refusal:
        print(f"local_ec2: {refusal}", file=sys.stderr)
    except KeyboardInterrupt:
        print(f"local_ec2: Interrupted; run `{options.command}` again to go on.", file=sys.stderr)
    return 1


def run_up(options: argparse.Namespace, folder: Folder) -> int:
    if options.machines == PODMAN:
        host.need_root()
    with folder.lock():
        state = folder.state()
        if state and state.machines != options.machines:
            raise Refusal(
                f"{folder.path} is of a local EC2 with --machines {state.machines}: run `down` first to change that, or"
                " name another folder with --data."
            )
        if state and serves(folder, state):
            return already_up(options, folder, state)
        prepare = prepare_machines if options.machines == PODMAN else prepare_none
        state = prepare(options, folder, state)
        start_server(folder, state)
    say(f"The local EC2 is up: {summary(state)}.")
    return 0


def prepare_none(options: argparse.Namespace, folder: Folder, before: State | None) -> State:
    """Prepare for instances without machines: nothing outside of the data folder."""
    host.need_port(options.port)
    folder.claim()
    if before and before.pid:
        say(DIED)
    subnet = host.private_range("172.31.0.0/16" if options.subnet == "auto" else options.subnet)
    state = State(str(folder.path), options.port, str(subnet), "", "real", NONE)
    folder.save(state)
    return state


def prepare_machines(options: argparse.Namespace, folder: Folder, before: State | None) -> State:
    """Prepare what machines need: the image, the network, and what they download from."""
    host.need_debian()
    host.need_packages(options.install)
    host.need_port(options.port)
    folder.claim()
    host.need_room(folder)
    clear_leftovers(folder, before)
    # beside another `up`, the same range might be free for both, and the base image be built twice
    with locked(storage()):
        subnet = host.pick_subnet(options.subnet, folder.owner)
        state = State(str(folder.path), options.port, str(subnet), "", choose_upstream(options.upstream))
        state.inotify = host.allow_machines()
        # from here on `down` can undo all that follows
        folder.save(state)
        logging.basicConfig(filename=folder.log, level=logging.INFO)
        state.image = image.ensure(recipe.of_this_host(), folder.build)
        prepare_upstream(folder, state)
        write_inventory(options.inventory_vars, state)
        label = f"{LABEL}={folder.owner}"
        podman("network", "create", "--disable-dns", "--subnet", state.subnet, "--label", label, folder.owner)
        folder.save(state)
    return state


def already_up(options: argparse.Namespace, folder: Folder, state: State) -> int:
    host.need_own(folder, state)
    if options.port != state.port or options.subnet not in ("auto", state.subnet):
        raise Refusal(
            f"The local EC2 of {folder.path} is already up, on port {state.port} with {state.subnet}: run"
            " `down` first to change that, or name another folder with --data."
        )
    write_inventory(options.inventory_vars, state)
    folder.save(state)
    say(f"The local EC2 is already up: {summary(state)}.")
    return 0


def clear_leftovers(folder: Folder, state: State | None) -> None:
    removed = remove_all(folder.owner)
    release(folder.disks)
    if state and state.pid:
        say(DIED)
    if removed:
        say(f"Removed what an earlier one left: {', '.join(removed)}.")


def choose_upstream(wanted: str) -> str:
    if wanted != "auto":
        return wanted
    from local_ec2 import upstream

    with step("Looking whether the real upstreams answer"):
        answers = upstream.reachable()
    silent = [name for name, there in answers.items() if not there]
    if silent:
        say(f"Not reachable from here: {', '.join(silent)}. The machines download from stand-ins.")
    return "stand-in" if silent else "real"


def prepare_upstream(folder: Folder, state: State) -> None:
    if state.upstream == "stand-in":
        from local_ec2 import upstream

        gateway = ipaddress.IPv4Network(state.subnet)[1]
        folder.upstream.mkdir(exist_ok=True)
        with step("Preparing the upstream stand-ins") as follow:
            state.variables = upstream.prepare(folder.upstream, f"http://{gateway}:{state.port}", follow)


def summary(state: State) -> str:
    if state.machines == NONE:
        return f"{state.endpoint}, instances in {state.subnet} without machines"
    where = "the real upstreams" if state.upstream == "real" else "stand-ins served here"
    return f"{state.endpoint}, machines in {state.subnet}, downloads from {where}"


def write_inventory(path: Path | None, state: State) -> None:
    """Write the variables of the stand-ins as an inventory; without stand-ins, leave no such file."""
    if path is None:
        return
    state.inventory_vars = str(path.resolve())
    if not state.variables:
        path.unlink(missing_ok=True)
        return
    import yaml

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + yaml.safe_dump({"all": {"vars": state.variables}}))


def start_server(folder: Folder, state: State) -> None:
    package = Path(__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": str(package), "PYTHONUNBUFFERED": "1"}
    with folder.log.open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "local_ec2.server", str(folder.path)],
            cwd="/",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    state.pid, state.started = process.pid, started(process.pid)
    folder.save(state)
    if not serves(folder, state):
        last = folder.log.read_text().strip().splitlines()[-1:]
        raise Refusal(f"The server did not come up ({' '.join(last)}): see {folder.log}, and run `up` again or `down`.")


def serves(folder: Folder, state: State) -> bool:
    """Whether the server answers. One that begins, and one that dies, is a process for a while that does not: wait."""
    end = time.monotonic() + PATIENCE
    while state.alive():
        if answers(state.endpoint):
            return True
        if time.monotonic() > end:
            raise Refusal(
                f"The server (process {state.pid}) runs and has not answered for {PATIENCE} s: see {folder.log}, and"
                " run `down` to end it."
            )
        time.sleep(0.1)
    return False


def answers(endpoint: str) -> bool:
    try:
        with DIRECTLY.open(f"{endpoint}/moto-api/", timeout=5):
            return True
    except OSError:
        return False


def run_down(options: argparse.Namespace, folder: Folder) -> int:
    state = folder.state()
    bodies = state is None or state.machines == PODMAN
    if bodies or options.images:
        host.need_root()
    with folder.lock():
        state = folder.state()
        removed = []
        if state and state.alive():
            host.need_own(folder, state)
            stop_server(state)
            removed.append("the server")
        if bodies and not host.missing_packages():
            removed += remove_all(folder.owner)
        if state:
            host.allow_as_before(state.inotify)
            release(folder.disks)
        if state and state.inventory_vars:
            Path(state.inventory_vars).unlink(missing_ok=True)
        if state:
            folder.remove()
            removed.append("the data folder")
        if options.images and (count := image.remove_bases()):
            removed.append(f"{count} base image{'s' if count > 1 else ''}")
    say(f"Removed {', '.join(removed)}." if removed else "Nothing is up.")
    return 0


def stop_server(state: State) -> None:
    os.kill(state.pid, signal.SIGTERM)
    end = time.monotonic() + 10
    while state.alive():
        if time.monotonic() > end:
            os.kill(state.pid, signal.SIGKILL)
        time.sleep(0.05)


def run_status(options: argparse.Namespace, folder: Folder) -> int:
    state = folder.state()
    if state is None or not serves(folder, state):
        died = " (the server of an earlier `up` has died; `up` starts an empty one)" if state and state.pid else ""
        say(f"The local EC2 of {folder.path} is down{died}.")
        return DOWN
    say(f"The local EC2 is up: {summary(state)}.")
    say(report.table(report.machines(state.endpoint)))
    return 0
