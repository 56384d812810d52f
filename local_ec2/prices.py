"""Prices: what an hour of an instance type costs on demand and on the spot market, and what disks cost.

US dollars in us-east-1, Linux, as AWS published them in late 2025. Another region has other prices by a factor.
"""

import hashlib

ON_DEMAND = {
    "t3.nano": 0.0052,
    "t3.micro": 0.0104,
    "t3.small": 0.0208,
    "t3.medium": 0.0416,
    "t3.large": 0.0832,
    "t3.xlarge": 0.1664,
    "m5.large": 0.096,
    "m5.xlarge": 0.192,
    "m5.2xlarge": 0.384,
    "m5.4xlarge": 0.768,
    "c4.large": 0.1,
    "c4.xlarge": 0.199,
    "c5.large": 0.085,
    "c5.xlarge": 0.17,
    "c5.2xlarge": 0.34,
    "c5.4xlarge": 0.68,
    "g4dn.xlarge": 0.526,
    "g4dn.2xlarge": 0.752,
    "g4dn.4xlarge": 1.204,
    "g4dn.8xlarge": 2.176,
    "g4dn.12xlarge": 3.912,
    "g4dn.16xlarge": 4.352,
    "g5.xlarge": 1.006,
    "g5.2xlarge": 1.212,
    "g5.4xlarge": 1.624,
    "g5.8xlarge": 2.448,
    "g5.12xlarge": 5.672,
    "g5.16xlarge": 4.096,
    "g5.24xlarge": 8.144,
    "g5.48xlarge": 16.288,
    "g6.xlarge": 0.8048,
    "g6.2xlarge": 0.9776,
    "g6.4xlarge": 1.3232,
    "g6.8xlarge": 2.0144,
    "g6.12xlarge": 4.6016,
    "g6.16xlarge": 3.3968,
    "g6.24xlarge": 6.6752,
    "g6.48xlarge": 13.3504,
    "p3.2xlarge": 3.06,
    "p3.8xlarge": 12.24,
    "p3.16xlarge": 24.48,
    "p4d.24xlarge": 21.96,
    "p5.48xlarge": 55.04,
}
# USD per GB and month.
VOLUMES = {"gp3": 0.08, "gp2": 0.1, "st1": 0.045, "sc1": 0.015, "standard": 0.05}
LOCATIONS = {
    "us-east-1": ("US East (N. Virginia)", 1.0),
    "us-east-2": ("US East (Ohio)", 1.0),
    "us-west-1": ("US West (N. California)", 1.2),
    "us-west-2": ("US West (Oregon)", 1.0),
    "ca-central-1": ("Canada (Central)", 1.1),
    "eu-central-1": ("EU (Frankfurt)", 1.25),
    "eu-west-1": ("EU (Ireland)", 1.12),
    "eu-west-2": ("EU (London)", 1.17),
    "ap-northeast-1": ("Asia Pacific (Tokyo)", 1.35),
    "ap-northeast-2": ("Asia Pacific (Seoul)", 1.23),
    "ap-southeast-1": ("Asia Pacific (Singapore)", 1.4),
    "ap-southeast-2": ("Asia Pacific (Sydney)", 1.3),
    "ap-south-1": ("Asia Pacific (Mumbai)", 1.1),
    "sa-east-1": ("South America (Sao Paulo)", 1.7),
}
# A guess for types of no known price: USD per vCPU and hour.
PER_VCPU = 0.05
LOWEST, HIGHEST = 0.3, 0.6


def on_demand(instance_type: str, region: str) -> float | None:
    """USD per hour; None if this is not known."""
    if instance_type not in ON_DEMAND or region not in LOCATIONS:
        return None
    return round(ON_DEMAND[instance_type] * LOCATIONS[region][1], 4)


def spot(instance_type: str, zone: str, vcpus: int) -> float:
    """USD per hour: a share of the on-demand price that a type has in a zone, always the same."""
    full = on_demand(instance_type, zone[:-1]) or vcpus * PER_VCPU
    draw = hashlib.sha256(f"{instance_type} {zone}".encode()).digest()[0] / 255
    return round(full * (LOWEST + draw * (HIGHEST - LOWEST)), 4)
