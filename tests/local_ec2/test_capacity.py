"""Capacity and quotas, as EC2 has them and as a test sets them."""

import pytest
from local_cloud import Cloud, answer, refused

ZONE = "us-east-1b"
IN_ZONE = {"Placement": {"AvailabilityZone": ZONE}}
ON_DEMAND_G, SPOT_G = "L-DB2E81BA", "L-3819A6DF"
SPOT = {"InstanceMarketOptions": {"MarketType": "spot"}}


def quota(bare: Cloud, **arguments: object) -> dict:
    client = bare.client("service-quotas")
    return client.get_service_quota(ServiceCode="ec2", QuotaCode=ON_DEMAND_G, **arguments)["Quota"]


def test_as_many_are_launched_as_there_is_room_for(bare: Cloud) -> None:
    bare.control.capacity(7, "t3.micro", ZONE)
    assert len(bare.launch(MinCount=1, MaxCount=10, **IN_ZONE)) == 7
    status, code, message = answer(bare.launch, **IN_ZONE)
    assert (status, code) == (500, "InsufficientInstanceCapacity")
    assert f"sufficient t3.micro capacity in the Availability Zone you requested ({ZONE})" in message
    assert "us-east-1a" in message


def test_fewer_than_the_least_are_not_launched(bare: Cloud) -> None:
    bare.control.capacity(2, "t3.micro", ZONE)
    assert refused(bare.launch, MinCount=3, MaxCount=3, **IN_ZONE) == "InsufficientInstanceCapacity"
    assert bare.instances("pending", "running") == []
    assert len(bare.launch(MinCount=2, MaxCount=3, **IN_ZONE)) == 2


def test_all_are_launched_and_numbered(bare: Cloud) -> None:
    answer = bare.client("ec2").run_instances(ImageId=bare.image(), InstanceType="t3.micro", MinCount=1, MaxCount=4)
    assert [instance["AmiLaunchIndex"] for instance in answer["Instances"]] == [0, 1, 2, 3]


def test_a_launch_without_a_zone_finds_one_with_capacity(bare: Cloud) -> None:
    bare.control.no_capacity(zone="us-east-1a")
    (instance,) = bare.launch()
    assert bare.instance(instance)["Placement"]["AvailabilityZone"] != "us-east-1a"


def test_a_market_has_capacity_of_its_own(bare: Cloud) -> None:
    bare.control.no_capacity(market="spot")
    assert refused(bare.launch, **SPOT) == "InsufficientInstanceCapacity"
    bare.launch()


def test_a_stopped_instance_needs_capacity_to_start(bare: Cloud) -> None:
    (instance,) = bare.launch(**IN_ZONE)
    bare.in_state(instance, "running")
    bare.client("ec2").stop_instances(InstanceIds=[instance])
    bare.in_state(instance, "stopped")
    bare.control.no_capacity("t3.micro", ZONE)
    assert refused(bare.client("ec2").start_instances, InstanceIds=[instance]) == "InsufficientInstanceCapacity"
    assert bare.instance(instance)["State"]["Name"] == "stopped"
    bare.control.clear()
    bare.client("ec2").start_instances(InstanceIds=[instance])
    bare.in_state(instance, "running")


def test_vcpus_count_by_family_and_market(bare: Cloud) -> None:
    bare.control.quota(ON_DEMAND_G, 8)
    bare.launch(InstanceType="g4dn.xlarge")
    status, code, message = answer(bare.launch, InstanceType="g5.2xlarge")
    assert (status, code) == (400, "VcpuLimitExceeded")
    assert "vCPU limit of 8 allows" in message
    bare.launch(InstanceType="g5.xlarge")
    bare.launch(InstanceType="g5.xlarge", **SPOT)
    bare.launch(InstanceType="c5.xlarge")


def test_the_spot_quota_has_an_error_of_its_own(bare: Cloud) -> None:
    bare.control.quota(SPOT_G, 3)
    assert refused(bare.launch, InstanceType="g5.xlarge", **SPOT) == "MaxSpotInstanceCountExceeded"


def test_stopped_machines_do_not_count_until_they_start(bare: Cloud) -> None:
    client = bare.client("ec2")
    bare.control.quota(ON_DEMAND_G, 4)
    (stopped,) = bare.launch(InstanceType="g5.xlarge")
    bare.in_state(stopped, "running")
    client.stop_instances(InstanceIds=[stopped])
    bare.in_state(stopped, "stopped")
    bare.launch(InstanceType="g5.xlarge")
    assert refused(client.start_instances, InstanceIds=[stopped]) == "VcpuLimitExceeded"


@pytest.mark.parametrize(
    ("type", "market", "code"),
    [
        ("c5.xlarge", {}, "L-1216C47A"),
        ("i3.large", {}, "L-1216C47A"),
        ("p4d.24xlarge", {}, "L-417A185B"),
        ("p4d.24xlarge", SPOT, "L-7212CCBC"),
        ("p5.48xlarge", SPOT, "L-C4BD4855"),
        ("inf1.xlarge", {}, "L-1945791B"),
        ("f2.6xlarge", {}, "L-74FC7D96"),
    ],
)
def test_each_family_has_its_quota(bare: Cloud, type: str, market: dict, code: str) -> None:
    bare.control.quota(code, 0)
    expected = "MaxSpotInstanceCountExceeded" if market else "VcpuLimitExceeded"
    assert refused(bare.launch, InstanceType=type, **market) == expected


def test_a_quota_is_told_with_its_default(bare: Cloud) -> None:
    bare.control.quota(ON_DEMAND_G, 12)
    found = quota(bare)
    assert (found["Value"], found["QuotaName"]) == (12, "Running On-Demand G and VT instances")
    assert found["QuotaArn"].endswith(f":ec2/{ON_DEMAND_G}")
    client = bare.client("service-quotas")
    default = client.get_aws_default_service_quota(ServiceCode="ec2", QuotaCode=ON_DEMAND_G)["Quota"]
    assert default["Value"] == 0
    assert refused(client.get_service_quota, ServiceCode="ec2", QuotaCode="L-00000000") == "NoSuchResourceException"


def test_quotas_are_listed_in_pages(bare: Cloud) -> None:
    paginator = bare.client("service-quotas").get_paginator("list_service_quotas")
    pages = list(paginator.paginate(ServiceCode="ec2", PaginationConfig={"PageSize": 5}))
    assert [len(page["Quotas"]) for page in pages] == [5, 5, 5, 2]
    assert len({one["QuotaCode"] for page in pages for one in page["Quotas"]}) == 17


def test_an_increase_is_asked_for_once(bare: Cloud) -> None:
    bare.control.quota(ON_DEMAND_G, 0)
    client = bare.client("service-quotas")
    ask = {"ServiceCode": "ec2", "QuotaCode": ON_DEMAND_G, "DesiredValue": 4.0}
    case = client.request_service_quota_increase(**ask)["RequestedQuota"]
    assert (case["Status"], case["DesiredValue"]) == ("PENDING", 4)
    assert refused(client.request_service_quota_increase, **ask) == "ResourceAlreadyExistsException"
    assert client.get_requested_service_quota_change(RequestId=case["Id"])["RequestedQuota"]["Status"] == "PENDING"
    list_by_quota = client.list_requested_service_quota_change_history_by_quota
    (listed,) = list_by_quota(ServiceCode="ec2", QuotaCode=ON_DEMAND_G)["RequestedQuotas"]
    assert listed["Id"] == case["Id"]
    assert list_by_quota(ServiceCode="ec2", QuotaCode=SPOT_G)["RequestedQuotas"] == []
    assert quota(bare)["Value"] == 0
