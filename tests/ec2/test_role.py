"""provision.yml under faults: what it leaves, and what it says."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest
from conftest import BRIEFLY, Cloud

from plugins.modules import ec2_reachable


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
        # The preflight has seen that the group is as it should be.
        assert cloud.calls("GetCallerIdentity") == 0

    def test_a_group_that_another_run_makes_at_this_moment_is_taken(self, cloud: Cloud) -> None:
        """D12."""
        cloud.control.fail("CreateSecurityGroup", "InvalidGroup.Duplicate", times=1)
        cloud.playbook("provision", **BRIEFLY)
        assert cloud.names() == ["reader"]


class Mirror(http.server.BaseHTTPRequestHandler):
    """Tells whoever asks the address that it is said to see."""

    sees = ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{self.sees}\n".encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mirror() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class TestWhoMayComeIn:
    def test_a_new_address_replaces_the_old_one(self, cloud: Cloud, mirror: str) -> None:
        def allowed() -> tuple[list[str], list[str]]:
            filters = [{"Name": "group-name", "Values": [cloud.project]}]
            (group,) = cloud.client().describe_security_groups(Filters=filters)["SecurityGroups"]
            (rule,) = group["IpPermissions"]
            assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 22, 22)
            return [one["CidrIp"] for one in rule["IpRanges"]], [one["CidrIpv6"] for one in rule["Ipv6Ranges"]]

        asked = {**BRIEFLY, "ssh_from": "", "ec2_address_url": mirror}
        Mirror.sees = "203.0.113.7"
        cloud.playbook("provision", **asked)
        assert allowed() == (["203.0.113.7/32"], [])
        Mirror.sees = "2001:db8::7"
        assert cloud.playbook("provision", **asked).returncode == 0
        assert allowed() == ([], ["2001:db8::7/128"])
        for useless in ("100.64.3.3", "<html>Sign in</html>"):
            Mirror.sees = useless
            done = cloud.playbook("provision", **asked)
            assert done.returncode == 2
            assert useless in done.stdout
            assert "ssh_from" in done.stdout
        assert allowed() == ([], ["2001:db8::7/128"])

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

    def test_one_that_another_run_has_launched_a_moment_ago_is_waited_for_too(self, cloud: Cloud) -> None:
        """B2."""
        cloud.machines("reader")
        done = cloud.playbook("provision", ec2_timeout=20)
        assert done.returncode == 2
        assert "reader does not let SSH in" in lines_of(done.stdout)

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
        assert "let nobody reach port 22" in result["unanswered"]["reader"]

    def test_one_that_has_answered_is_asked_again_only_when_it_was_started_again(
        self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cloud.machines("reader")
        (machine,) = cloud.instances()
        noted, asked, complaint = cloud.state / "answered.json", [], "Connection refused"
        monkeypatch.setattr(ec2_reachable, "attempt", lambda config, name: asked.append(name) or complaint)

        def run(launched: str) -> int:
            """How often the machine was asked."""
            asked.clear()
            given = {"machines": {"reader": machine["InstanceId"]}, "launched": {"reader": launched}}
            cloud.module("ec2_reachable", config="", noted=str(noted), timeout=0, **given)
            return len(asked)

        assert run("yesterday") and not noted.exists()
        noted.write_text("{cut off")
        complaint = ""
        assert [run("yesterday"), run("yesterday"), run("today"), run("today")] == [1, 0, 1, 0]

    def test_a_machine_without_a_public_address_wants_another_way(self, cloud: Cloud) -> None:
        done = cloud.playbook("provision", **BRIEFLY, ec2_public_address=False)
        assert "It has no public address" in lines_of(done.stdout)
        assert "ec2_ssh_proxy_jump" in lines_of(done.stdout)
        assert "PublicIpAddress" not in cloud.instances()[0]


def test_machines_that_could_not_be_had_are_named_with_the_reason(cloud: Cloud) -> None:
    cloud.control.no_capacity()
    done = cloud.playbook("provision", machines=[{"name": "a"}, {"name": "b"}])
    assert done.returncode == 2
    text = lines_of(done.stdout)
    assert "2 of 2 machines do not run" in text
    assert "a finds no place, none has one free now (c5.xlarge in us-east-1a, c5.xlarge in us-east-1b" in text
    assert "0 of 2 has none free (InsufficientInstanceCapacity)" in text


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
