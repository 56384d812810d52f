"""The Pricing API, which moto lacks: GetProducts for EC2's instances and volumes."""

import hashlib
import json
from typing import Any

from local_ec2 import prices
from local_ec2.front import errors
from local_ec2.front.call import Call

SERVICE = "AmazonEC2"
LONGEST_PAGE = 100
EFFECTIVE = "2025-11-01T00:00:00Z"
ATTRIBUTES = (
    *("instanceType", "location", "regionCode", "operatingSystem", "tenancy", "preInstalledSw", "capacitystatus"),
    *("marketoption", "productFamily", "volumeApiName", "volumeType", "usagetype"),
)
Answer = tuple[int, str, bytes]


def answer(call: Call, asked: dict[str, Any]) -> Answer:
    """HTTP status, content type and body for a call of `pricing`."""
    if call.action == "DescribeServices":
        return told({"FormatVersion": "aws_v1", "Services": [{"ServiceCode": SERVICE, "AttributeNames": ATTRIBUTES}]})
    if call.action != "GetProducts":
        return refused(call, "InvalidParameterException", f"{call.action} is not answered here.")
    if asked.get("ServiceCode") != SERVICE:
        return refused(call, "NotFoundException", f"{asked.get('ServiceCode')} has no prices here, only {SERVICE}.")
    token, size = asked.get("NextToken") or "0", min(int(asked.get("MaxResults") or LONGEST_PAGE), LONGEST_PAGE)
    if not token.isdigit():
        return refused(call, "ExpiredNextTokenException", "The pagination token expired.")
    filters = {one["Field"]: one["Value"] for one in asked.get("Filters", [])}
    found = [one for one in products(filters) if matches(one["product"], filters)]
    end = int(token) + size
    more = {"NextToken": str(end)} if end < len(found) else {}
    listed = [json.dumps(one) for one in found[int(token) : end]]
    return told({"FormatVersion": "aws_v1", "PriceList": listed, **more})


def told(body: dict[str, Any]) -> Answer:
    return 200, "application/x-amz-json-1.1", json.dumps(body).encode()


def refused(call: Call, code: str, message: str) -> Answer:
    return errors.status_of(code), *errors.body(call, code, message)


def matches(product: dict[str, Any], filters: dict[str, str]) -> bool:
    values = {"productFamily": product["productFamily"], "servicecode": SERVICE, **product["attributes"]}
    return all(values.get(field, "").lower() == wanted.lower() for field, wanted in filters.items())


def products(filters: dict[str, str]) -> list[dict[str, Any]]:
    """All products of the regions that the filters leave."""
    found = []
    for region, (location, factor) in prices.LOCATIONS.items():
        if filters.get("regionCode", region) == region and filters.get("location", location) == location:
            found += [instance(name, region, location) for name in prices.ON_DEMAND]
            found += [volume(name, usd * factor, region, location) for name, usd in prices.VOLUMES.items()]
    return found


def instance(name: str, region: str, location: str) -> dict[str, Any]:
    attributes = {
        "instanceType": name,
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
        "licenseModel": "No License required",
        "marketoption": "OnDemand",
        "usagetype": f"BoxUsage:{name}",
        "operation": "RunInstances",
    }
    described = f"${prices.on_demand(name, region)} per On Demand Linux {name} Instance Hour"
    return entry("Compute Instance", attributes, region, location, ("Hrs", prices.on_demand(name, region), described))


def volume(name: str, usd: float, region: str, location: str) -> dict[str, Any]:
    attributes = {"volumeApiName": name, "usagetype": f"EBS:VolumeUsage.{name}"}
    described = f"${usd:.4g} per GB-month of {name} provisioned storage"
    return entry("Storage", attributes, region, location, ("GB-Mo", usd, described))


def entry(
    family: str, attributes: dict[str, str], region: str, location: str, price: tuple[str, float, str]
) -> dict[str, Any]:
    """A product with its on-demand price: unit, US dollars and words."""
    unit, usd, described = price
    sku = f"{hash_of(family, region, str(sorted(attributes.items()))):016X}"
    term = f"{sku}.JRTCKXETXF"
    dimension = {
        "unit": unit,
        "beginRange": "0",
        "endRange": "Inf",
        "description": described,
        "appliesTo": [],
        "rateCode": f"{term}.6YS6EN2CT7",
        "pricePerUnit": {"USD": f"{usd:.10f}"},
    }
    offer = {
        "sku": sku,
        "offerTermCode": "JRTCKXETXF",
        "effectiveDate": EFFECTIVE,
        "priceDimensions": {dimension["rateCode"]: dimension},
        "termAttributes": {},
    }
    where = {"regionCode": region, "location": location, "locationType": "AWS Region", "servicecode": SERVICE}
    return {
        "product": {"productFamily": family, "attributes": {**where, **attributes}, "sku": sku},
        "serviceCode": SERVICE,
        "terms": {"OnDemand": {term: offer}},
        "version": "20251101000000",
        "publicationDate": EFFECTIVE,
    }


def hash_of(*words: str) -> int:
    return int.from_bytes(hashlib.sha256(" ".join(words).encode()).digest()[:8], "big")
