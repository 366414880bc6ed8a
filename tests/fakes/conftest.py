"""The fake API server is compared with a real one, where there is one."""

from tests.cluster.fixtures import cluster

__all__ = ["cluster"]
