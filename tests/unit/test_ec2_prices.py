"""What machines cost: told by AWS, else by the table, else unknown; never an error."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber
from moto import mock_aws

from plugins.module_utils.ec2_prices import UNKNOWN, Prices, hourly

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "roles/ec2/files/prices.json"
KEYS = {"aws_access_key_id": "AKIATEST", "aws_secret_access_key": "test"}


def product(usd: str, currency: str = "USD") -> str:
    """An entry of GetProducts as AWS writes it: JSON in a string, the amounts in strings."""
    dimension = {"unit": "Hrs", "beginRange": "0", "endRange": "Inf", "pricePerUnit": {currency: usd}}
    return json.dumps(
        {
            "product": {"productFamily": "Compute Instance", "attributes": {"usagetype": "BoxUsage:g4dn.xlarge"}},
            "terms": {"OnDemand": {"S.J": {"priceDimensions": {"S.J.6": dimension}}}},
        }
    )


def client(service: str, region: str, endpoint: str | None = None) -> Any:
    patience = Config(connect_timeout=0.5, read_timeout=0.5, retries={"total_max_attempts": 1})
    return boto3.client(service, region_name=region, endpoint_url=endpoint, config=patience, **KEYS)


@pytest.fixture
def pricing() -> Iterator[Stubber]:
    """A Pricing API that says what a test has it say."""
    with Stubber(client("pricing", "us-east-1")) as stub:
        yield stub


def prices(region: str, answering: Callable[[str, str], Any]) -> Prices:
    return Prices(answering, region, TABLE)


def test_aws_is_asked_first(pricing: Stubber) -> None:
    pricing.add_response("get_products", {"PriceList": [product("0.4000000000")]})
    assert prices("us-east-1", lambda *_: pricing.client).on_demand(["g4dn.xlarge"])["g4dn.xlarge"].usd == 0.4


def test_a_price_says_that_it_is_awss(pricing: Stubber) -> None:
    pricing.add_response("get_products", {"PriceList": [product("0.4")]})
    price = prices("us-east-1", lambda *_: pricing.client).on_demand(["g4dn.xlarge"])["g4dn.xlarge"]
    assert str(price) == "0.4 USD (Pricing API)"


def test_the_same_type_is_asked_for_once(pricing: Stubber) -> None:
    pricing.add_response("get_products", {"PriceList": [product("0.4")]})
    asked = prices("us-east-1", lambda *_: pricing.client)
    asked.on_demand(["g4dn.xlarge", "g4dn.xlarge"])
    assert asked.on_demand(["g4dn.xlarge"])["g4dn.xlarge"].usd == 0.4
    pricing.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("region", "endpoint"),
    [("us-west-2", "us-east-1"), ("eu-north-1", "eu-central-1"), ("ap-northeast-2", "ap-south-1")],
)
def test_the_pricing_api_is_asked_where_it_is(region: str, endpoint: str) -> None:
    asked: list[tuple[str, str]] = []
    prices(region, lambda *where: asked.append(where)).on_demand(["g5.xlarge"])
    assert asked == [("pricing", endpoint)]


def test_china_has_a_partition_of_its_own_and_dollars_are_unknown_there() -> None:
    asked: list[tuple[str, str]] = []
    assert prices("cn-north-1", lambda *where: asked.append(where)).on_demand(["g4dn.xlarge"]) == {
        "g4dn.xlarge": UNKNOWN
    }
    assert asked == []


def test_without_the_permission_the_table_answers_and_says_why(pricing: Stubber) -> None:
    pricing.add_client_error("get_products", "AccessDeniedException", http_status_code=400)
    asked = prices("eu-central-1", lambda *_: pricing.client)
    assert asked.on_demand(["g4dn.xlarge"])["g4dn.xlarge"].source == "table of 2025-04-04"
    assert asked.notes == ["these credentials may not call pricing:GetProducts"]


def test_a_refused_connection_falls_back_to_the_table() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        asked = prices("us-east-1", lambda service, region: client(service, region, nobody))
        assert asked.on_demand(["g4dn.xlarge"])["g4dn.xlarge"].usd == 0.526
    assert asked.notes == ["pricing:GetProducts could not be reached"]


def test_a_silent_api_holds_up_a_run_with_many_types_no_longer_than_one() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=20) as silent:
        where = f"http://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        found = prices("us-east-1", lambda service, region: client(service, region, where)).on_demand(
            ["g4dn.xlarge", "g5.xlarge", "g6.xlarge", "m5.large"]
        )
    assert [price.source for price in found.values()] == ["table of 2026-07-20"] * 4
    assert time.monotonic() - started < 3


def test_an_unknown_type_has_an_unknown_price(pricing: Stubber) -> None:
    pricing.add_response("get_products", {"PriceList": []})
    asked = prices("us-east-1", lambda *_: pricing.client)
    assert str(asked.on_demand(["x9.huge"])["x9.huge"]) == "price unknown"
    assert asked.notes == []


def test_credentials_that_do_not_exist_are_no_error_here() -> None:
    def client_without_credentials(service: str, region: str) -> Any:
        raise RuntimeError("no credentials")

    assert prices("us-east-1", client_without_credentials).on_demand(["g4dn.xlarge"])["g4dn.xlarge"].usd == 0.526


def test_another_currency_is_no_price_in_dollars() -> None:
    assert hourly(product("5.2", currency="CNY")) is None


def test_a_table_that_cannot_be_read_makes_prices_unknown(tmp_path: Path) -> None:
    asked = Prices(lambda *_: None, "us-east-1", tmp_path / "none.json")
    assert asked.disk_month(40) == UNKNOWN
    assert "none.json" in asked.notes[0]


@mock_aws
def test_spot_prices_are_those_of_the_zones_asked_for() -> None:
    found = prices("us-east-1", client).spot(["g4dn.xlarge"], ["us-east-1a", "us-east-1b"])
    assert {place: price.usd for place, price in found.items()} == {
        ("g4dn.xlarge", "us-east-1a"): 0.00001,
        ("g4dn.xlarge", "us-east-1b"): 0.00001,
    }
    assert all(re.fullmatch(r"spot price of \d\d:\d\d UTC", price.source) for price in found.values())


@mock_aws
def test_without_zones_spot_prices_are_those_of_all() -> None:
    assert len(prices("us-east-1", client).spot(["g4dn.xlarge"])) > 3


def test_the_newest_spot_price_counts() -> None:
    with Stubber(client("ec2", "us-east-1")) as stub:
        entry = {"InstanceType": "g4dn.xlarge", "AvailabilityZone": "us-east-1a"}
        history = [
            {**entry, "SpotPrice": "0.2", "Timestamp": "2026-11-20T12:00:00Z"},
            {**entry, "SpotPrice": "0.1", "Timestamp": "2026-11-19T12:00:00Z"},
        ]
        stub.add_response("describe_spot_price_history", {"SpotPriceHistory": history})
        found = prices("us-east-1", lambda *_: stub.client).spot(["g4dn.xlarge"])
    assert found["g4dn.xlarge", "us-east-1a"].usd == 0.2


def test_a_denied_spot_history_leaves_the_price_unknown() -> None:
    with Stubber(client("ec2", "us-east-1")) as stub:
        stub.add_client_error("describe_spot_price_history", "UnauthorizedOperation", http_status_code=403)
        asked = prices("us-east-1", lambda *_: stub.client)
        assert asked.spot(["g5.xlarge"], ["us-east-1a"]) == {("g5.xlarge", "us-east-1a"): UNKNOWN}
    assert asked.notes == ["these credentials may not call ec2:DescribeSpotPriceHistory"]


@pytest.mark.parametrize(
    ("asked", "usd"),
    [((40,), 3.2), ((40, "gp3", 4000, 125), 8.2), ((40, "gp3", 3000, 225), 7.2), ((100, "gp2"), 10.0)],
)
def test_disks_cost_their_size_and_on_gp3_what_is_above_the_baseline(asked: tuple, usd: float) -> None:
    assert prices("us-east-1", client).disk_month(*asked).usd == pytest.approx(usd)


def test_a_disk_type_that_is_not_in_the_table_is_unknown() -> None:
    assert prices("us-east-1", client).disk_month(40, "io2") == UNKNOWN


def test_snapshots_and_addresses_have_prices() -> None:
    asked = prices("us-east-1", client)
    assert (asked.snapshot_month(40).usd, asked.address_hour.usd) == (2.0, 0.005)


class TestTable:
    table = json.loads(TABLE.read_text())
    regions = table["regions"]

    def test_it_is_small_with_a_line_for_each_region(self) -> None:
        assert TABLE.stat().st_size < 150_000
        lines = TABLE.read_text().splitlines()
        assert all(any(line.startswith(f'  "{region}": ') for line in lines) for region in self.regions)

    def test_every_figure_has_a_date_that_has_been(self) -> None:
        dates = [entry["date"] for entry in self.regions.values()] + [self.table["address"]["date"]]
        dates += [entry["storage"]["date"] for entry in self.regions.values() if "storage" in entry]
        assert all(date(2024, 1, 1) < date.fromisoformat(day) <= date.today() for day in dates)

    def test_every_price_is_above_zero_and_below_a_typing_error(self) -> None:
        for region, entry in self.regions.items():
            assert all(0 < usd < 150 for usd in entry["hour"].values()), region
            assert all(0 < usd < 1 for name, usd in entry.get("storage", {}).items() if name != "date"), region

    def test_a_larger_size_never_costs_less(self) -> None:
        for region, entry in self.regions.items():
            for family in ("t3", "c5", "m5", "g4dn", "g5", "g6"):
                sizes = [entry["hour"].get(f"{family}.{size}") for size in ("large", "xlarge", "2xlarge", "4xlarge")]
                known = [usd for usd in sizes if usd]
                assert known == sorted(known), (region, family)

    def test_disks_are_whole_or_not_there(self) -> None:
        kinds = {"date", "gp2", "gp3", "gp3_iops", "gp3_throughput", "snapshot"}
        assert all(set(entry["storage"]) == kinds for entry in self.regions.values() if "storage" in entry)

    def test_regions_are_those_that_boto3_knows(self) -> None:
        session = boto3.session.Session()
        known = {name for part in ("aws", "aws-us-gov") for name in session.get_available_regions("ec2", part)}
        assert set(self.regions) <= known


def test_the_tool_that_renews_the_table_writes_it_as_it_is() -> None:
    code = (
        "import json, sys; from importlib.machinery import SourceFileLoader as Loader; sys.dont_write_bytecode = True\n"
        "tool = Loader('prices', 'tools/prices').load_module()\n"
        "print(tool.rendered(json.loads(tool.TABLE.read_text())), end='')"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == TABLE.read_text(), done.stderr
