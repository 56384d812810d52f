"""What the machines are and cost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from belongings import Belongings
from conftest import PRICES, Cloud


@pytest.fixture
def its(cloud: Cloud) -> Belongings:
    return Belongings(cloud)


def status(cloud: Cloud, *names: str, **options: Any) -> dict[str, Any]:
    asked = {"project": cloud.project, "names": list(names) or ["reader"], "price_table": PRICES}
    result = cloud.module("ec2_status", **asked | options)
    assert "lines" in result, result
    return result


def stop(cloud: Cloud, *names: str) -> None:
    cloud.module("ec2_stop", project=cloud.project, names=list(names), timeout=20)


def test_a_running_machine_has_a_price_a_cost_and_an_address(cloud: Cloud) -> None:
    cloud.machines("reader")
    (machine,) = status(cloud)["machines"]
    (instance,) = cloud.instances()
    assert (machine["name"], machine["state"], machine["market"]) == ("reader", "running", "on-demand")
    assert (machine["usd_hour"], machine["zone"]) == (0.526, "us-east-1a")
    assert machine["address"] == instance["PublicIpAddress"]
    assert datetime.fromisoformat(machine["up_since"]) == instance["LaunchTime"].replace(microsecond=0)


def test_the_cost_is_the_hours_of_machine_disk_and_address(cloud: Cloud) -> None:
    from plugins.module_utils.ec2_holdings import Holdings
    from plugins.module_utils.ec2_prices import Prices
    from plugins.module_utils.ec2_status import status as told

    cloud.machines("reader", volume_size=73)
    prices = Prices(lambda *_: None, "us-east-1", PRICES)
    holdings = Holdings(cloud.client(), cloud.project, prices, "aws ec2")
    (instance,) = holdings.instances
    later = instance["LaunchTime"] + timedelta(hours=10)
    (machine,) = told(holdings, [instance], "us-east-1", later)["machines"]
    # 73 GB of gp3 at 0.08 USD are 5.84 per month of 730 hours, so 0.008 per hour
    assert machine["usd_so_far"] == pytest.approx(10 * (0.526 + 0.008 + 0.005), abs=1e-3)


def test_the_table_shows_it_with_the_source_of_the_price(cloud: Cloud) -> None:
    cloud.machines("reader")
    lines = status(cloud)["lines"]
    assert lines[0].split()[:6] == ["name", "state", "type", "market", "zone", "USD/hour"]
    assert lines[0].endswith("up since          hours  cost so far  address")
    cells = lines[1].split()
    assert cells[:6] == ["reader", "running", "g4dn.xlarge", "on-demand", "us-east-1a", "0.526"]
    assert any("Pricing API" in line for line in lines)


def test_stopped_machines_cost_their_disks_by_month_and_day(cloud: Cloud) -> None:
    cloud.machines("reader")
    stop(cloud, "reader")
    result = status(cloud)
    assert result["machines"][0]["usd_so_far"] == 0
    assert result["usd_month_stopped"] == pytest.approx(40 * 0.08)
    assert any("3.20 USD per month (0.105 per day). reader: 40 GB of disk." in line for line in result["lines"])


def test_what_is_kept_beside_the_machines_has_its_price(cloud: Cloud, its: Belongings) -> None:
    cloud.machines("reader")
    ids = [its.data_volume("reader"), its.image(cloud.instances()[0]["InstanceId"], f"{cloud.project}-baked")]
    result = status(cloud)
    kinds = {thing["kind"]: thing for thing in result["kept"]}
    assert set(kinds) == {"volume", "image", "snapshot"}
    assert {kinds["volume"]["id"], kinds["image"]["id"]} == set(ids)
    assert kinds["volume"]["usd_month"] == pytest.approx(8)
    assert kinds["snapshot"]["usd_month"] > 0
    assert any("reader-data" in line and "8.00 USD/month" in line for line in result["lines"])


def test_a_data_volume_on_a_machine_is_in_that_machines_cost(cloud: Cloud, its: Belongings) -> None:
    cloud.machines("reader")
    (instance,) = cloud.instances()
    its.ec2.attach_volume(VolumeId=its.data_volume("reader"), InstanceId=instance["InstanceId"], Device="/dev/sdf")
    result = status(cloud)
    assert (result["kept"], result["machines"][0]["disk_gb"]) == ([], 140)


def test_spot_machines_have_the_spot_price(cloud: Cloud) -> None:
    cloud.machines("reader", places=cloud.places(market="spot"))
    (machine,) = status(cloud)["machines"]
    assert machine["market"] == "spot"
    assert machine["price_source"].startswith("spot price of ")


def test_a_type_without_a_price_is_shown_as_unknown(cloud: Cloud) -> None:
    cloud.machines("reader", places=cloud.places("m4.large"))
    result = status(cloud)
    assert (result["machines"][0]["usd_hour"], result["machines"][0]["usd_so_far"]) == (None, None)
    assert "unknown" in result["lines"][1]


@pytest.mark.parametrize("count", [1, 30])
def test_it_makes_six_calls_whatever_the_number_of_machines(cloud: Cloud, count: int) -> None:
    names = [f"m{number}" for number in range(count)]
    cloud.machines(*names)
    cloud.control.forget_requests()
    assert len(status(cloud, *names)["machines"]) == count
    assert len(cloud.control.requests()) <= 6
    assert cloud.writes() == []


def test_several_types_and_markets_make_no_more_calls(cloud: Cloud) -> None:
    cloud.machines("a")
    cloud.machines("b", places=cloud.places("g5.xlarge"))
    cloud.machines("c", places=cloud.places(market="spot"))
    cloud.control.forget_requests()
    assert [one["usd_hour"] is not None for one in status(cloud, all=True)["machines"]] == [True, True, True]
    assert len(cloud.control.requests()) <= 6


def test_only_those_asked_for_are_shown(cloud: Cloud) -> None:
    cloud.machines("reader", "bob")
    result = status(cloud, "reader", "bob", only=["bob"])
    assert [one["name"] for one in result["machines"]] == ["bob"]
    assert "Also running" not in "".join(result["lines"])


def test_others_that_run_are_named(cloud: Cloud) -> None:
    cloud.machines("reader", "bob", "carol")
    cloud.module("ec2_stop", project=cloud.project, names=["carol"], timeout=20)
    for names in (["reader"], ["nobody"]):
        told = "\n".join(status(cloud, *names)["lines"])
        assert f"and paid for: {'bob' if names == ['reader'] else 'bob, reader'} (all=yes shows all)." in told
    assert "Also running" not in "".join(status(cloud, all=True)["lines"])


def test_all_are_shown_when_asked_for(cloud: Cloud) -> None:
    cloud.machines("reader", "bob")
    assert {one["name"] for one in status(cloud, all=True)["machines"]} == {"reader", "bob"}


def test_an_unknown_name_is_refused_with_those_there_are(cloud: Cloud) -> None:
    cloud.machines("reader", "bob")
    result = cloud.module("ec2_status", project=cloud.project, only=["bbo"], price_table=PRICES)
    assert result["failed"]
    assert "no machine called bbo; its machines are: " in result["msg"]
    assert "bob" in result["msg"].split("machines are: ")[1]


def test_a_project_without_machines_says_so(cloud: Cloud) -> None:
    assert status(cloud)["lines"] == [f"  Project {cloud.project} has no such machine in us-east-1."]


def test_without_a_permission_the_missing_action_is_named(cloud: Cloud) -> None:
    cloud.control.forbid("ec2:DescribeVolumes")
    result = cloud.module("ec2_status", project=cloud.project, price_table=PRICES)
    assert "ec2:DescribeVolumes" in result["msg"]


def test_the_playbook_shows_the_table(cloud: Cloud) -> None:
    cloud.machines("reader", "bob")
    stop(cloud, "bob")
    done = cloud.playbook("status", all="yes")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    shown = [line.split()[:2] for line in lines if line.startswith(("  reader", "  bob"))]
    assert sorted(shown) == [["bob", "stopped"], ["reader", "running"]]
    assert "changed=0" in done.stdout


def test_the_playbook_is_about_the_region_that_is_named(cloud: Cloud) -> None:
    cloud.machines("reader")
    assert "no such machine in eu-west-1" in cloud.playbook("status", "-e", "region=eu-west-1").stdout


def test_local_time_is_shown(cloud: Cloud) -> None:
    cloud.machines("reader")
    since = datetime.fromisoformat(status(cloud)["machines"][0]["up_since"])
    assert since.utcoffset() == datetime.now().astimezone().utcoffset()
    assert timedelta() <= datetime.now(UTC) - since < timedelta(minutes=2)
