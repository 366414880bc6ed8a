"""The cluster's own tests use it as all others do."""

from tests.cluster.fixtures import cluster, cluster_with_node, namespace, old_kubectl

__all__ = ["cluster", "cluster_with_node", "namespace", "old_kubectl"]
