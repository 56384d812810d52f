"""What stands beside EC2: prices, callers, messages, regions."""

import json

import pytest
from local_cloud import Cloud, answer, refused

LINUX = {
    "regionCode": "us-east-1",
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
}


def products(bare: Cloud, **filters: str) -> list[dict]:
    asked = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in filters.items()]
    pages = bare.client("pricing").get_paginator("get_products").paginate(ServiceCode="AmazonEC2", Filters=asked)
    return [json.loads(one) for page in pages for one in page["PriceList"]]


def usd(product: dict) -> float:
    (offer,) = product["terms"]["OnDemand"].values()
    (dimension,) = offer["priceDimensions"].values()
    return float(dimension["pricePerUnit"]["USD"])


@pytest.mark.parametrize(
    ("type", "price"),
    [("g4dn.xlarge", 0.526), ("g5.xlarge", 1.006), ("g6.xlarge", 0.8048), ("c5.xlarge", 0.17), ("t3.micro", 0.0104)],
)
def test_an_instance_type_has_one_price(bare: Cloud, type: str, price: float) -> None:
    (product,) = products(bare, instanceType=type, **LINUX)
    assert product["product"]["attributes"]["instanceType"] == type
    assert usd(product) == price


def test_a_location_serves_for_a_region(bare: Cloud) -> None:
    (product,) = products(bare, instanceType="p4d.24xlarge", location="US East (N. Virginia)", operatingSystem="Linux")
    assert usd(product) == 21.96


def test_other_regions_have_other_prices(bare: Cloud) -> None:
    (product,) = products(bare, instanceType="g4dn.xlarge", **LINUX | {"regionCode": "ap-northeast-2"})
    assert usd(product) > 0.526


@pytest.mark.parametrize("asked", [{"instanceType": "x9.huge"}, {"instanceType": "t3.micro", "tenancy": "Dedicated"}])
def test_what_is_not_known_has_no_price(bare: Cloud, asked: dict[str, str]) -> None:
    assert products(bare, **LINUX | asked) == []


def test_a_disk_has_a_price(bare: Cloud) -> None:
    (product,) = products(bare, volumeApiName="gp3", regionCode="us-east-1", productFamily="Storage")
    assert usd(product) == 0.08


def test_all_pages_are_there(bare: Cloud) -> None:
    client = bare.client("pricing")
    asked = {"ServiceCode": "AmazonEC2", "Filters": [{"Type": "TERM_MATCH", "Field": "tenancy", "Value": "Shared"}]}
    pages = list(client.get_paginator("get_products").paginate(**asked, PaginationConfig={"PageSize": 100}))
    assert len(pages) > 2
    skus = [json.loads(one)["product"]["sku"] for page in pages for one in page["PriceList"]]
    assert len(skus) == len(set(skus))


def test_the_caller_is_known(bare: Cloud) -> None:
    identity = bare.client("sts").get_caller_identity()
    assert identity["Account"] == "123456789012"
    assert identity["Arn"].startswith("arn:aws:")


def test_an_authorization_message_is_decoded(bare: Cloud) -> None:
    bare.control.forbid("ec2:StartInstances")
    message = answer(bare.client("ec2").start_instances, InstanceIds=["i-0123456789abcdef0"])[2]
    encoded = message.rpartition("failure message: ")[2]
    sts = bare.client("sts")
    decoded = json.loads(sts.decode_authorization_message(EncodedMessage=encoded)["DecodedMessage"])
    assert decoded["context"]["action"] == "ec2:StartInstances"
    code = refused(sts.decode_authorization_message, EncodedMessage="no message")
    assert code == "InvalidAuthorizationMessageException"


@pytest.mark.parametrize("verb", ["run", "start", "stop", "terminate"])
def test_a_dry_run_changes_nothing(bare: Cloud, verb: str) -> None:
    (instance,) = bare.launch()
    bare.in_state(instance, "running")
    client = bare.client("ec2")
    call = bare.launch if verb == "run" else getattr(client, f"{verb}_instances")
    asked = {} if verb == "run" else {"InstanceIds": [instance]}
    assert answer(call, DryRun=True, **asked)[:2] == (412, "DryRunOperation")
    assert [one["InstanceId"] for one in bare.instances("running", "pending", "stopping")] == [instance]


@pytest.mark.parametrize(
    ("service", "method", "code"),
    [
        ("ec2", "describe_instances", "AuthFailure"),
        ("sts", "get_caller_identity", "SignatureDoesNotMatch"),
        ("service-quotas", "list_services", "InvalidSignatureException"),
    ],
)
def test_a_region_that_does_not_exist_answers_nothing(bare: Cloud, service: str, method: str, code: str) -> None:
    assert refused(getattr(bare.client(service, "us-esat-1"), method)) == code


def test_regions_and_zones_are_the_real_ones(bare: Cloud) -> None:
    client = bare.client("ec2", "ap-northeast-2")
    assert "ap-northeast-2" in [one["RegionName"] for one in client.describe_regions()["Regions"]]
    zones = client.describe_availability_zones()["AvailabilityZones"]
    assert {one["RegionName"] for one in zones} == {"ap-northeast-2"}
