"""Reads a pod as a client does that runs in the cluster. Arguments: the service account's folder, pod."""

import json
import sys
from pathlib import Path

from kubernetes import client
from kubernetes.config.incluster_config import InClusterConfigLoader


def main(folder: str, name: str) -> None:
    """Print what the pod says, and the pods there are."""
    place = Path(folder)
    InClusterConfigLoader(token_filename=str(place / "token"), cert_filename=str(place / "ca.crt")).load_and_set()
    pods, namespace = client.CoreV1Api(), (place / "namespace").read_text()
    pod = pods.read_namespaced_pod(name, namespace)
    names = [one.metadata.name for one in pods.list_namespaced_pod(namespace).items]
    json.dump({"phase": pod.status.phase, "reason": pod.status.reason, "names": names}, sys.stdout)


main(*sys.argv[1:])
