"""The process behind the API: python -m local_ec2.server DATA_FOLDER. `up` starts it."""

import ipaddress
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from local_ec2 import amis, image
from local_ec2.bodiless import Bodiless, NoDisks
from local_ec2.disks import Disks
from local_ec2.folder import PODMAN, Folder, State
from local_ec2.machines import Machines

ACCOUNT = "123456789012"


def settings(path: Path) -> dict[str, str]:
    """moto's switches: refuse what EC2 would refuse, and know our images only."""
    return {
        "MOTO_AMIS_PATH": str(path),
        "MOTO_ENABLE_AMI_VALIDATION": "1",
        "MOTO_ENABLE_KEYPAIR_VALIDATION": "1",
        "MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION": "1",
        "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
    }


def prepare(folder: Folder, state: State) -> dict[str, Any]:
    """Replace the parts of moto that drive machines, and return what can be set about them on request.

    moto reads its environment when it is imported.
    """
    bodies = state.machines == PODMAN
    debian = amis.debian(state.image, image.built(state.image) if bodies else amis.SOME_DAY)
    offers = [debian, *amis.OTHERS]
    amis.offer(folder.amis, offers)
    os.environ.update(settings(folder.amis))
    from local_ec2.ec2 import capacity, fixes, images, launch, lifecycle, pages, quotas, spot, sts, volumes

    machines = (
        Machines(folder.owner, state.image, Disks(folder.disks))
        if bodies
        else Bodiless(folder.owner, state.image, NoDisks(folder.disks))
    )
    life = lifecycle.Lifecycle(machines)
    lifecycle.install(life)
    pools, limits = capacity.Capacity(), quotas.Quotas()
    quotas.install(limits)
    launch.install(life, pools, limits)
    spot.install(life)
    sts.install()
    images.install(machines, debian.id)
    fixes.install(life, ipaddress.IPv4Network(state.subnet), offers)
    pages.install()
    volumes.install(life)
    machines.follow_exits(life.machine_ended)
    return {
        "capacity": {"GET": lambda _: pools.listed(), "POST": pools.set, "DELETE": lambda _: pools.clear()},
        "interruptions": {"POST": lambda instance: spot.interrupt(life, instance)},
        "quotas": {"GET": lambda _: limits.listed(), "POST": limits.set, "DELETE": lambda _: limits.clear()},
    }


def api(port: int, resources: dict[str, Any]) -> Any:
    """The HTTP server of the API, on the loopback address only."""
    from moto.ec2.models import ec2_backends
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    from local_ec2.ec2.launch import REGION, resolve
    from local_ec2.front.application import Front
    from local_ec2.front.faults import Faults

    # the first use loads the instance types; do it before somebody waits
    ec2_backends[ACCOUNT][REGION]
    moto = DomainDispatcherApplication(create_backend_app)
    application = Front(moto, Faults(lambda call: resolve(ec2_backends[ACCOUNT], call)), resources)
    return make_server("127.0.0.1", port, application, threaded=True, request_handler=MotoRequestHandler)


def serve(folder: Folder) -> None:
    state = folder.state()
    if state is None:
        raise SystemExit(f"{folder.path} is not a data folder that `up` has prepared.")
    resources = prepare(folder, state)
    if state.upstream == "stand-in":
        from local_ec2 import upstream

        gateway = str(ipaddress.IPv4Network(state.subnet)[1])
        files = upstream.make_server((gateway, state.port), folder.upstream)
        threading.Thread(target=files.serve_forever, daemon=True).start()
    server = api(state.port, resources)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    logging.info("the API answers on port %s", state.port)
    server.serve_forever()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # the state changes are worth a line each, the requests of those who wait for them are not
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    serve(Folder(Path(sys.argv[1])))
