"""A real cluster for the commands that concern one."""

from tests.cluster.fixtures import cluster, cluster_with_node, namespace

__all__ = ["cluster", "cluster_with_node", "namespace"]
