"""The ec2_machines module: faults of the cloud, and their expected ends."""

from __future__ import annotations

import time

import pytest
from conftest import Cloud


class TestAsAsked:
    def test_a_missing_machine_is_launched_and_runs(self, cloud: Cloud) -> None:
        result = cloud.machines("reader")
        assert result["changed"]
        (machine,) = result["machines"]
        assert (machine["name"], machine["state"], machine["zone"]) == ("reader", "running", "us-east-1a")

    def test_the_second_run_changes_nothing_and_asks_once(self, cloud: Cloud) -> None:
        cloud.machines("reader")
        cloud.control.forget_requests()
        result = cloud.machines("reader")
        assert not result["changed"]
        assert [one["action"] for one in cloud.control.requests() if one["service"] == "ec2"][-1] == "DescribeInstances"
        assert cloud.calls("DescribeInstances") == 1

    def test_it_is_hardened_and_tagged_at_birth(self, cloud: Cloud) -> None:
        cloud.machines("reader", volume_size=50, volume_throughput=250, tags={"Owner": "ann", "Team": "红队"})
        (machine,) = cloud.instances()
        assert machine["MetadataOptions"]["HttpTokens"] == "required"
        assert machine["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
        assert "IamInstanceProfile" not in machine
        filters = [{"Name": "attachment.instance-id", "Values": [machine["InstanceId"]]}]
        (disk,) = cloud.client().describe_volumes(Filters=filters)["Volumes"]
        assert (disk["Encrypted"], disk["VolumeType"], disk["Size"], disk["Throughput"]) == (True, "gp3", 50, 250)
        for thing in (machine, disk):
            tags = {tag["Key"]: tag["Value"] for tag in thing["Tags"]}
            assert tags == {"Name": "reader", "Project": cloud.project, "Owner": "ann", "Team": "红队"}
        assert "CreateTags" not in cloud.writes(), "tags that come later are not there when a run is killed"

    def test_check_mode_says_what_would_be_and_does_nothing(self, cloud: Cloud) -> None:
        cloud.machines("reader")
        cloud.control.forget_requests()
        result = cloud.machines("reader", "bob", check=True)
        assert (result["changed"], result["launched"], cloud.writes()) == (True, ["bob"], [])
        assert result["diff"] == {
            "before": "reader: running\nbob: absent\n",
            "after": "reader: running\nbob: running\n",
        }

    def test_a_stopped_machine_is_started(self, cloud: Cloud) -> None:
        cloud.machines("reader")
        (before,) = cloud.instances()
        cloud.client().stop_instances(InstanceIds=[before["InstanceId"]])
        result = cloud.machines("reader")
        assert (result["started"], result["launched"]) == (["reader"], [])
        assert result["machines"][0]["instance_id"] == before["InstanceId"]
        assert result["machines"][0]["state"] == "running"

    def test_one_that_was_terminated_elsewhere_is_made_anew(self, cloud: Cloud) -> None:
        """D9. The same wish has the same client token, which must not bring the dead one back."""
        first = cloud.machines("reader")["machines"][0]["instance_id"]
        for _ in range(2):
            cloud.client().terminate_instances(InstanceIds=[first])
            again = cloud.machines("reader")
            assert again["launched"] == ["reader"]
            assert again["machines"][0]["instance_id"] != first
            first = again["machines"][0]["instance_id"]

    def test_spot_can_be_stopped_and_its_request_is_tagged(self, cloud: Cloud) -> None:
        cloud.machines("reader", places=cloud.places(market="spot"), max_price=2)
        (machine,) = cloud.instances()
        assert machine["InstanceLifecycle"] == "spot"
        (request,) = cloud.client().describe_spot_instance_requests(
            SpotInstanceRequestIds=[machine["SpotInstanceRequestId"]]
        )["SpotInstanceRequests"]
        assert (request["Type"], request["InstanceInterruptionBehavior"]) == ("persistent", "stop")
        assert {"Key": "Project", "Value": cloud.project} in request["Tags"]
        cloud.client().cancel_spot_instance_requests(SpotInstanceRequestIds=[request["SpotInstanceRequestId"]])


class TestMany:
    def test_thirty_cost_three_round_trips_more_than_one(self, cloud: Cloud) -> None:
        cloud.machines("alone")
        one = [request["action"] for request in cloud.control.requests() if request["service"] == "ec2"]
        cloud.control.forget_requests()
        names = [f"student-{number:02}" for number in range(30)]
        cloud.machines(*names, "alone")
        many = [request["action"] for request in cloud.control.requests() if request["service"] == "ec2"]
        assert set(names) < set(cloud.names())
        # Names are written side by side: one wait for all of them. The roster of 30 such names fills two tags.
        assert many.count("CreateTags") == 30
        assert many.count("RunInstances") == 2
        in_turn = [action for action in many if action not in ("CreateTags", "DescribeInstances")]
        alone = [action for action in one if action != "DescribeInstances"]
        assert len(in_turn) + 1 <= len(alone) + 3

    def test_those_alike_have_their_own_names_and_disks(self, cloud: Cloud) -> None:
        cloud.machines("alice", "bob", "carol")
        assert cloud.calls("RunInstances") == 1
        assert cloud.names() == ["alice", "bob", "carol"]
        disks = cloud.client().describe_volumes(Filters=[{"Name": "tag:Project", "Values": [cloud.project]}])["Volumes"]
        names = {tag["Value"] for disk in disks for tag in disk["Tags"] if tag["Key"] == "Name"}
        assert names == {"alice", "bob", "carol"}

    def test_names_that_a_killed_run_did_not_write_are_written_by_the_next(self, cloud: Cloud) -> None:
        cloud.control.fail("CreateTags", "UnauthorizedOperation")
        assert cloud.machines("alice", "bob")["failed"]
        assert (len(cloud.instances()), cloud.names()) == (2, [])
        cloud.control.clear()
        result = cloud.machines("alice", "bob")
        assert (result["launched"], result["changed"]) == ([], True)
        assert cloud.names() == ["alice", "bob"]
        assert not cloud.machines("alice", "bob")["changed"]

    def test_seven_of_ten_stay_and_the_next_run_adds_three(self, cloud: Cloud) -> None:
        """D14."""
        names = [f"s{number}" for number in range(10)]
        cloud.control.capacity(7, type="g4dn.xlarge")
        first = cloud.machines(*names)
        assert first["launched"] == names[:7]
        assert sorted(first["failed_machines"]) == names[7:]
        assert all("none has one free now" in why for why in first["failed_machines"].values())
        kept = {one["InstanceId"] for one in cloud.instances()}
        cloud.control.clear()
        second = cloud.machines(*names)
        assert second["launched"] == names[7:]
        assert kept < {one["InstanceId"] for one in cloud.instances()}
        assert cloud.names() == names

    def test_room_for_some_here_and_the_rest_elsewhere(self, cloud: Cloud) -> None:
        cloud.control.capacity(2, type="g4dn.xlarge", zone="us-east-1a")
        result = cloud.machines("a", "b", "c")
        zones = {machine["name"]: machine["zone"] for machine in result["machines"]}
        assert zones == {"a": "us-east-1a", "b": "us-east-1a", "c": "us-east-1b"}


class TestNoCapacity:
    def test_it_walks_on_at_one_call_a_place(self, cloud: Cloud) -> None:
        """D2: at most 2 calls and 2 s for each place."""
        cloud.control.no_capacity(type="g4dn.xlarge")
        cloud.control.no_capacity(type="g5.xlarge", zone="us-east-1a")
        started = time.monotonic()
        result = cloud.machines("reader", places=cloud.places("g4dn.xlarge", "g5.xlarge"))
        assert time.monotonic() - started < 2 * 5
        assert cloud.calls("RunInstances") == 5
        (machine,) = result["machines"]
        assert (machine["instance_type"], machine["zone"]) == ("g5.xlarge", "us-east-1b")
        assert [(one["instance_type"], one["zone"], one["got"]) for one in result["tried"]] == [
            ("g4dn.xlarge", "us-east-1a", 0),
            ("g4dn.xlarge", "us-east-1b", 0),
            ("g4dn.xlarge", "us-east-1c", 0),
            ("g5.xlarge", "us-east-1a", 0),
            ("g5.xlarge", "us-east-1b", 1),
        ]
        assert "has none free (InsufficientInstanceCapacity)" in "\n".join(result["lines"])

    def test_full_everywhere_names_every_place(self, cloud: Cloud) -> None:
        cloud.control.no_capacity()
        result = cloud.machines("reader")
        why = result["failed_machines"]["reader"]
        for zone in "abc":
            assert f"g4dn.xlarge in us-east-1{zone}" in why
        assert cloud.calls("RunInstances") == 3
        assert not cloud.instances()

    def test_from_spot_to_on_demand_when_that_is_listed(self, cloud: Cloud) -> None:
        """D5."""
        cloud.control.no_capacity(market="spot")
        places = [*cloud.places(market="spot"), *cloud.places()]
        cloud.machines("reader", places=places)
        (machine,) = cloud.instances()
        assert machine.get("InstanceLifecycle") is None
        assert cloud.calls("RunInstances") == 4

    def test_a_spot_price_above_the_limit_walks_on(self, cloud: Cloud) -> None:
        cloud.machines("reader", places=[*cloud.places(market="spot"), *cloud.places(zones="a")], max_price=0.001)
        codes = [one["code"] for one in cloud.control.requests("RunInstances")]
        assert codes == ["SpotMaxPriceTooLow"] * 3 + [""]

    def test_a_stopped_machine_whose_zone_is_full_stays_stopped(self, cloud: Cloud) -> None:
        cloud.machines("reader", "bob")
        ids = [one["InstanceId"] for one in cloud.instances()]
        cloud.client().stop_instances(InstanceIds=ids)
        cloud.control.fail("StartInstances", "InsufficientInstanceCapacity")
        result = cloud.machines("reader", "bob")
        assert "has no g4dn.xlarge free now" in result["failed_machines"]["reader"]
        assert {one["State"]["Name"] for one in cloud.instances()} == {"stopped"}


class TestWhatNoOtherPlaceCures:
    def test_a_full_quota_asks_no_other_zone(self, cloud: Cloud) -> None:
        """D4."""
        cloud.control.fail("RunInstances", "VcpuLimitExceeded")
        result = cloud.machines("reader", places=cloud.places("g4dn.xlarge", "g5.xlarge"))
        assert cloud.calls("RunInstances") == 1
        why = result["failed_machines"]["reader"]
        assert "L-DB2E81BA" in why
        assert "Running On-Demand G and VT instances" in why

    def test_a_full_quota_leaves_a_family_that_is_listed(self, cloud: Cloud) -> None:
        cloud.control.fail("RunInstances", "VcpuLimitExceeded", when={"InstanceType": "g4dn.xlarge"})
        result = cloud.machines("reader", places=cloud.places("g4dn.xlarge", "g5.xlarge", "c5.xlarge"))
        assert result["machines"][0]["instance_type"] == "c5.xlarge"
        assert cloud.calls("RunInstances") == 2

    @pytest.mark.parametrize(
        ("code", "says"),
        [
            ("RequestExpired", "have expired"),
            ("ExpiredToken", "have expired"),
            ("AuthFailure", "does not accept these credentials"),
            ("UnauthorizedOperation", "may not do ec2:RunInstances"),
            ("OptInRequired", "has not opened this account"),
            ("PendingVerification", "has not opened this account"),
        ],
    )
    def test_credentials_and_permissions_end_it_at_once(self, cloud: Cloud, code: str, says: str) -> None:
        """D7: at most 3 s, one call, nothing made."""
        cloud.control.fail("RunInstances", code)
        started = time.monotonic()
        result = cloud.machines("reader")
        assert time.monotonic() - started < 3
        assert result["failed"]
        assert says in result["msg"]
        assert cloud.calls("RunInstances") == 1
        assert not cloud.instances()

    def test_the_action_that_is_hidden_in_the_answer_is_decoded(self, cloud: Cloud) -> None:
        hidden = "You are not authorized to perform this operation. Encoded authorization failure message: c2VjcmV0"
        cloud.control.fail("RunInstances", "UnauthorizedOperation", message=hidden)
        result = cloud.machines("reader")
        assert cloud.calls("DecodeAuthorizationMessage") == 1
        assert "c2VjcmV0" not in result["msg"].partition("botocore")[0].partition("An error occurred")[0]

    def test_what_was_launched_before_is_kept_and_said(self, cloud: Cloud) -> None:
        cloud.control.fail("RunInstances", "UnauthorizedOperation", when={"InstanceType": "g5.xlarge"})
        machines = [
            {"name": "alice", "candidates": cloud.places("g4dn.xlarge")},
            {"name": "bob", "candidates": cloud.places("g5.xlarge")},
        ]
        result = cloud.machines(machines=machines)
        assert "alice was launched before that and is kept" in result["msg"]
        assert cloud.names() == ["alice"]


class TestHiccups:
    @pytest.mark.parametrize("action", ["DescribeInstances", "RunInstances"])
    def test_throttling_is_waited_out(self, cloud: Cloud, action: str) -> None:
        """D1: k refusals cost k calls more."""
        cloud.machines("before")
        calls = cloud.calls(action)
        cloud.control.forget_requests()
        cloud.control.throttle(action, times=3)
        cloud.machines("before", "reader")
        assert cloud.names() == ["before", "reader"]
        refused = [one for one in cloud.control.requests(action) if one["code"]]
        assert len(refused) == 3
        assert cloud.calls(action) <= calls + 4

    def test_a_lost_answer_makes_no_second_machine(self, cloud: Cloud) -> None:
        cloud.control.lose("RunInstances")
        cloud.machines("reader")
        assert cloud.calls("RunInstances") == 2
        assert len(cloud.instances()) == 1

    def test_what_ec2_does_not_know_yet_is_asked_again(self, cloud: Cloud) -> None:
        """D12."""
        cloud.control.fail("RunInstances", "InvalidGroup.NotFound", times=2)
        cloud.control.fail("CreateTags", "InvalidInstanceID.NotFound", times=1)
        result = cloud.machines("alice", "bob")
        assert result["launched"] == ["alice", "bob"]
        assert cloud.names() == ["alice", "bob"]

    def test_a_page_that_fails_is_asked_again(self, cloud: Cloud) -> None:
        cloud.machines("reader")
        cloud.control.fail("DescribeInstances", "InternalError", times=2)
        result = cloud.machines("reader")
        assert not result["changed"]

    def test_a_machine_that_never_runs_is_told_and_kept(self, cloud: Cloud) -> None:
        cloud.control.fail("DescribeInstances", "RequestLimitExceeded", skip=2, times=1)
        result = cloud.machines("reader", timeout=0)
        if failed := result["failed_machines"]:
            assert "is still pending after 0 s" in failed["reader"]
        assert cloud.names() == ["reader"]
