"""A real ``headgate serve`` in front of the cluster, with a TLS listener that callers trust, and the ways to both."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.cluster.api import Api
from tests.cluster.kubectl import Kubectl
from tests.cluster.running import Cluster
from tests.support.serving import ROOT, environment
from tests.support.waiting import WITHIN

SHIPPED: Final = "policies/kubernetes.yaml"
_ANNOUNCED: Final = re.compile(r"headgate: .*(https://[0-9.:]+) -> \w+; admin (http://[0-9.:]+)")


@dataclass(frozen=True, slots=True)
class Way:
    """How callers reach the API server: directly, or through Headgate. All of it is the admin's."""

    name: str
    server: str
    authority: Path
    kubeconfig: Path
    kubectl: Kubectl
    old_kubectl: Kubectl | None
    api: Api

    @property
    def derives(self) -> bool:
        """Whether pods tell the truth on this way."""
        return self.name == "through"


@dataclass(frozen=True, slots=True)
class Front:
    """Headgate as it runs. ``state`` is the folder with its authority, ``log`` its access log.

    ``kubeconfig`` is the one that ``headgate kubeconfig`` has written for the admin.
    """

    cluster: Cluster
    server: str
    admin: str
    state: Path
    log: Path
    kubeconfig: Path

    @property
    def authority(self) -> Path:
        """Whom callers have to trust."""
        return self.state / "tls" / "ca.crt"

    @property
    def port(self) -> int:
        """Where the TLS listener is, on 127.0.0.1."""
        return int(self.server.rpartition(":")[2])

    def way(self, token: str | None = None) -> Way:
        """The way through it, for the owner of a token; the admin unless said."""
        kubeconfig = self.kubeconfig
        if token is not None:
            kubeconfig = self.cluster.kubeconfig_for(token, self.server, self.authority)
        api = Api(self.server, self.authority, token or self.cluster.admin_token)
        return _way("through", self.cluster, self.server, self.authority, kubeconfig, api)

    def counts(self) -> Any:
        """Limits, queues and tickets as the admin listener tells them."""
        with urllib.request.urlopen(f"{self.admin}/api/v1/state", timeout=WITHIN) as reply:
            return json.load(reply)

    def waiting(self) -> int:
        """Callers that wait now."""
        return sum(queue["waiting"] for queue in self.counts()["queues"])

    def held(self, namespace: str) -> float:
        """Seats held for a namespace."""
        return sum(float(limit["held"]) for limit in self.counts()["limits"] if limit["scope"] == namespace)

    def lines(self) -> list[Any]:
        """The access log so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.endswith("}")]


def direct(cluster: Cluster) -> Way:
    """The way past Headgate."""
    return _way("direct", cluster, cluster.server, cluster.authority, cluster.kubeconfig, cluster.api)


@contextmanager
def fronting(cluster: Cluster, folder: Path, policy: str = SHIPPED, **more: str) -> Iterator[Front]:
    """Headgate with a policy (file or name) that reads the variables of the shipped one, until the block ends.

    AssertionError where it does not come up, or has told of a fault of its own by the end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    words, log, state = folder / "words", folder / "log", folder / "state"
    places = {"KUBE_UPSTREAM_URL": cluster.server, "KUBE_CA_FILE": str(cluster.authority)}
    told = environment(state, {**places, "KUBE_LISTEN": f"127.0.0.1:{_free_port()}", **more})
    headgate, policies = [sys.executable, "-m", "proxy"], ["--policy", policy]
    kubeconfig = folder / "kubeconfig"
    written = ["--from", str(cluster.kubeconfig), "--output", str(kubeconfig)]
    subprocess.run([*headgate, "kubeconfig", *policies, *written], cwd=ROOT, env=told, check=True)
    serve = [*headgate, "serve", *policies, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    with (
        words.open("wb") as err,
        log.open("wb") as out,
        subprocess.Popen(serve, cwd=ROOT, env=told, stdout=out, stderr=err) as process,
    ):
        try:
            server, admin = _announced(process, words)
            yield Front(cluster, server, admin, state, log, kubeconfig)
        finally:
            process.kill()
    assert "Traceback" not in words.read_text(), words.read_text()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _announced(process: subprocess.Popen[bytes], words: Path) -> tuple[str, str]:
    """Where it listens, as it says: the TLS listener's URL and the admin's."""
    end = time.monotonic() + WITHIN
    while (found := _ANNOUNCED.search(words.read_text())) is None:
        assert process.poll() is None and time.monotonic() < end, words.read_text()
        time.sleep(0.02)
    return found[1], found[2]


def _way(name: str, cluster: Cluster, server: str, authority: Path, kubeconfig: Path, api: Api) -> Way:
    old = cluster.old_kubectl
    return Way(
        name,
        server,
        authority,
        kubeconfig,
        cluster.kubectl.using(kubeconfig),
        None if old is None else old.using(kubeconfig),
        api,
    )
