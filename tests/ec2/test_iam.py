"""The policies under docs/iam grant exactly what the playbooks call: what EC2's journal shows of recorded runs.

bake.json is compared in tests/whole, where there is a machine to bake.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import BRIEFLY, ROOT, SOON, Cloud

POLICIES = sorted((ROOT / "docs/iam").glob("*.json"))
INVENTORY = "inventory"
# Granted for what is no call of its own: tags that are born with what they are on.
NO_CALL = {"provision-data-volume": {"ec2:CreateTags"}, "provision-spot": {"ec2:RunInstances"}}


def granted(*names: str) -> set[str]:
    found: set[str] = set()
    for name in names:
        for statement in json.loads((ROOT / f"docs/iam/{name}.json").read_text())["Statement"]:
            found |= set(statement["Action"]) - NO_CALL.get(name, set())
    return found


def used(cloud: Cloud, playbook: str, status: int, **variables: object) -> set[str]:
    """The actions of a run that must end with this exit status; the inventory's own among them."""
    cloud.control.forget_requests()
    done = cloud.playbook(playbook, **variables)
    assert done.returncode == status, done.stdout + done.stderr
    return cloud.control.actions()


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.stem)
def test_it_is_narrow(policy: Path) -> None:
    """No wildcard in an action; what changes something is bound to a resource, a tag or both."""
    for statement in json.loads(policy.read_text())["Statement"]:
        assert not [action for action in statement["Action"] if "*" in action]
        writes = [
            one for one in statement["Action"] if not one.partition(":")[2].startswith(("Describe", "Get", "List"))
        ]
        if writes and not any(one.startswith(("sts:", "servicequotas:")) for one in writes):
            assert statement["Resource"] != "*", statement["Sid"]


def test_provision_stop_status_and_terminate(cloud: Cloud) -> None:
    # Launched, and diagnosed since nobody answers; named when two are launched at once; started; from another address.
    two = {"machines": [{"name": "a"}, {"name": "b"}]}
    calls = used(cloud, "provision", 2, **BRIEFLY, **two)
    calls |= used(cloud, "provision", 0, **BRIEFLY, **two, ssh_from="127.0.0.2/32")
    assert used(cloud, "status", 0, **two) | granted(INVENTORY) == granted("status", INVENTORY)
    assert used(cloud, "stop", 0, **two) | granted(INVENTORY) == granted("stop", INVENTORY)
    calls |= used(cloud, "provision", 2, **BRIEFLY, **two)
    hidden = "You are not authorized to perform this operation. Encoded authorization failure message: c2VjcmV0"
    cloud.control.fail("RunInstances", "UnauthorizedOperation", message=hidden)
    calls |= used(cloud, "provision", 2, machines=[{"name": "c"}])
    cloud.control.clear()
    assert calls == granted("provision")

    image = cloud.client().create_image(
        InstanceId=cloud.instances()[0]["InstanceId"],
        Name=f"{cloud.project}-image",
        TagSpecifications=[
            {
                "ResourceType": kind,
                "Tags": [
                    {"Key": "Project", "Value": cloud.project},
                    {"Key": "Kind", "Value": "image"},
                    {"Key": "ManagedBy", "Value": "gluon-ec2"},
                ],
            }
            for kind in ("image", "snapshot")
        ],
    )["ImageId"]
    cloud.client().get_waiter("image_available").wait(ImageIds=[image], WaiterConfig=SOON)
    more = {"machines": [{"name": "s"}], "spot": True}
    spot = used(cloud, "provision", 2, **BRIEFLY, **more)
    assert granted("provision-spot") <= spot <= granted("provision", "provision-spot")
    data = used(cloud, "provision", 2, **BRIEFLY, machines=[{"name": "d"}], data_disk_gb=10)
    assert data <= granted("provision", "provision-data-volume")
    assert {"ec2:CreateVolume", "ec2:AttachVolume"} <= data
    end = used(cloud, "terminate", 0, confirm="yes", all="yes", purge="data,images")
    assert end == granted("terminate")


def test_asking_for_a_higher_quota(cloud: Cloud) -> None:
    code, before = "L-1216C47A", 0.0
    quotas = cloud.client("service-quotas")
    before = quotas.get_service_quota(ServiceCode="ec2", QuotaCode=code)["Quota"]["Value"]
    cloud.control.quota(code, 0)
    try:
        asked = used(cloud, "provision", 2, request_quota=True)
        again = used(cloud, "provision", 2, request_quota=True)
    finally:
        cloud.control.quota(code, before)
    mine = granted("provision-request-quota")
    assert mine <= asked | again <= granted("provision") | mine
