"""Reads a pod's status, changes it, and writes it back whole and as a patch. Arguments: namespace, pod."""

import asyncio
import json
import sys
from typing import Any

from kubernetes_asyncio import client, config


def condition(name: str) -> client.V1PodCondition:
    """A condition of some controller's own."""
    return client.V1PodCondition(type=f"example.com/{name}", status="True")


async def main(namespace: str, name: str) -> None:
    """Print the phases that the replies say."""
    await config.load_kube_config()
    async with client.ApiClient() as api:
        pods: Any = client.CoreV1Api(api)
        pod = await pods.read_namespaced_pod_status(name, namespace)
        read = pod.status.phase
        pod.status.conditions.append(condition("Put"))
        put = await pods.replace_namespaced_pod_status(name, namespace, pod)
        put.status.conditions.append(condition("Patched"))
        put.metadata.managed_fields = None
        patched = await pods.patch_namespaced_pod_status(name, namespace, put)
    json.dump({"read": read, "put": put.status.phase, "patched": patched.status.phase}, sys.stdout)


asyncio.run(main(*sys.argv[1:]))
