"""One cluster for all tests of a run. A ``conftest.py`` that wants it imports the fixtures it uses.

Without a cluster, or without its node, these tests are skipped with the reason; in CI they fail.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import NoReturn

import pytest

from tests.cluster.kubectl import Kubectl
from tests.cluster.programs import Level, NoCluster, find
from tests.cluster.running import Cluster, running

_SHARED = pytest.StashKey[Cluster | NoCluster]()
"""A fixture imported into two ``conftest.py`` is two fixtures to pytest; the run itself is only one."""


def shared(config: pytest.Config) -> Cluster:
    """The run's cluster, started by whoever asks first and stopped with the run. ``NoCluster`` where none can be."""
    if _SHARED not in config.stash:
        try:
            programs = find()
        except NoCluster as why:
            config.stash[_SHARED] = why
        else:
            life = ExitStack()
            config.add_cleanup(life.close)
            config.stash[_SHARED] = life.enter_context(running(programs))
    found = config.stash[_SHARED]
    if isinstance(found, NoCluster):
        raise found
    found.check()
    return found


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """A real API server; ``level`` says whether it has a node."""
    try:
        return shared(request.config)
    except NoCluster as why:
        left_out(str(why))


@pytest.fixture(scope="session")
def cluster_with_node(cluster: Cluster) -> Cluster:
    """The cluster where pods truly run."""
    if cluster.level is not Level.NODE:
        left_out(cluster.left_out)
    return cluster


@pytest.fixture(scope="session")
def old_kubectl(cluster: Cluster) -> Kubectl:
    """kubectl 1.20, which speaks SPDY."""
    if cluster.old_kubectl is None:
        left_out("no old kubectl could be had")
    return cluster.old_kubectl


@pytest.fixture(scope="session")
def namespace(cluster: Cluster) -> str:
    """A namespace of the run's own; pods in it need names of their own."""
    return cluster.namespace()


def left_out(why: str) -> NoReturn:
    """Skip, with the reason; in CI, where everything has to be there, fail."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)
