"""One cluster, and one Headgate with the shipped policy before it. Tests that change pods have a namespace each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import pytest_asyncio

from tests.cluster.acting import Pod, running_incident
from tests.cluster.fixtures import cluster, cluster_with_node, old_kubectl
from tests.cluster.running import Cluster
from tests.kubernetes.creates import POLICY
from tests.kubernetes.front import Front, Way, fronting
from tests.kubernetes.front import direct as past
from tests.kubernetes.stage import Stage, staged

__all__ = ["cluster", "cluster_with_node", "old_kubectl"]


@pytest.fixture(scope="session")
def front(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """Headgate with the shipped policy, and room for all tests' creates."""
    with fronting(cluster, tmp_path_factory.mktemp("front"), KUBE_CREATES="50") as running:
        yield running


@pytest.fixture(scope="session")
def two_seats(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A policy's file: two pods at a time may be starting in each namespace."""
    file = tmp_path_factory.mktemp("policy") / "policy.yaml"
    file.write_text(POLICY)
    return str(file)


@pytest.fixture(scope="session")
def hasty(cluster: Cluster, two_seats: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """Headgate that refuses a create after a second, and keeps its place."""
    with fronting(cluster, tmp_path_factory.mktemp("hasty"), two_seats, PATIENCE="1s") as running:
        yield running


@pytest.fixture(scope="session")
def patient(cluster: Cluster, two_seats: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """Headgate that lets creates wait for longer than any test takes."""
    with fronting(cluster, tmp_path_factory.mktemp("patient"), two_seats, PATIENCE="600s") as running:
        yield running


@pytest.fixture(scope="session")
def direct(cluster: Cluster) -> Way:
    """The API server itself."""
    return past(cluster)


@pytest.fixture(scope="session")
def through(front: Front) -> Way:
    """The same by way of Headgate."""
    return front.way()


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace for one test. Its pods go with it: a node has room for a hundred."""
    name = cluster.namespace("clients")
    yield name
    cluster.api.delete(f"/api/v1/namespaces/{name}/pods", grace=0)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stage(cluster: Cluster) -> Stage:
    """Pods that nobody may change: one before the incident, one after it, and one that has truly failed."""
    return await staged(cluster)


@pytest.fixture
def dead(stage: Stage) -> Pod:
    """The pod after the incident: to be read, and its sidecar to be used."""
    return stage.dead


@pytest.fixture
async def living(cluster: Cluster, namespace: str) -> Pod:
    """A pod of the test's own before the incident."""
    return await running_incident(cluster, namespace)


@pytest.fixture
async def killed(living: Pod) -> Pod:
    """A pod of the test's own after the incident."""
    await living.run_out_of_memory()
    return living
