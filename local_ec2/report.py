"""What `status` shows of the machines, asked from the API itself."""

from typing import Any

from local_ec2.amis import DEBIAN

COLUMNS = ("id", "name", "state", "type", "address", "image")


def machines(endpoint: str) -> list[tuple[str, ...]]:
    """A row for each instance, terminated ones too."""
    import boto3
    from botocore.config import Config

    # a proxy of the environment's knows nothing of the loopback address
    direct = Config(proxies={})
    keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
    client = boto3.client("ec2", "us-east-1", endpoint_url=endpoint, config=direct, **keys)
    images = {image["ImageId"]: image["Name"] for image in client.describe_images(Owners=[DEBIAN, "self"])["Images"]}
    pages = client.get_paginator("describe_instances").paginate()
    instances = [one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"]]
    return [row(instance, images) for instance in instances]


def row(instance: dict[str, Any], images: dict[str, str]) -> tuple[str, ...]:
    tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
    return (
        instance["InstanceId"],
        tags.get("Name", "-"),
        instance["State"]["Name"],
        instance["InstanceType"],
        instance.get("PrivateIpAddress", "-"),
        images.get(instance["ImageId"], instance["ImageId"]),
    )


def table(rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return "No machines."
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in (COLUMNS, *rows)
    )
    return "\n".join(line.rstrip() for line in lines)
