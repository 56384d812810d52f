"""Faults on request, and the journal of requests."""

import time

import pytest
from local_cloud import Cloud, answer, refused

from local_ec2.control import Control, ControlError


@pytest.fixture
def control(bare: Cloud) -> Control:
    return bare.control


def describe(bare: Cloud) -> None:
    bare.client("ec2").describe_instances()


@pytest.mark.parametrize(
    ("service", "method", "arguments"),
    [
        ("ec2", "describe_instances", {}),
        ("sts", "get_caller_identity", {}),
        ("ssm", "get_parameter", {"Name": "/x"}),
        ("pricing", "describe_services", {}),
        ("service-quotas", "get_service_quota", {"ServiceCode": "ec2", "QuotaCode": "L-DB2E81BA"}),
    ],
)
def test_each_protocol_has_its_own_form_of_error(
    bare: Cloud, control: Control, service: str, method: str, arguments: dict[str, str]
) -> None:
    control.fail("*", "Teapot", message="<short & stout>", status=418)
    client = bare.client(service)
    assert answer(getattr(client, method), **arguments) == (418, "Teapot", "<short & stout>")


@pytest.mark.parametrize(
    ("code", "status"),
    [("InsufficientInstanceCapacity", 500), ("RequestLimitExceeded", 503), ("VcpuLimitExceeded", 400)],
)
def test_an_error_has_the_status_that_ec2_gives_it(bare: Cloud, control: Control, code: str, status: int) -> None:
    control.fail("DescribeInstances", code)
    assert answer(bare.client("ec2").describe_instances)[:2] == (status, code)


def test_a_fault_ends_after_its_times(bare: Cloud, control: Control) -> None:
    control.throttle("Describe*", times=2)
    for _ in range(2):
        assert refused(bare.client("ec2").describe_instances) == "RequestLimitExceeded"
    describe(bare)
    assert control.faults()[0]["times"] == 0


def test_calls_pass_until_the_fault_begins(bare: Cloud, control: Control) -> None:
    control.fail("DescribeInstances", "InternalError", skip=1, times=1)
    describe(bare)
    assert refused(bare.client("ec2").describe_instances) == "InternalError"
    describe(bare)


def test_a_zone_is_that_of_the_placement_or_of_the_subnet(bare: Cloud, control: Control) -> None:
    when = {"InstanceType": "t3.nano", "AvailabilityZone": "us-east-1b", "Market": "spot"}
    control.fail("RunInstances", "InsufficientInstanceCapacity", when=when)
    client = bare.client("ec2")
    filters = [{"Name": "availability-zone", "Values": ["us-east-1b"]}]
    subnet = client.describe_subnets(Filters=filters)["Subnets"][0]["SubnetId"]
    spot = {
        "InstanceType": "t3.nano",
        "InstanceMarketOptions": {"MarketType": "spot"},
        "KeyName": "none",
        "DryRun": True,
    }
    for where in (
        {"Placement": {"AvailabilityZone": "us-east-1b"}},
        {"SubnetId": subnet},
        {"NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": subnet}]},
    ):
        assert refused(bare.launch, **spot, **where) == "InsufficientInstanceCapacity"
        assert "t3.nano" in answer(bare.launch, **spot, **where)[2]
    for other in ({"InstanceType": "t3.micro"}, {"InstanceMarketOptions": {}}, {"Placement": {}}):
        asked = spot | {"Placement": {"AvailabilityZone": "us-east-1b"}} | other
        assert refused(bare.launch, **asked) == "DryRunOperation"


def test_a_later_page_can_fail(bare: Cloud, control: Control) -> None:
    control.fail("DescribeInstances", "InternalError", when={"NextToken": "*"})
    describe(bare)
    assert refused(bare.client("ec2").describe_instances, NextToken="r-1") == "InternalError"


def test_a_call_can_be_slow(bare: Cloud, control: Control) -> None:
    control.slow("DescribeInstances", 0.5, times=1)
    begun = time.monotonic()
    describe(bare)
    assert time.monotonic() - begun >= 0.5


def test_what_is_asked_can_be_done_and_the_answer_lost(bare: Cloud, control: Control) -> None:
    client = bare.client("ec2")
    control.lose("CreateSecurityGroup")
    assert refused(client.create_security_group, GroupName="lost", Description="-") == "InternalError"
    (found,) = client.describe_security_groups(GroupNames=["lost"])["SecurityGroups"]
    client.delete_security_group(GroupId=found["GroupId"])


def test_credentials_fail_as_each_service_says_it(bare: Cloud, control: Control) -> None:
    ec2, sts, ssm = (bare.client(name) for name in ("ec2", "sts", "ssm"))
    control.expired_credentials()
    assert answer(ec2.describe_instances)[:2] == (400, "RequestExpired")
    assert answer(sts.get_caller_identity)[:2] == (403, "ExpiredToken")
    assert answer(ssm.get_parameter, Name="/x")[:2] == (400, "ExpiredTokenException")
    control.clear()
    control.wrong_credentials()
    assert answer(ec2.describe_instances)[:2] == (401, "AuthFailure")
    assert answer(sts.get_caller_identity)[:2] == (403, "InvalidClientTokenId")


def test_a_missing_permission_names_the_action(bare: Cloud, control: Control) -> None:
    control.forbid("ec2:RunInstances")
    status, code, message = answer(bare.launch)
    assert (status, code) == (403, "UnauthorizedOperation")
    assert "perform: ec2:RunInstances on" in message


def test_the_journal_tells_each_call(bare: Cloud, control: Control) -> None:
    control.fail("DescribeVpcs", "AuthFailure")
    before = time.time()
    bare.client("service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode="L-DB2E81BA")
    refused(bare.client("ec2").describe_vpcs)
    refused(bare.client("ec2").describe_volumes, VolumeIds=["vol-0123456789abcdef0"])
    quota, vpcs, volumes = control.requests()
    assert (quota["service"], quota["action"], quota["status"], quota["code"]) == (
        "servicequotas",
        "GetServiceQuota",
        200,
        "",
    )
    assert (vpcs["status"], vpcs["code"]) == (401, "AuthFailure")
    assert (volumes["status"], volumes["code"]) == (400, "InvalidVolume.NotFound")
    assert before - 1 <= quota["at"] <= time.time()
    assert quota["region"] == "us-east-1"
    assert "Botocore" in quota["agent"] or "Boto3" in quota["agent"]
    assert control.actions() == {"servicequotas:GetServiceQuota", "ec2:DescribeVpcs", "ec2:DescribeVolumes"}
    control.forget_requests()
    assert control.requests() == []


def test_a_fault_that_cannot_be_is_refused(control: Control) -> None:
    with pytest.raises(ControlError, match="colour"):
        control._ask("POST", "faults", [{"action": "RunInstances", "colour": "red"}])
    with pytest.raises(ControlError, match="faults"):
        control._ask("GET", "nothing")
