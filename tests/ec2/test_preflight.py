"""The ec2_preflight module: what it asks, what it refuses, and that it changes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import SOON, Cloud

G_ON_DEMAND, G_SPOT, STANDARD = "L-DB2E81BA", "L-3819A6DF", "L-1216C47A"


@pytest.fixture
def quota(cloud: Cloud) -> Iterator[Any]:
    """Sets a quota for one test."""
    quotas = cloud.client("service-quotas")
    before: dict[str, float] = {}

    def put(code: str, value: float) -> None:
        before.setdefault(code, quotas.get_service_quota(ServiceCode="ec2", QuotaCode=code)["Quota"]["Value"])
        cloud.control.quota(code, value)

    yield put
    for code, value in before.items():
        cloud.control.quota(code, value)


def in_use(cloud: Cloud, kind: str) -> int:
    """vCPUs of the types of a letter that run on demand in the whole account."""
    found = cloud.client().describe_instances(
        Filters=[{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    )["Reservations"]
    on_demand = [one for each in found for one in each["Instances"] if "InstanceLifecycle" not in one]
    types = [one["InstanceType"] for one in on_demand if one["InstanceType"].startswith(kind)]
    if not types:
        return 0
    told = cloud.client().describe_instance_types(InstanceTypes=sorted(set(types)))["InstanceTypes"]
    sizes = {one["InstanceType"]: one["VCpuInfo"]["DefaultVCpus"] for one in told}
    return sum(sizes[one] for one in types)


class TestWhatItAsks:
    def test_it_changes_nothing_and_is_quick(self, cloud: Cloud) -> None:
        started = time.monotonic()
        result = cloud.preflight("alice", "bob")
        assert time.monotonic() - started < 2
        assert (result["missing"], cloud.writes()) == (["alice", "bob"], [])
        assert not [one for one in cloud.control.requests() if one["code"]]

    def test_with_nothing_to_do_it_asks_for_the_machines_and_the_group_alone(self, cloud: Cloud) -> None:
        cloud.machines("reader")
        cloud.control.forget_requests()
        result = cloud.preflight("reader")
        asked = sorted(one["action"] for one in cloud.control.requests())
        assert asked == ["DescribeInstances", "DescribeSecurityGroups"]
        assert (result["missing"], result["asleep"], result["lines"]) == ([], [], [])

    def test_a_machine_of_another_type_is_left_as_it_is_and_spoken_of(self, cloud: Cloud) -> None:
        cloud.machines("reader", "bob", places=cloud.places("g4dn.xlarge"))
        (line,) = cloud.preflight("reader", "bob", instance_types=["g5.xlarge", "g6.xlarge"])["lines"]
        assert "note         reader, bob: g4dn.xlarge and not g5.xlarge or g6.xlarge, as a machine keeps" in line
        assert "modify-instance-attribute --instance-id i-" in line
        assert " --instance-type Value=g5.xlarge, start.yml" in line
        assert cloud.preflight("reader", instance_types=["g5.xlarge", "g4dn.xlarge"])["lines"] == []

    def test_places_are_in_the_order_of_the_wish(self, cloud: Cloud) -> None:
        result = cloud.preflight(instance_types=["g5.xlarge", "g4dn.xlarge"], spot=True, spot_fallback=True)
        places = result["candidates"]["reader"]
        order = list(dict.fromkeys((place["market"], place["instance_type"]) for place in places))
        assert order == [
            ("spot", "g5.xlarge"),
            ("spot", "g4dn.xlarge"),
            ("on-demand", "g5.xlarge"),
            ("on-demand", "g4dn.xlarge"),
        ]
        prices = [place["usd"] for place in places if (place["market"], place["instance_type"]) == order[0]]
        assert prices == sorted(prices)

    def test_a_type_of_its_own_is_the_only_one(self, cloud: Cloud) -> None:
        machines = [{"name": "a"}, {"name": "b", "instance_type": "c5.xlarge"}]
        result = cloud.preflight(machines=machines)
        assert {place["instance_type"] for place in result["candidates"]["b"]} == {"c5.xlarge"}
        assert {place["instance_type"] for place in result["candidates"]["a"]} == {"g4dn.xlarge"}

    def test_zones_without_the_type_are_left_out(self, cloud: Cloud) -> None:
        """D3."""
        result = cloud.preflight(instance_types=["p4d.24xlarge"], volume_size=100)
        zones = {place["zone"] for place in result["candidates"]["reader"]}
        offers = cloud.client().describe_instance_type_offerings(
            LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["p4d.24xlarge"]}]
        )["InstanceTypeOfferings"]
        assert zones == {offer["Location"] for offer in offers} != set()

    def test_the_price_is_told_before_it_is_paid(self, cloud: Cloud) -> None:
        text = "\n".join(cloud.preflight("alice", "bob")["lines"])
        assert "g4dn.xlarge (4 vCPUs, 1 T4), on demand in us-east-1a, 0.526 USD per hour (Pricing API)" in text
        assert "1.052 USD per hour while running; 6.40 USD a month for 40 GB of disk each" in text

    def test_without_the_pricing_api_the_table_tells_it(self, cloud: Cloud) -> None:
        cloud.control.forbid("pricing:GetProducts")
        assert "(table of 20" in "\n".join(cloud.preflight()["lines"])

    def test_the_zone_of_the_data_volume_comes_first(self, cloud: Cloud) -> None:
        tags = {"Project": cloud.project, "Kind": "data", "Name": "reader-data", "Machine": "reader"}
        spec = [{"ResourceType": "volume", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]
        made = cloud.client().create_volume(AvailabilityZone="us-east-1c", Size=1, TagSpecifications=spec)
        result = cloud.preflight(data_volume_size=1)
        assert result["candidates"]["reader"][0]["zone"] == "us-east-1c"
        # One that is still being made cannot be deleted.
        cloud.client().get_waiter("volume_available").wait(VolumeIds=[made["VolumeId"]], WaiterConfig=SOON)
        cloud.client().delete_volume(VolumeId=made["VolumeId"])


class TestQuotas:
    def test_too_small_a_quota_is_refused_with_its_figures(self, cloud: Cloud, quota: Any) -> None:
        quota(G_ON_DEMAND, in_use(cloud, "g") + 9)
        result = cloud.preflight("a", "b", "c")
        assert f"({G_ON_DEMAND}) in us-east-1 allows" in result["msg"]
        assert "3 g4dn.xlarge need 12: 2 of the 3 fit" in result["msg"]
        assert "request_quota=yes" in result["msg"]
        assert cloud.writes() == []

    def test_spot_has_a_quota_of_its_own(self, cloud: Cloud, quota: Any) -> None:
        quota(G_ON_DEMAND, 0)
        assert cloud.preflight(spot=True)["candidates"]["reader"]
        assert "failed" in cloud.preflight()

    def test_another_family_that_is_listed_is_taken(self, cloud: Cloud, quota: Any) -> None:
        quota(G_ON_DEMAND, 0)
        result = cloud.preflight(instance_types=["g4dn.xlarge", "c5.xlarge"])
        assert {place["instance_type"] for place in result["candidates"]["reader"]} == {"c5.xlarge"}
        assert any("note" in line and G_ON_DEMAND in line for line in result["lines"])

    def test_a_stopped_machine_counts_too(self, cloud: Cloud, quota: Any) -> None:
        cloud.machines("reader")
        cloud.client().stop_instances(InstanceIds=[cloud.instances()[0]["InstanceId"]])
        quota(G_ON_DEMAND, in_use(cloud, "g"))
        assert G_ON_DEMAND in cloud.preflight("reader")["msg"]

    def test_an_increase_is_asked_for_once(self, cloud: Cloud, quota: Any) -> None:
        quota(STANDARD, 0)
        asked = cloud.preflight(instance_types=["c5.xlarge"], request_quota=True)
        assert "is PENDING (request" in asked["msg"]
        again = cloud.preflight(instance_types=["c5.xlarge"], request_quota=True)
        assert "was requested before, and is PENDING" in again["msg"]
        assert "RequestServiceQuotaIncrease" in cloud.writes()

    def test_check_mode_asks_for_no_increase(self, cloud: Cloud, quota: Any) -> None:
        quota(STANDARD, 0)
        cloud.preflight(instance_types=["c5.xlarge"], request_quota=True, check=True)
        assert cloud.writes() == []

    def test_a_quota_that_may_not_be_read_is_no_obstacle(self, cloud: Cloud) -> None:
        cloud.control.forbid("servicequotas:GetServiceQuota")
        result = cloud.preflight()
        assert any("could not be read (AccessDeniedException)" in line for line in result["lines"])


class TestImages:
    def test_without_the_parameter_it_is_found_by_owner_and_name(self, cloud: Cloud) -> None:
        """D16: the newest of that name is an impostor's."""
        by_parameter = cloud.preflight(ami="ubuntu2204")["image"]
        cloud.control.forbid("ssm:GetParameter")
        by_name = cloud.preflight(ami="ubuntu2204")
        assert by_name["image"]["id"] == by_parameter["id"]
        assert by_name["image"]["owner"] == "099720109477"
        assert any("looked by name instead" in line for line in by_name["lines"])

    @pytest.mark.parametrize(
        ("ami", "user"), [("ubuntu2404", "ubuntu"), ("debian12", "admin"), ("dlami2204", "ubuntu")]
    )
    def test_each_system_has_its_user(self, cloud: Cloud, ami: str, user: str) -> None:
        assert cloud.preflight(ami=ami, volume_size=100)["image"]["user"] == user

    def test_an_own_image_by_its_name(self, cloud: Cloud) -> None:
        cloud.machines("reader")
        tags = [{"Key": "LoginUser", "Value": "somebody"}, {"Key": "Project", "Value": cloud.project}]
        made = cloud.client().create_image(
            InstanceId=cloud.instances()[0]["InstanceId"],
            Name=f"of-{cloud.project}",
            TagSpecifications=[{"ResourceType": "image", "Tags": tags}],
        )
        cloud.client().get_waiter("image_available").wait(ImageIds=[made["ImageId"]], WaiterConfig=SOON)
        image = cloud.preflight("other", ami=f"of-{cloud.project}")["image"]
        assert (image["id"], image["user"]) == (made["ImageId"], "somebody")


class TestRefusals:
    @pytest.mark.parametrize(
        ("fault", "says"),
        [
            ("expired_credentials", "have expired"),
            ("wrong_credentials", "does not accept these credentials"),
        ],
    )
    def test_credentials_end_it_within_three_seconds(self, cloud: Cloud, fault: str, says: str) -> None:
        """D7."""
        getattr(cloud.control, fault)()
        started = time.monotonic()
        result = cloud.preflight()
        assert time.monotonic() - started < 3
        assert says in result["msg"]

    def test_a_missing_permission_is_named(self, cloud: Cloud) -> None:
        cloud.control.forbid("ec2:DescribeInstanceTypes")
        assert "may not do ec2:DescribeInstanceTypes" in cloud.preflight()["msg"]

    def test_an_api_that_nobody_answers_at(self, cloud: Cloud) -> None:
        result = cloud.preflight(endpoint_url="http://127.0.0.1:9")
        assert "does not answer" in result["msg"]

    def test_a_price_above_the_limit(self, cloud: Cloud) -> None:
        result = cloud.preflight(max_price=0.5)
        assert "g4dn.xlarge costs 0.526 USD per hour" in result["msg"]
        assert cloud.preflight(max_price=0.5, spot=True)["candidates"]["reader"]

    def test_all_that_is_wrong_is_said_at_once(self, cloud: Cloud) -> None:
        result = cloud.preflight("a b", volume_size=1, ssh_from="::/0", ami="?")
        assert len(result["refusals"]) == 4
        assert cloud.control.requests() == []

    def test_a_subnet_that_is_not_there(self, cloud: Cloud) -> None:
        result = cloud.preflight(subnet_ids=["subnet-00000000000000000"])
        assert "subnet-00000000000000000 is no subnet" in result["msg"]

    def test_two_machines_of_a_name_are_told(self, cloud: Cloud) -> None:
        cloud.machines("reader")
        twin = cloud.places()[0]
        cloud.client().run_instances(
            ImageId=cloud.image(),
            InstanceType=twin["instance_type"],
            MinCount=1,
            MaxCount=1,
            TagSpecifications=[
                {
                    "ResourceType": "instance",
                    "Tags": [{"Key": "Project", "Value": cloud.project}, {"Key": "Name", "Value": "reader"}],
                }
            ],
        )
        names = sorted(machine["name"] for machine in cloud.preflight("reader")["machines"])
        assert names[1] == "reader"
        assert names[0].startswith("i-")
