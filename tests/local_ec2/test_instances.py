"""Instances: what the API says of a machine is true of the machine, and the other way round."""

import re
import subprocess
from pathlib import Path

import pytest
from local_cloud import Cloud, eventually, refused

from local_ec2.machines import GATEWAY
from local_ec2.podman import owned, podman


def host_keys(text: str) -> set[str]:
    """Type and key of each host key, without the comment."""
    return set(re.findall(r"((?:ssh|ecdsa)-\S+ AAAA\S+)", text))


def test_an_imported_key_opens_the_machine(cloud: Cloud, machine: str) -> None:
    assert cloud.ssh(machine, "sudo id -un").stdout == "root\n"


def test_a_created_key_opens_the_machine(cloud: Cloud, tmp_path: Path) -> None:
    made = cloud.client("ec2").create_key_pair(KeyName="created", KeyType="ed25519")
    key = tmp_path / "created"
    key.touch(0o600)
    key.write_text(made["KeyMaterial"])
    (instance,) = cloud.launch(KeyName="created")
    assert cloud.ssh(instance, "id -un", key).stdout == "admin\n"
    assert cloud.ssh(instance, "true").returncode == 255, "another key opens it too"
    cloud.client("ec2").terminate_instances(InstanceIds=[instance])


def test_the_console_shows_the_host_keys(cloud: Cloud, machine: str) -> None:
    block = re.search(
        r"-----BEGIN SSH HOST KEY KEYS-----\r?\n(.*?)-----END SSH HOST KEY KEYS-----", cloud.console(machine), re.S
    )
    address = cloud.instance(machine)["PublicIpAddress"]
    scan = subprocess.run(["ssh-keyscan", "-T", "30", address], capture_output=True, text=True, timeout=60, check=True)
    assert host_keys(block[1]) == host_keys(scan.stdout)
    assert len(host_keys(block[1])) == 3


def test_the_gateway_keeps_its_address(cloud: Cloud, machine: str, own_machine: str) -> None:
    cloud.client("ec2").terminate_instances(InstanceIds=[own_machine])
    cloud.in_state(own_machine, "terminated")
    route = cloud.ssh(machine, "ip -4 route show default").stdout.split()
    assert GATEWAY in cloud.ssh(machine, f"ip neighbour show {route[2]}").stdout


def test_systemd_is_content(cloud: Cloud, machine: str) -> None:
    assert cloud.ssh(machine, "systemctl is-system-running --wait").stdout == "running\n"


def test_the_temporary_folder_is_on_the_disk(cloud: Cloud, machine: str) -> None:
    mode, kind = cloud.ssh(machine, "stat -c %a /tmp; findmnt -no FSTYPE --target /tmp").stdout.split()
    assert mode == "1777"
    assert kind != "tmpfs"


def test_the_sandbox_of_a_unit_is_real(cloud: Cloud, machine: str) -> None:
    write = "sudo systemd-run --quiet --wait --pipe -p ProtectSystem=strict touch /usr/written"
    assert "Read-only file system" in cloud.ssh(machine, write).stderr


def test_the_machine_installs_packages(cloud: Cloud, machine: str) -> None:
    done = cloud.ssh(machine, "sudo apt-get -q update && apt-cache policy git")
    assert "Candidate: 1:" in done.stdout, done.stdout + done.stderr


def test_the_host_name_is_that_of_the_private_address(cloud: Cloud, machine: str) -> None:
    name = cloud.instance(machine)["PrivateDnsName"].partition(".")[0]
    assert cloud.ssh(machine, "hostname").stdout.strip() == name


def test_what_a_launch_asks_is_read_back(cloud: Cloud) -> None:
    (instance,) = cloud.launch(
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "一号"}]},
            {"ResourceType": "volume", "Tags": [{"Key": "Of", "Value": "disk"}]},
        ],
        BlockDeviceMappings=[
            {
                "DeviceName": "/dev/xvda",
                "Ebs": {"VolumeSize": 40, "VolumeType": "gp3", "Encrypted": True, "Throughput": 250},
            }
        ],
        MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
    )
    found = cloud.instance(instance)
    filters = [{"Name": "attachment.instance-id", "Values": [instance]}]
    (volume,) = cloud.client("ec2").describe_volumes(Filters=filters)["Volumes"]
    cloud.client("ec2").terminate_instances(InstanceIds=[instance])
    assert found["Tags"] == [{"Key": "Name", "Value": "一号"}]
    assert found["MetadataOptions"]["HttpTokens"] == "required"
    assert volume["Tags"] == [{"Key": "Of", "Value": "disk"}]
    assert (volume["Size"], volume["VolumeType"], volume["Encrypted"]) == (40, "gp3", True)
    assert (volume["Iops"], volume["Throughput"]) == (3000, 250)
    assert volume["Attachments"][0]["DeleteOnTermination"], "the image's own choice for its root volume is lost"


def test_a_launch_without_mappings_has_the_root_volume_of_the_image(cloud: Cloud, machine: str) -> None:
    assert [device["DeviceName"] for device in cloud.instance(machine)["BlockDeviceMappings"]] == ["/dev/xvda"]


def test_states_change_in_their_own_time(cloud: Cloud) -> None:
    client = cloud.client("ec2")
    answer = client.run_instances(ImageId=cloud.image(), InstanceType="t3.micro", MinCount=1, MaxCount=3)
    assert {instance["State"]["Name"] for instance in answer["Instances"]} == {"pending"}
    ids = [instance["InstanceId"] for instance in answer["Instances"]]
    addresses = {cloud.in_state(instance, "running")["PublicIpAddress"] for instance in ids}
    assert len(addresses) == 3
    client.terminate_instances(InstanceIds=ids)
    assert {cloud.instance(instance)["State"]["Name"] for instance in ids} <= {"shutting-down", "terminated"}
    for instance in ids:
        cloud.in_state(instance, "terminated")


def test_stop_and_start_keep_files_and_keys(cloud: Cloud, own_machine: str) -> None:
    client = cloud.client("ec2")
    before = cloud.ssh(own_machine, "date > kept; cat kept /etc/ssh/ssh_host_ed25519_key.pub").stdout
    client.stop_instances(InstanceIds=[own_machine])
    stopped = cloud.in_state(own_machine, "stopped")
    assert "PublicIpAddress" not in stopped
    client.start_instances(InstanceIds=[own_machine])
    assert cloud.instance(own_machine)["LaunchTime"] > stopped["LaunchTime"]
    assert cloud.ssh(own_machine, "cat kept /etc/ssh/ssh_host_ed25519_key.pub").stdout == before
    key = before.split()[-2]
    assert key not in cloud.console(own_machine), "the console is that of the latest boot, and keys are told once"


def uptime_stamp(cloud: Cloud, instance: str) -> str:
    return cloud.ssh(instance, "systemctl show --property=UserspaceTimestampMonotonic --value").stdout


def test_a_reboot_boots_again(cloud: Cloud, own_machine: str) -> None:
    before = uptime_stamp(cloud, own_machine)
    cloud.client("ec2").reboot_instances(InstanceIds=[own_machine])
    assert cloud.status(own_machine) == "initializing"
    assert cloud.instance(own_machine)["State"]["Name"] == "running"
    assert uptime_stamp(cloud, own_machine) not in ("", before)


def test_a_machine_that_reboots_itself_comes_back(cloud: Cloud, own_machine: str) -> None:
    before = uptime_stamp(cloud, own_machine)
    cloud.ssh(own_machine, "sudo systemctl reboot")
    eventually(lambda: cloud.status(own_machine) == "initializing")
    assert cloud.instance(own_machine)["State"]["Name"] == "running"
    assert uptime_stamp(cloud, own_machine) not in ("", before)


def test_a_machine_that_powers_off_is_stopped(cloud: Cloud, own_machine: str) -> None:
    cloud.ssh(own_machine, "sudo systemctl poweroff")
    stopped = cloud.in_state(own_machine, "stopped")
    assert stopped["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
    cloud.client("ec2").start_instances(InstanceIds=[own_machine])
    cloud.up(own_machine)


def test_a_machine_that_powers_off_is_terminated_if_it_was_launched_so(cloud: Cloud) -> None:
    (instance,) = cloud.launch(InstanceInitiatedShutdownBehavior="terminate")
    cloud.ssh(instance, "sudo systemctl poweroff")
    cloud.in_state(instance, "terminated")
    assert instance not in podman("ps", "-a", "--format", "{{.Names}}")


def test_terminate_leaves_nothing(cloud: Cloud, own_machine: str) -> None:
    volume = cloud.instance(own_machine)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    mount = "{{range .Mounts}}{{.Name}}{{end}}"
    scratch = podman("inspect", "--format", mount, f"{cloud.owner}-{own_machine}").strip()
    cloud.client("ec2").terminate_instances(InstanceIds=[own_machine])
    gone = cloud.in_state(own_machine, "terminated")
    assert not {"PrivateIpAddress", "PublicIpAddress"} & gone.keys()
    assert own_machine not in podman("ps", "-a", "--format", "{{.Names}}")
    assert scratch
    assert scratch not in podman("volume", "ls", "-q")
    assert refused(cloud.client("ec2").describe_volumes, VolumeIds=[volume]) == "InvalidVolume.NotFound"
    assert "BEGIN SSH HOST KEY KEYS" in cloud.console(own_machine), "the last console is what tells why it ended"


def test_an_instance_terminated_while_it_boots_never_runs(cloud: Cloud) -> None:
    (instance,) = cloud.launch()
    cloud.client("ec2").terminate_instances(InstanceIds=[instance])
    seen = set()
    eventually(lambda: seen.add(cloud.instance(instance)["State"]["Name"]) or "terminated" in seen)
    assert seen <= {"shutting-down", "terminated"}
    assert instance not in podman("ps", "-a", "--format", "{{.Names}}")


def test_the_same_client_token_makes_one_instance(cloud: Cloud) -> None:
    first, second = (cloud.launch(ClientToken="once") for _ in range(2))
    assert first == second
    assert refused(cloud.launch, ClientToken="once", InstanceType="t3.small") == "IdempotentParameterMismatch"
    cloud.client("ec2").terminate_instances(InstanceIds=first)


def test_a_security_group_in_use_stays(cloud: Cloud) -> None:
    client = cloud.client("ec2")
    group = client.create_security_group(GroupName="in use", Description="-")["GroupId"]
    (instance,) = cloud.launch(SecurityGroupIds=[group])
    assert refused(client.delete_security_group, GroupId=group) == "DependencyViolation"
    client.terminate_instances(InstanceIds=[instance])
    cloud.in_state(instance, "terminated")
    client.delete_security_group(GroupId=group)


def test_an_instance_cannot_start_before_it_has_stopped(cloud: Cloud, own_machine: str) -> None:
    client = cloud.client("ec2")
    client.stop_instances(InstanceIds=[own_machine])
    assert refused(client.start_instances, InstanceIds=[own_machine]) == "IncorrectInstanceState"
    cloud.in_state(own_machine, "stopped")


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"ImageId": "ami-00000000000000000"}, "InvalidAMIID.NotFound"),
        ({"KeyName": "never made"}, "InvalidKeyPair.NotFound"),
        ({"InstanceType": "g9.huge"}, "InvalidParameterValue"),
        ({"InstanceType": "p4d.24xlarge", "Placement": {"AvailabilityZone": "us-east-1e"}}, "Unsupported"),
    ],
)
def test_a_launch_that_ec2_would_refuse_is_refused(cloud: Cloud, asked: dict[str, object], code: str) -> None:
    before = set(owned("container", cloud.owner))
    assert refused(cloud.launch, **asked) == code
    assert set(owned("container", cloud.owner)) <= before


def test_there_are_machines_in_one_region_only(cloud: Cloud) -> None:
    client = cloud.client("ec2", "eu-west-1")
    code = refused(client.run_instances, ImageId=cloud.image(), InstanceType="t3.micro", MinCount=1, MaxCount=1)
    assert code == "UnsupportedOperation"


def test_a_subnet_outside_of_the_machines_network_is_refused(cloud: Cloud) -> None:
    client = cloud.client("ec2")
    vpc = client.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    subnet = client.create_subnet(VpcId=vpc, CidrBlock="10.1.0.0/20")["Subnet"]["SubnetId"]
    assert refused(cloud.launch, SubnetId=subnet) == "UnsupportedOperation"


def test_a_subnet_that_is_named_is_used(cloud: Cloud) -> None:
    filters = [{"Name": "availability-zone", "Values": ["us-east-1b"]}, {"Name": "default-for-az", "Values": ["true"]}]
    (subnet,) = cloud.client("ec2").describe_subnets(Filters=filters)["Subnets"]
    (instance,) = cloud.launch(SubnetId=subnet["SubnetId"])
    assert cloud.instance(instance)["Placement"]["AvailabilityZone"] == "us-east-1b"
    assert cloud.ssh(instance, "true").returncode == 0
    cloud.client("ec2").terminate_instances(InstanceIds=[instance])


def test_the_quota_of_gpu_instances_is_known(cloud: Cloud) -> None:
    for code in ("L-DB2E81BA", "L-3819A6DF"):
        quota = cloud.client("service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode=code)["Quota"]
        assert quota["Value"] > 0
