"""provision.yml under faults: what it leaves, and what it says."""

from __future__ import annotations

from conftest import Cloud

# Nobody answers SSH here, which is waited for no longer than this.
BRIEFLY = {"ec2_timeout": 10}


def lines_of(text: str) -> str:
    return " ".join(text.split())


class TestInterrupted:
    def test_a_launch_that_fails_leaves_only_what_is_tagged_and_terminate_takes_that(self, cloud: Cloud) -> None:
        """D13."""
        cloud.control.fail("RunInstances", "UnauthorizedOperation")
        failed = cloud.playbook("provision")
        assert failed.returncode == 2
        assert "may not do ec2:RunInstances" in lines_of(failed.stdout)
        ours = [{"Name": "tag:Project", "Values": [cloud.project]}]
        assert len(cloud.client().describe_security_groups(Filters=ours)["SecurityGroups"]) == 1
        assert len(cloud.client().describe_key_pairs(Filters=ours)["KeyPairs"]) == 1
        cloud.control.clear()
        assert cloud.playbook("terminate", confirm="yes").returncode == 0
        assert cloud.client().describe_security_groups(Filters=ours)["SecurityGroups"] == []
        assert cloud.client().describe_key_pairs(Filters=ours)["KeyPairs"] == []

    def test_a_second_run_uses_what_the_first_has_made(self, cloud: Cloud) -> None:
        cloud.control.fail("RunInstances", "UnauthorizedOperation")
        cloud.playbook("provision")
        cloud.control.clear()
        cloud.control.forget_requests()
        cloud.playbook("provision", **BRIEFLY)
        assert cloud.names() == ["reader"]
        assert {"CreateSecurityGroup", "ImportKeyPair"}.isdisjoint(cloud.writes())

    def test_a_group_that_another_run_makes_at_this_moment_is_taken(self, cloud: Cloud) -> None:
        """D12."""
        cloud.control.fail("CreateSecurityGroup", "InvalidGroup.Duplicate", times=1)
        cloud.playbook("provision", **BRIEFLY)
        assert cloud.names() == ["reader"]


class TestWhoMayComeIn:
    def test_a_new_address_replaces_the_old_one(self, cloud: Cloud) -> None:
        cloud.playbook("provision", **BRIEFLY)
        cloud.playbook("provision", **BRIEFLY, ssh_from="203.0.113.7/32")
        filters = [{"Name": "group-name", "Values": [cloud.project]}]
        (group,) = cloud.client().describe_security_groups(Filters=filters)["SecurityGroups"]
        (rule,) = group["IpPermissions"]
        assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 22, 22)
        assert [source["CidrIp"] for source in rule["IpRanges"]] == ["203.0.113.7/32"]
        assert rule["Ipv6Ranges"] == []

    def test_an_ipv6_caller(self, cloud: Cloud) -> None:
        cloud.playbook("provision", **BRIEFLY, ssh_from="2001:db8::7/128")
        filters = [{"Name": "group-name", "Values": [cloud.project]}]
        (group,) = cloud.client().describe_security_groups(Filters=filters)["SecurityGroups"]
        (rule,) = group["IpPermissions"]
        assert [source["CidrIpv6"] for source in rule["Ipv6Ranges"]] == ["2001:db8::7/128"]

    def test_groups_of_ones_own_are_used_and_none_is_made(self, cloud: Cloud) -> None:
        cloud.control.forget_requests()
        cloud.playbook("provision", **BRIEFLY, ec2_security_group_ids=[cloud.group()])
        assert "CreateSecurityGroup" not in cloud.writes()
        assert [group["GroupId"] for group in cloud.instances()[0]["SecurityGroups"]] == [cloud.group()]


class TestUnreachable:
    def test_it_is_diagnosed_and_kept(self, cloud: Cloud) -> None:
        """D11."""
        done = cloud.playbook("provision", **BRIEFLY, ssh_from="203.0.113.7/32")
        text = lines_of(done.stdout)
        assert done.returncode == 2
        assert "reader does not let SSH in" in text
        assert "The end of its console:" in text
        assert "The machines are kept, and cost money" in text
        assert cloud.names() == ["reader"]

    def test_a_security_group_that_shuts_out_the_caller_is_named(self, cloud: Cloud) -> None:
        cloud.machines("reader")
        config = cloud.state / "ssh_config"
        config.write_text("Host *\n  HostName 127.0.0.1\n  Port 9\n  StrictHostKeyChecking yes\n")
        (machine,) = cloud.instances()
        result = cloud.module(
            "ec2_reachable",
            machines={"reader": machine["InstanceId"]},
            config=str(config),
            timeout=1,
            ssh_from="203.0.113.7/32",
        )
        assert "let nobody reach port 22" in result["unreachable"]["reader"]


class TestKnownHosts:
    def test_the_file_follows_a_machine_that_is_replaced(self, cloud: Cloud) -> None:
        """D9."""
        path = cloud.state / "known_hosts"
        cloud.machines("reader")
        first = cloud.instances()[0]["InstanceId"]
        path.write_text("github.example ssh-ed25519 AAAA\n")
        told = cloud.module("ec2_known_hosts", instances=[first], path=str(path), timeout=20)
        assert told["learned"] == [first]
        cloud.client().terminate_instances(InstanceIds=[first])
        cloud.machines("reader")
        (second,) = [one["InstanceId"] for one in cloud.instances()]
        told = cloud.module("ec2_known_hosts", instances=[second], alive=[second], path=str(path), timeout=20)
        assert (told["learned"], told["forgotten"]) == ([second], [first])
        names = {line.split()[0] for line in path.read_text().splitlines()}
        assert names == {"github.example", second}

    def test_a_console_without_keys_is_told_with_what_to_do(self, cloud: Cloud) -> None:
        cloud.machines("reader")
        cloud.control.fail("GetConsoleOutput", "RequestLimitExceeded")
        result = cloud.module(
            "ec2_known_hosts",
            instances=[cloud.instances()[0]["InstanceId"]],
            path=str(cloud.state / "known_hosts"),
            timeout=1,
        )
        assert "did not show the console" in result["msg"]


def test_check_mode_on_an_empty_account_says_what_it_would_do(cloud: Cloud) -> None:
    cloud.control.forget_requests()
    done = cloud.playbook("provision", "--check", "--diff")
    assert done.returncode == 0, done.stdout
    assert "+reader: running" in done.stdout
    assert cloud.writes() == []
