"""The ends of machines: stop, and terminate with its proof."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from belongings import Belongings
from conftest import Cloud


@pytest.fixture
def its(cloud: Cloud) -> Belongings:
    return Belongings(cloud)


def stop(cloud: Cloud, *names: str, **options: Any) -> dict[str, Any]:
    asked = {"project": cloud.project, "names": list(names) or ["reader"], "timeout": 20}
    return cloud.module("ec2_stop", **asked | options)


def states(cloud: Cloud) -> dict[str, str]:
    found = cloud.instances()
    return {tag["Value"]: one["State"]["Name"] for one in found for tag in one["Tags"] if tag["Key"] == "Name"}


def terminated(cloud: Cloud, **variables: Any) -> subprocess.CompletedProcess[str]:
    return cloud.playbook("terminate", **{"confirm": "yes", **variables})


def proven(cloud: Cloud, **variables: Any) -> str:
    done = terminated(cloud, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class TestStop:
    def test_a_machine_is_stopped_and_the_second_run_changes_nothing(self, cloud: Cloud) -> None:
        cloud.machines("reader")
        assert stop(cloud)["changed"]
        assert states(cloud) == {"reader": "stopped"}
        cloud.control.forget_requests()
        assert not stop(cloud)["changed"]
        assert cloud.writes() == []

    def test_thirty_are_stopped_by_one_call(self, cloud: Cloud) -> None:
        names = [f"m{number}" for number in range(30)]
        cloud.machines(*names)
        cloud.control.forget_requests()
        stop(cloud, *names)
        assert cloud.calls("StopInstances") == 1
        assert set(states(cloud).values()) == {"stopped"}

    def test_only_those_named_are_stopped(self, cloud: Cloud) -> None:
        cloud.machines("reader", "bob")
        result = stop(cloud, only=["bob"])
        assert (result["names"], result["others"]) == (["bob"], ["reader"])
        assert states(cloud) == {"reader": "running", "bob": "stopped"}

    def test_all_of_the_project_are_stopped(self, cloud: Cloud) -> None:
        cloud.machines("reader", "bob")
        stop(cloud, all=True)
        assert states(cloud) == {"reader": "stopped", "bob": "stopped"}

    def test_check_mode_says_which_and_stops_none(self, cloud: Cloud) -> None:
        cloud.machines("reader")
        result = stop(cloud, check=True)
        assert (result["changed"], result["names"], states(cloud)) == (True, ["reader"], {"reader": "running"})
        assert result["diff"] == {"before": "reader: running\n", "after": "reader: stopped\n"}

    def test_one_that_cannot_be_stopped_is_named_and_the_others_are_stopped(self, cloud: Cloud) -> None:
        cloud.machines("reader", "bob", "eve")
        id = next(one["InstanceId"] for one in cloud.instances() if {"Key": "Name", "Value": "bob"} in one["Tags"])
        words = (
            f"You can't stop the Spot Instance '{id}' because it is associated with a one-time Spot Instance request."
        )
        cloud.control.fail("StopInstances", "UnsupportedOperation", message=words, when={"InstanceId": id})
        result = stop(cloud, "reader", "bob", "eve")
        assert result["refused"] == {"bob": words.rstrip(".")}
        assert states(cloud) == {"reader": "stopped", "bob": "running", "eve": "stopped"}

    def test_the_playbook_says_in_a_sentence_what_to_do_about_it(self, cloud: Cloud) -> None:
        cloud.machines("reader")
        cloud.control.fail("StopInstances", "UnsupportedOperation", message="It is a one-time Spot Instance.")
        done = cloud.playbook("stop")
        assert done.returncode != 0
        said = " ".join((done.stdout + done.stderr).split())
        assert (
            'reader cannot be stopped and goes on costing, the others are stopped: EC2 says "It is a one-time' in said
        )
        assert "-e only=reader -e confirm=yes" in said

    def test_a_slow_stop_ends_in_time_with_what_to_do(self, cloud: Cloud) -> None:
        cloud.machines("reader")
        result = stop(cloud, timeout=0)
        assert "reader is still stopping" in result["msg"] or "reader is still running" in result["msg"]
        assert "ec2_timeout" in result["msg"]

    def test_the_playbook_takes_names_as_a_comma_separated_string(self, cloud: Cloud) -> None:
        cloud.machines("reader", "bob", "eve")
        done = cloud.playbook("stop", "-e", "only=reader,bob")
        assert done.returncode == 0, done.stdout + done.stderr
        assert states(cloud) == {"reader": "stopped", "bob": "stopped", "eve": "running"}

    def test_a_pattern_as_other_playbooks_take_it_means_those_machines_and_no_other(self, cloud: Cloud) -> None:
        cloud.machines("reader", "bob", "eve")
        for pattern in ("eve", "b*"):
            done = cloud.playbook("stop", "-e", f"hosts={pattern}")
            assert done.returncode == 0, done.stdout + done.stderr
        assert states(cloud) == {"reader": "running", "bob": "stopped", "eve": "stopped"}
        assert cloud.playbook("terminate", "-e", "hosts=eve", "-e", "confirm=yes").returncode == 0
        assert cloud.names() == ["bob", "reader"]

    def test_the_playbook_says_what_no_longer_costs(self, cloud: Cloud) -> None:
        cloud.machines("reader", "bob")
        said = [cloud.playbook("stop", "-e", "all=yes", *more).stdout for more in (["--check"], [], [])]
        wanted = "bob, reader: of them only the disks go on costing"
        assert [f"  would stop   {wanted}" in said[0], f"  stopped      {wanted}" in said[1]] == [True, True], said
        assert "  stopped      none, as none of them ran" in said[2]
        assert "  runs on" not in "".join(said)

    def test_the_playbook_says_what_of_the_project_runs_on(self, cloud: Cloud) -> None:
        cloud.machines("reader", "bob")
        told = f"  runs on      bob: of the project {cloud.project} too, and paid for; all=yes means all of it"
        assert told in cloud.playbook("stop").stdout
        assert told in cloud.playbook("terminate", "-e", "confirm=yes").stdout
        assert "  runs on" not in cloud.playbook("stop", "-e", "only=bob").stdout

    def test_the_playbook_refuses_an_unknown_name(self, cloud: Cloud) -> None:
        cloud.machines("reader")
        for given in ("only=raeder", "hosts=raed*"):
            done = cloud.playbook("stop", "-e", given)
            assert done.returncode != 0
            assert f"no machine called {given.partition('=')[2]}; its machines are: reader" in done.stdout + done.stderr
        assert states(cloud) == {"reader": "running"}


class TestSpot:
    def test_its_request_is_cancelled_before_the_machine_goes(self, cloud: Cloud, its: Belongings) -> None:
        cloud.machines("reader", places=cloud.places(market="spot"))
        request = its.spot_request(Name="reader")
        cloud.control.forget_requests()
        stop(cloud, state="terminated")
        wanted = ["CancelSpotInstanceRequests", "TerminateInstances"]
        assert [one["action"] for one in cloud.control.requests() if one["action"] in wanted] == wanted
        asked = its.ec2.describe_spot_instance_requests()["SpotInstanceRequests"]
        open_ones = [one["SpotInstanceRequestId"] for one in asked if one["State"] in ("open", "active")]
        assert request not in open_ones

    def test_requests_of_other_machines_stay(self, cloud: Cloud, its: Belongings) -> None:
        cloud.machines("reader", places=cloud.places(market="spot"))
        request = its.spot_request(Name="bob")
        stop(cloud, state="terminated")
        asked = its.ec2.describe_spot_instance_requests()["SpotInstanceRequests"]
        assert request in [one["SpotInstanceRequestId"] for one in asked]

    def test_without_spot_no_request_is_looked_for(self, cloud: Cloud) -> None:
        cloud.machines("reader")
        cloud.control.forget_requests()
        stop(cloud, state="terminated")
        assert cloud.calls("DescribeSpotInstanceRequests") == 0


class TestTerminate:
    def test_it_wants_to_be_told_so(self, cloud: Cloud) -> None:
        cloud.machines("reader")
        done = cloud.playbook("terminate")
        assert done.returncode != 0
        assert "This would delete reader and every notebook" in done.stdout + done.stderr
        assert states(cloud) == {"reader": "running"}

    def test_nothing_is_left_and_twice_is_no_error(self, cloud: Cloud, its: Belongings) -> None:
        """D15."""
        cloud.machines("reader")
        things = {"key": its.key(), "group": its.group()}
        proven(cloud)
        assert (states(cloud), its.exists(**things)) == ({}, set())
        cloud.control.forget_requests()
        assert "changed=0" in proven(cloud)
        assert cloud.writes() == []

    def test_data_is_kept_and_its_cost_is_told(self, cloud: Cloud, its: Belongings) -> None:
        cloud.machines("reader")
        data = its.data_volume("reader")
        shown = proven(cloud)
        assert "Kept on purpose:" in shown
        assert data in shown
        assert "8.00 USD/month" in shown
        assert its.exists(data=data) == {"data"}

    def test_purge_deletes_data_and_images_with_their_snapshots(self, cloud: Cloud, its: Belongings) -> None:
        cloud.machines("reader")
        image = its.image(cloud.instances()[0]["InstanceId"], f"{cloud.project}-baked")
        mapping = its.ec2.describe_images(ImageIds=[image])["Images"][0]["BlockDeviceMappings"]
        data = its.data_volume("reader")
        things = {
            "image": image,
            "snapshot": mapping[0]["Ebs"]["SnapshotId"],
            "data": data,
            "copy": its.snapshot(data, Kind="data", Name="reader-data"),
        }
        assert its.exists(**things) == set(things)
        proven(cloud, purge="data,images")
        assert its.exists(**things) == set()

    def test_purge_leaves_the_data_of_other_machines(self, cloud: Cloud, its: Belongings) -> None:
        cloud.machines("bob")
        things = {"bob": its.data_volume("bob"), "alice": its.data_volume("alice")}
        proven(cloud, only="bob", purge="data")
        assert its.exists(**things) == {"alice"}

    def test_purge_with_all_leaves_no_data(self, cloud: Cloud, its: Belongings) -> None:
        things = {"bob": its.data_volume("bob"), "alice": its.data_volume("alice")}
        proven(cloud, all="yes", purge="data", keep="")
        assert its.exists(**things) == set()

    @pytest.mark.slow
    def test_an_image_that_nobody_asked_to_keep_fails_it_with_the_command(self, cloud: Cloud, its: Belongings) -> None:
        cloud.machines("reader")
        image = its.image(cloud.instances()[0]["InstanceId"], f"{cloud.project}-baked")
        done = terminated(cloud)
        said = done.stdout + done.stderr
        assert done.returncode != 0
        assert f"aws ec2 --region us-east-1 deregister-image --image-id {image}" in said
        assert "2 of the things that" in said
        assert "named by keep (data, images)" in said
        proven(cloud, keep="data,images")
        proven(cloud, purge=["images"])
        assert its.exists(image=image) == set()

    @pytest.mark.slow
    def test_the_project_keeps_key_and_group_while_it_has_machines(self, cloud: Cloud, its: Belongings) -> None:
        cloud.machines("reader", "bob")
        things = {"key": its.key(), "group": its.group()}
        proven(cloud, only="bob")
        assert (states(cloud), its.exists(**things)) == ({"reader": "running"}, {"key", "group"})
        proven(cloud, all="yes")
        assert (states(cloud), its.exists(**things)) == ({}, set())

    @pytest.mark.slow
    def test_a_group_in_use_elsewhere_is_told_and_a_later_run_finishes(self, cloud: Cloud, its: Belongings) -> None:
        cloud.machines("reader")
        things = {"key": its.key(), "group": its.group()}
        cloud.control.fail("DeleteSecurityGroup", "DependencyViolation", message="resource has a dependent object")
        done = terminated(cloud, ec2_timeout=6)
        assert done.returncode != 0
        assert f"delete-security-group --group-id {things['group']}" in done.stdout + done.stderr
        assert its.exists(**things) == {"group"}
        cloud.control.clear()
        proven(cloud)
        assert its.exists(**things) == set()

    def test_a_group_that_is_free_after_a_while_is_waited_for(self, cloud: Cloud, its: Belongings) -> None:
        group = its.group()
        cloud.control.fail(
            "DeleteSecurityGroup", "DependencyViolation", message="resource has a dependent object", times=1
        )
        proven(cloud)
        assert its.exists(group=group) == set()

    def test_a_run_that_failed_half_way_is_finished_by_the_next(self, cloud: Cloud, its: Belongings) -> None:
        cloud.machines("reader")
        things = {"key": its.key(), "group": its.group()}
        cloud.control.forbid("ec2:DeleteKeyPair")
        assert terminated(cloud).returncode != 0
        assert states(cloud) == {}
        cloud.control.clear()
        proven(cloud)
        assert its.exists(**things) == set()

    def test_things_without_our_tags_stay(self, cloud: Cloud, its: Belongings) -> None:
        group = its.ec2.create_security_group(GroupName=f"{cloud.project}-other", Description="theirs")["GroupId"]
        proven(cloud)
        assert its.exists(group=group) == {"group"}

    def test_check_mode_deletes_nothing(self, cloud: Cloud, its: Belongings) -> None:
        cloud.machines("reader")
        things = {"key": its.key(), "group": its.group(), "data": its.data_volume("reader")}
        cloud.control.forget_requests()
        done = cloud.playbook("terminate", "--check", confirm="yes", purge="data")
        assert done.returncode == 0, done.stdout + done.stderr
        assert cloud.writes() == []
        assert (states(cloud), its.exists(**things)) == ({"reader": "running"}, set(things))
