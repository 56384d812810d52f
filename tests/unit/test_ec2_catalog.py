"""What the ec2 role knows of GPU families and quotas."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from plugins.module_utils.ec2_catalog import FAMILIES, SYSTEMS, quota_of

ROOT = Path(__file__).resolve().parents[2]
CUDA = yaml.safe_load((ROOT / "roles/cuda/vars/main/gpus.yml").read_text())


def test_the_gpus_are_those_that_the_cuda_role_knows() -> None:
    compute = {gpu["name"]: CUDA["__cuda_architectures"][gpu["architecture"]]["compute"] for gpu in CUDA["__cuda_gpus"]}
    ours = {family.gpu: family.compute for family in FAMILIES.values() if family.compute}
    assert ours == {name: compute[name] for name in ours}


@pytest.mark.parametrize(
    ("instance_type", "on_demand", "spot"),
    [
        ("g4dn.xlarge", "L-DB2E81BA", "L-3819A6DF"),
        ("gr6.4xlarge", "L-DB2E81BA", "L-3819A6DF"),
        ("vt1.3xlarge", "L-DB2E81BA", "L-3819A6DF"),
        ("p3.2xlarge", "L-417A185B", "L-7212CCBC"),
        ("p4de.24xlarge", "L-417A185B", "L-7212CCBC"),
        ("p5en.48xlarge", "L-417A185B", "L-C4BD4855"),
        ("c5.xlarge", "L-1216C47A", "L-34B43A08"),
        ("t3.micro", "L-1216C47A", "L-34B43A08"),
        ("im4gn.large", "L-1216C47A", "L-34B43A08"),
        ("inf1.xlarge", "L-1945791B", "L-B5D1601B"),
        ("trn1.2xlarge", "L-2C3B7624", "L-6B0D517C"),
        ("x2idn.16xlarge", "L-7295265B", "L-E3A00192"),
        ("f1.2xlarge", "L-74FC7D96", "L-88CF9481"),
        ("dl1.24xlarge", "L-6E869C2A", "L-85EED4F7"),
    ],
)
def test_each_type_counts_against_its_quota(instance_type: str, on_demand: str, spot: str) -> None:
    found = [quota_of(instance_type, market) for market in ("on-demand", "spot")]
    assert [quota.code if quota else None for quota in found] == [on_demand, spot]


@pytest.mark.parametrize(("instance_type", "market"), [("p6-b200.48xlarge", "spot"), ("mac2.metal", "on-demand")])
def test_what_has_no_quota_of_vcpus_has_none(instance_type: str, market: str) -> None:
    assert quota_of(instance_type, market) is None


def test_every_system_is_looked_for_by_owner_too() -> None:
    assert all(system.owners and system.pattern and system.user for system in SYSTEMS.values())
