"""Spot instances through RunInstances."""

import pytest
from local_cloud import Cloud, eventually, refused

from local_ec2.control import ControlError

ONE_TIME = {"MarketType": "spot"}
PERSISTENT = {
    "MarketType": "spot",
    "SpotOptions": {"SpotInstanceType": "persistent", "InstanceInterruptionBehavior": "stop"},
}
TAGS = [{"Key": "Project", "Value": "here"}]


def launch(bare: Cloud, market: dict, **options: object) -> str:
    specifications = [{"ResourceType": kind, "Tags": TAGS} for kind in ("instance", "spot-instances-request")]
    (instance,) = bare.launch(InstanceMarketOptions=market, TagSpecifications=specifications, **options)
    bare.in_state(instance, "running")
    return instance


def request(bare: Cloud, instance: str) -> dict:
    ids = [bare.instance(instance)["SpotInstanceRequestId"]]
    return bare.client("ec2").describe_spot_instance_requests(SpotInstanceRequestIds=ids)["SpotInstanceRequests"][0]


def test_a_spot_instance_has_its_request(bare: Cloud) -> None:
    instance = launch(bare, ONE_TIME)
    assert bare.instance(instance)["InstanceLifecycle"] == "spot"
    found = request(bare, instance)
    assert (found["State"], found["Type"], found["InstanceId"]) == ("active", "one-time", instance)
    assert found["Status"]["Code"] == "fulfilled"
    assert found["Tags"] == TAGS
    filters = [{"Name": "tag:Project", "Values": ["here"]}, {"Name": "state", "Values": ["active"]}]
    by_tag = bare.client("ec2").describe_spot_instance_requests(Filters=filters)["SpotInstanceRequests"]
    assert found["SpotInstanceRequestId"] in [one["SpotInstanceRequestId"] for one in by_tag]


def test_on_demand_has_none(bare: Cloud) -> None:
    (instance,) = bare.launch()
    assert not {"InstanceLifecycle", "SpotInstanceRequestId"} & bare.instance(instance).keys()


def test_a_one_time_request_ends_with_its_instance_and_cannot_stop(bare: Cloud) -> None:
    instance = launch(bare, ONE_TIME)
    assert refused(bare.client("ec2").stop_instances, InstanceIds=[instance]) == "UnsupportedOperation"
    bare.client("ec2").terminate_instances(InstanceIds=[instance])
    bare.in_state(instance, "terminated")
    assert request(bare, instance)["State"] == "closed"


def test_a_persistent_one_stops_and_starts(bare: Cloud) -> None:
    instance = launch(bare, PERSISTENT)
    client = bare.client("ec2")
    client.stop_instances(InstanceIds=[instance])
    bare.in_state(instance, "stopped")
    assert request(bare, instance)["State"] == "disabled"
    client.start_instances(InstanceIds=[instance])
    bare.in_state(instance, "running")
    assert request(bare, instance)["State"] == "active"
    client.cancel_spot_instance_requests(SpotInstanceRequestIds=[request(bare, instance)["SpotInstanceRequestId"]])


def test_terminating_without_cancelling_brings_another(bare: Cloud) -> None:
    client = bare.client("ec2")
    first = launch(bare, PERSISTENT)
    made = request(bare, first)["SpotInstanceRequestId"]
    client.terminate_instances(InstanceIds=[first])
    (second,) = eventually(lambda: bare.instances("pending", "running"))
    assert (second["SpotInstanceRequestId"], second["InstanceLifecycle"]) == (made, "spot")
    bare.in_state(second["InstanceId"], "running")
    (cancelled,) = client.cancel_spot_instance_requests(SpotInstanceRequestIds=[made])["CancelledSpotInstanceRequests"]
    assert cancelled["State"] == "cancelled"
    client.terminate_instances(InstanceIds=[second["InstanceId"]])
    bare.in_state(second["InstanceId"], "terminated")
    with pytest.raises(AssertionError):
        eventually(lambda: bare.instances("pending", "running"), seconds=2)
    assert request(bare, second["InstanceId"])["State"] == "cancelled"


def test_a_price_that_is_too_low_is_refused(bare: Cloud) -> None:
    cheap = {"MarketType": "spot", "SpotOptions": {"MaxPrice": "0.0001"}}
    assert refused(bare.launch, InstanceMarketOptions=cheap) == "SpotMaxPriceTooLow"
    launch(bare, {"MarketType": "spot", "SpotOptions": {"MaxPrice": "0.0104"}})


def test_a_persistent_request_that_terminates_is_refused(bare: Cloud) -> None:
    market = {"MarketType": "spot", "SpotOptions": {"SpotInstanceType": "persistent"}}
    assert refused(bare.launch, InstanceMarketOptions=market) == "InvalidParameterCombination"


def test_spot_prices_are_believable_and_stable(bare: Cloud) -> None:
    asked = {"InstanceTypes": ["g4dn.xlarge"], "ProductDescriptions": ["Linux/UNIX"]}
    history, again = (bare.client("ec2").describe_spot_price_history(**asked)["SpotPriceHistory"] for _ in range(2))
    prices = {one["AvailabilityZone"]: float(one["SpotPrice"]) for one in history}
    assert len(prices) >= 4
    assert all(0.3 * 0.526 <= price <= 0.6 * 0.526 for price in prices.values())
    assert len(set(prices.values())) > 1
    assert again == history


def test_spot_prices_are_of_the_zones_asked_for(bare: Cloud) -> None:
    filters = [{"Name": "availability-zone", "Values": ["us-east-1b"]}]
    found = bare.client("ec2").describe_spot_price_history(InstanceTypes=["c5.xlarge"], Filters=filters)
    assert [one["AvailabilityZone"] for one in found["SpotPriceHistory"]] == ["us-east-1b"]


def test_ec2_takes_an_instance_back(bare: Cloud) -> None:
    one_time, persistent = launch(bare, ONE_TIME), launch(bare, PERSISTENT)
    for instance in (one_time, persistent):
        bare.control.interrupt(instance)
    gone = bare.in_state(one_time, "terminated")
    assert gone["StateReason"]["Code"] == "Server.SpotInstanceTermination"
    assert request(bare, one_time)["Status"]["Code"] == "instance-terminated-no-capacity"
    asleep = bare.in_state(persistent, "stopped")
    assert asleep["StateReason"]["Code"] == "Server.SpotInstanceShutdown"
    assert refused(bare.client("ec2").start_instances, InstanceIds=[persistent]) == "IncorrectSpotRequestState"
    ids = [request(bare, persistent)["SpotInstanceRequestId"]]
    bare.client("ec2").cancel_spot_instance_requests(SpotInstanceRequestIds=ids)
    (on_demand,) = bare.launch()
    with pytest.raises(ControlError, match="no Spot"):
        bare.control.interrupt(on_demand)
