"""A whole cluster as one object: started, used by everybody, stopped."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.cluster import control, node
from tests.cluster.api import Api, Refused
from tests.cluster.control import Control
from tests.cluster.kubectl import Kubectl
from tests.cluster.places import Place, reserve
from tests.cluster.processes import WITHIN, Processes
from tests.cluster.programs import Level, Programs

RULES: Final = (
    {
        "apiGroups": [""],
        "resources": ["pods", "pods/log", "pods/exec", "pods/attach", "pods/portforward", "pods/status"],
        "verbs": ["*"],
    },
)
"""What an account may do unless said: everything with the pods of its namespace, and nothing else."""


class Cluster:
    """A running cluster. Its methods block and never fail half-way: they raise, or it is done.

    ``server`` is the API server's URL, ``authority`` the file of its CA, ``admin_token`` opens everything,
    ``nobody_token`` is known and may do nothing.
    """

    def __init__(self, programs: Programs, place: Place, processes: Processes, plane: Control) -> None:
        self.level, self.left_out = programs.level, programs.why
        self.folder = place.folder
        self.server, self.authority = plane.url, plane.authority
        self.admin_token, self.nobody_token = plane.tokens["admin"], plane.tokens["nobody"]
        self.api = plane.admin
        self._place, self._plane, self._processes = place, plane, processes
        self._names = itertools.count(1)
        self.kubeconfig = control.kubeconfig(place.folder / "kubeconfig", self.server, self.authority, self.admin_token)
        home = place.folder / "home"
        home.mkdir()
        self.kubectl = Kubectl(programs.kubectl, self.kubeconfig, home)
        old = programs.old_kubectl
        self.old_kubectl = None if old is None else Kubectl(old, self.kubeconfig, home)

    def kubeconfig_for(self, token: str, server: str | None = None, authority: Path | None = None) -> Path:
        """A kubeconfig for this token; ``server`` and ``authority`` where it is to go elsewhere, to a proxy."""
        file = self.folder / f"kubeconfig-{next(self._names)}"
        return control.kubeconfig(file, server or self.server, authority or self.authority, token)

    def as_caller(self, token: str) -> Api:
        """A caller of the API server with this token."""
        return self._plane.api(token)

    def namespace(self, prefix: str = "test") -> str:
        """A new namespace that nobody else uses; its name."""
        name = f"{prefix}-{next(self._names)}"
        self.api.post("/api/v1/namespaces", {"metadata": {"name": name}})
        self.await_account(name)
        return name

    def await_account(self, namespace: str) -> None:
        """Wait until pods can be made: with a node they are refused until the account they run as exists."""
        if self.level is Level.NODE:
            self._until(f"/api/v1/namespaces/{namespace}/serviceaccounts/default")

    def account(self, namespace: str, name: str = "agent", rules: Sequence[Mapping[str, Any]] = RULES) -> str:
        """A new service account that may do this in its namespace: a token for it, a JWT that is good for an hour."""
        base, group = f"/api/v1/namespaces/{namespace}", "rbac.authorization.k8s.io"
        roles = f"/apis/{group}/v1/namespaces/{namespace}"
        metadata = {"metadata": {"name": name}}
        self.api.post(f"{base}/serviceaccounts", metadata)
        self.api.post(f"{roles}/roles", {**metadata, "rules": list(rules)})
        subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
        role = {"apiGroup": group, "kind": "Role", "name": name}
        self.api.post(f"{roles}/rolebindings", {**metadata, "roleRef": role, "subjects": [subject]})
        asked = {"spec": {"expirationSeconds": 3600}}
        answer = self.api.post(f"{base}/serviceaccounts/{name}/token", asked)
        return str(answer["status"]["token"])

    def stored_pod(self, namespace: str, name: str) -> bytes:
        """The pod as etcd holds it: protobuf behind ``k8s\\0``. KeyError where it is not."""
        return self._plane.stored(f"/registry/pods/{namespace}/{name}")

    def load(self, archive: Path) -> None:
        """Put the images of a docker archive on the node."""
        node.load(self._place, archive)

    def check(self) -> None:
        """``Died`` when one of its processes has ended."""
        self._processes.check()

    def _until(self, path: str) -> None:
        end = time.monotonic() + WITHIN
        while True:
            try:
                self.api.get(path)
            except Refused as why:
                if why.status != 404 or time.monotonic() > end:
                    raise
                time.sleep(0.02)
            else:
                return


@contextmanager
def running(programs: Programs) -> Iterator[Cluster]:
    """A cluster, at the level of the programs, that ends with the block. ``Died`` where it does not come up."""
    place = reserve()
    processes = Processes(place, isolated=programs.level is Level.NODE)
    try:
        yield _start(programs, place, processes)
    finally:
        processes.close()


def _start(programs: Programs, place: Place, processes: Processes) -> Cluster:
    plane = control.start(programs, place, processes)
    if programs.level is Level.NODE:
        node.start_runtime(place, processes)
    processes.until(lambda: control.is_ready(plane), "kube-apiserver")
    cluster = Cluster(programs, place, processes, plane)
    if programs.level is Level.NODE:
        control.start_managers(programs, place, processes, cluster.kubeconfig)
        node.start_kubelet(programs, place, processes, cluster.kubeconfig_for(plane.tokens["kubelet"]))
        processes.until(lambda: node.is_ready(cluster.api), "kubelet")
        cluster.await_account("default")
    return cluster
