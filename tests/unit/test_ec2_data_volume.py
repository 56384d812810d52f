"""The ec2_data_volume module on moto: each case that a data volume can be found in."""

from __future__ import annotations

import contextlib
import functools
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import botocore.session
import pytest
from ansible.module_utils.testing import patch_module_args
from botocore.exceptions import ClientError
from moto import mock_aws

from plugins.module_utils import ec2_disks
from plugins.modules import ec2_data_volume

TAGS = {"Project": "p", "Owner": "tester", "ManagedBy": "gluon-ec2"}
DATA = {**TAGS, "Kind": "data", "Name": "reader-data", "Machine": "reader"}
# Every session begins with a reading of EC2's model, a second of work; those in this process share it.
botocore.session.create_loader = functools.cache(botocore.session.create_loader)


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    # Nothing here asks for one of the thousand images that moto reads in each time.
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    monkeypatch.setattr(ec2_disks, "POLL_S", 0.01)


@pytest.fixture
def ec2() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("ec2", "us-east-1")


def launch(ec2: Any, zone: str = "a") -> str:
    where = {"AvailabilityZone": f"us-east-1{zone}"}
    answer = ec2.run_instances(ImageId="ami-12c6146b", InstanceType="t3.micro", MinCount=1, MaxCount=1, Placement=where)
    return answer["Instances"][0]["InstanceId"]


def terminate(ec2: Any, instance: str) -> None:
    """As in EC2: the volume is detached, and stays."""
    for one in volumes(ec2):
        if any(at["InstanceId"] == instance for at in one["Attachments"]):
            ec2.detach_volume(VolumeId=one["VolumeId"], InstanceId=instance)
    ec2.terminate_instances(InstanceIds=[instance])


def run(*machines: tuple[str, str, str], check: bool = False, **options: Any) -> dict[str, Any]:
    """Run the module for (name, instance, zone letter) each; its result, a failed one too."""
    asked = {
        "machines": [{"name": name, "instance_id": one, "zone": f"us-east-1{zone}"} for name, one, zone in machines],
        "size": 20,
        "tags": TAGS,
        "timeout": 2,
        "region": "us-east-1",
    }
    told = io.StringIO()
    arguments = asked | options | {"_ansible_check_mode": check}
    with patch_module_args(arguments), contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
        ec2_data_volume.main()
    return json.loads(told.getvalue().strip().splitlines()[-1])


def volumes(ec2: Any, name: str = "reader-data") -> list[dict[str, Any]]:
    return ec2.describe_volumes(Filters=[{"Name": "tag:Name", "Values": [name]}])["Volumes"]


def the_volume(ec2: Any) -> dict[str, Any]:
    (volume,) = volumes(ec2)
    return volume


def snapshots(ec2: Any) -> list[dict[str, Any]]:
    return ec2.describe_snapshots(Filters=[{"Name": "tag:Project", "Values": ["p"]}])["Snapshots"]


def make(ec2: Any, zone: str = "a", size: int = 20, **tags: str) -> str:
    specification = [{"ResourceType": "volume", "Tags": [{"Key": k, "Value": v} for k, v in (DATA | tags).items()]}]
    answer = ec2.create_volume(
        AvailabilityZone=f"us-east-1{zone}",
        Size=size,
        VolumeType="gp3",
        Throughput=125,
        TagSpecifications=specification,
    )
    return answer["VolumeId"]


@contextlib.contextmanager
def calls(monkeypatch: pytest.MonkeyPatch, fail: str = "", times: int = 1) -> Iterator[list[str]]:
    """The API calls made; the first ones of the action `fail` are refused, as if the run were interrupted there."""
    made: list[str] = []
    original: Callable[..., Any] = __import__("botocore.client").client.BaseClient._make_api_call
    left = times

    def call(client: Any, action: str, arguments: dict[str, Any]) -> Any:
        nonlocal left
        made.append(action)
        if action == fail and left:
            left -= 1
            raise ClientError({"Error": {"Code": "InternalError", "Message": "interrupted"}}, action)
        return original(client, action, arguments)

    with monkeypatch.context() as patch:
        patch.setattr("botocore.client.BaseClient._make_api_call", call)
        yield made


def test_one_is_made_and_attached(ec2: Any) -> None:
    machine = launch(ec2)
    result = run(("reader", machine, "a"))
    assert result["changed"] and result["volumes"][0]["done"] == ["created", "attached"]
    volume = the_volume(ec2)
    assert volume["VolumeId"] == result["volumes"][0]["volume_id"]
    assert {tag["Key"]: tag["Value"] for tag in volume["Tags"]} == DATA
    assert (volume["VolumeType"], volume["Encrypted"], volume["Size"]) == ("gp3", True, 20)
    (at,) = volume["Attachments"]
    assert (at["InstanceId"], at["Device"], at.get("DeleteOnTermination", False)) == (machine, "/dev/sdf", False)


def test_a_second_run_changes_nothing_and_asks_once(ec2: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    machines = [(f"m{number}", launch(ec2), "a") for number in range(5)]
    run(*machines)
    with calls(monkeypatch) as made:
        assert not run(*machines)["changed"]
    assert made == ["DescribeVolumes"]


def test_check_mode_tells_and_does_nothing(ec2: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = launch(ec2)
    with calls(monkeypatch) as made:
        result = run(("reader", machine, "a"), check=True)
    assert result["changed"] and result["volumes"][0]["done"] == ["created", "attached"]
    assert all(action.startswith("Describe") for action in made)
    assert not volumes(ec2)


def test_the_next_machine_of_the_name_gets_it_back(ec2: Any) -> None:
    first = launch(ec2)
    run(("reader", first, "a"))
    before = the_volume(ec2)["VolumeId"]
    terminate(ec2, first)
    second = launch(ec2)
    assert run(("reader", second, "a"))["volumes"][0]["done"] == ["attached"]
    assert the_volume(ec2)["VolumeId"] == before
    assert the_volume(ec2)["Attachments"][0]["InstanceId"] == second


def test_it_grows(ec2: Any) -> None:
    machine = launch(ec2)
    run(("reader", machine, "a"))
    assert run(("reader", machine, "a"), size=30)["volumes"][0]["done"] == ["modified"]
    assert the_volume(ec2)["Size"] == 30
    assert not run(("reader", machine, "a"), size=30)["changed"]


def test_it_never_shrinks(ec2: Any) -> None:
    machine = launch(ec2)
    run(("reader", machine, "a"))
    refused = run(("reader", machine, "a"), size=10)
    assert refused["failed"] and "cannot shrink to 10" in refused["msg"]
    assert the_volume(ec2)["Size"] == 20


def test_one_on_another_live_machine_is_refused_and_nothing_is_touched(
    ec2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, machine = launch(ec2), launch(ec2)
    run(("reader", other, "a"))
    with calls(monkeypatch) as made:
        refused = run(("reader", machine, "a"), ("writer", launch(ec2), "a"))
    assert refused["failed"] and other in refused["msg"] and "detach" in refused["msg"]
    assert {action for action in made if not action.startswith("Describe")} == {"RunInstances"}


def test_it_is_moved_to_the_machines_zone(ec2: Any) -> None:
    first = launch(ec2)
    run(("reader", first, "a"))
    before = the_volume(ec2)["VolumeId"]
    terminate(ec2, first)
    second = launch(ec2, "b")
    assert run(("reader", second, "b"), size=25)["volumes"][0]["done"] == ["moved", "attached"]
    after = the_volume(ec2)
    assert after["VolumeId"] != before
    assert (after["AvailabilityZone"], after["Size"]) == ("us-east-1b", 25)
    assert after["Attachments"][0]["InstanceId"] == second
    assert not snapshots(ec2)
    assert {tag["Key"]: tag["Value"] for tag in after["Tags"]} == DATA
    assert not run(("reader", second, "b"), size=25)["changed"]


@pytest.mark.parametrize(
    ("action", "times"),
    [
        ("CreateSnapshot", 1),
        ("DescribeSnapshots", 2),
        ("CreateVolume", 1),
        ("CreateTags", 1),
        ("AttachVolume", 1),
        ("DeleteSnapshot", 1),
        ("DeleteVolume", 1),
        ("DeleteTags", 1),
    ],
)
def test_a_move_that_was_interrupted_goes_on(
    ec2: Any, monkeypatch: pytest.MonkeyPatch, action: str, times: int
) -> None:
    original = make(ec2)
    machine = launch(ec2, "b")
    with calls(monkeypatch, fail=action, times=times):
        interrupted = run(("reader", machine, "b"))
        assert interrupted["failed"]
        # whatever it had got to, the data is on the original or on the copy that was made of it
        lives = {one["VolumeId"] for one in volumes(ec2)}
        attached = [one for one in volumes(ec2) if one["Attachments"]]
        assert original in lives or attached
    again = run(("reader", machine, "b"))
    assert not again.get("failed"), again
    volume = the_volume(ec2)
    assert volume["AvailabilityZone"] == "us-east-1b" and volume["Attachments"][0]["InstanceId"] == machine
    assert not snapshots(ec2)
    assert not run(("reader", machine, "b"))["changed"]


def test_a_copy_of_an_interrupted_move_is_never_taken_for_the_original(
    ec2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = make(ec2)
    with calls(monkeypatch, fail="CreateTags"):
        assert run(("reader", launch(ec2, "b"), "b"))["failed"]
    assert len(volumes(ec2)) == 2
    # The machine is launched where the original is after all, and the reader writes to it.
    machine = launch(ec2, "a")
    assert run(("reader", machine, "a"))["volumes"][0]["volume_id"] == original
    assert the_volume(ec2)["VolumeId"] == original
    assert not snapshots(ec2)


def test_a_copy_that_may_be_all_that_is_left_is_kept(ec2: Any) -> None:
    copy = make(ec2, Kind="data-copy", MovedFrom="vol-gone")
    refused = run(("reader", launch(ec2), "a"))
    assert refused["failed"] and copy in refused["msg"]
    assert the_volume(ec2)["VolumeId"] == copy


def test_of_two_the_newest_is_used_and_the_other_is_told(ec2: Any) -> None:
    old, new = make(ec2), make(ec2)
    result = run(("reader", launch(ec2), "a"))["volumes"][0]
    assert (result["volume_id"], result["spare"]) == (new, [old])
    assert {one["VolumeId"] for one in volumes(ec2)} == {old, new}


def test_the_one_on_the_machine_is_used_even_when_there_is_a_newer(ec2: Any) -> None:
    machine = launch(ec2)
    run(("reader", machine, "a"))
    before = the_volume(ec2)["VolumeId"]
    newer = make(ec2)
    result = run(("reader", machine, "a"))
    assert not result["changed"]
    assert (result["volumes"][0]["volume_id"], result["volumes"][0]["spare"]) == (before, [newer])


def test_another_projects_volume_is_not_touched(ec2: Any) -> None:
    foreign = make(ec2, Project="other")
    assert run(("reader", launch(ec2), "a"))["volumes"][0]["volume_id"] != foreign
