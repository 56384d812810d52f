"""The local EC2 of these tests: brought up once, taken down whatever happens."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from local_cloud import Cloud, brought_up


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    if os.geteuid():
        pytest.skip("the local EC2 needs root")
    with brought_up(tmp_path_factory.mktemp("cloud") / "data") as cloud:
        yield cloud


@pytest.fixture(scope="session")
def bare_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with brought_up(tmp_path_factory.mktemp("bare") / "data", "--machines", "none") as cloud:
        yield cloud


@pytest.fixture
def bare(bare_cloud: Cloud) -> Iterator[Cloud]:
    """A local EC2 without machines, in which all goes well, and whose journal and instances are this test's own."""
    bare_cloud.control.clear()
    bare_cloud.control.forget_requests()
    yield bare_cloud
    bare_cloud.control.clear()
    bare_cloud.terminate_all()


@pytest.fixture(scope="session")
def machine(cloud: Cloud) -> str:
    """An instance that is up and stays up: for tests that only look."""
    (instance,) = cloud.launch()
    cloud.up(instance)
    return instance


@pytest.fixture
def own_machine(cloud: Cloud) -> Iterator[str]:
    """An instance for a test that changes its state."""
    (instance,) = cloud.launch()
    cloud.up(instance)
    yield instance
    cloud.client("ec2").terminate_instances(InstanceIds=[instance])
