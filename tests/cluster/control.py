"""etcd, the API server and, for a node, controller manager and scheduler: on loopback, with TLS of their own.

What the flags are for stands in machines.md §2. Nothing is read from or written to the machine but the folder.
"""

from __future__ import annotations

import base64
import http.client
import json
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.cluster.api import Api
from tests.cluster.places import Place
from tests.cluster.processes import Processes
from tests.cluster.programs import Level, Programs
from tests.support.certificates import Authority

ETCD, PEERS, SERVER = range(3)
"""Which of the place's ports is whose."""
NODE_NAME: Final = "localhost"
"""The node's name is also the address at which the API server finds its kubelet."""
USERS: Final = {
    "admin": ("admin", "system:masters"),
    "kubelet": (f"system:node:{NODE_NAME}", "system:nodes"),
    "nobody": ("nobody", ""),
}
"""Who may come with a token from the token file: whoever may do everything, the node, and one without any right."""
NOT_RUN: Final = ("pod-garbage-collector-controller",)
"""It deletes pods bound to nodes that do not exist; tests that PATCH a status want such pods to stay."""


@dataclass(frozen=True, slots=True)
class Control:
    """A running control plane."""

    url: str
    authority: Path
    tokens: dict[str, str]
    etcd: str

    def api(self, token: str) -> Api:
        """A caller with this token."""
        return Api(self.url, self.authority, token)

    @property
    def admin(self) -> Api:
        """A caller who may do everything."""
        return self.api(self.tokens["admin"])

    def stored(self, key: str) -> bytes:
        """What etcd holds under a key, as it is; KeyError where nothing is."""
        connection = http.client.HTTPConnection(self.etcd, timeout=30)
        try:
            connection.request("POST", "/v3/kv/range", json.dumps({"key": base64.b64encode(key.encode()).decode()}))
            found = json.load(connection.getresponse()).get("kvs")
        finally:
            connection.close()
        if not found:
            raise KeyError(key)
        return base64.b64decode(found[0]["value"])


def start(programs: Programs, place: Place, processes: Processes) -> Control:
    """Start etcd and the API server. Returns at once: the server is there when :func:`is_ready` says so."""
    control = _prepare(place)
    processes.start("etcd", _etcd(programs, place))
    processes.start("kube-apiserver", _apiserver(programs, place, control))
    return control


def is_ready(control: Control) -> bool:
    """Whether the API server takes requests and has made the roles it needs."""
    with suppress(OSError, http.client.HTTPException):
        return control.admin.send("GET", "/readyz").status == 200
    return False


def start_managers(programs: Programs, place: Place, processes: Processes, kubeconfig: Path) -> None:
    """Start controller manager and scheduler; returns at once."""
    common = ["--kubeconfig", str(kubeconfig), "--leader-elect=false", "--secure-port=0"]
    key, authority = place.folder / "accounts.pem", place.folder / "authority.pem"
    controllers = ",".join(["*", *(f"-{name}" for name in NOT_RUN)])
    accounts = [f"--service-account-private-key-file={key}", f"--root-ca-file={authority}"]
    manager = [*common, *accounts, f"--controllers={controllers}"]
    processes.start("kube-controller-manager", [programs["kube-controller-manager"], *manager])
    processes.start("kube-scheduler", [programs["kube-scheduler"], *common])


def kubeconfig(path: Path, server: str, authority: Path, token: str, namespace: str = "default") -> Path:
    """Write one; ``authority`` is a file in PEM and goes in whole."""
    trusted = base64.b64encode(authority.read_bytes()).decode()
    context = {"cluster": "headgate", "user": "headgate", "namespace": namespace}
    text = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "headgate",
        "clusters": [{"name": "headgate", "cluster": {"server": server, "certificate-authority-data": trusted}}],
        "users": [{"name": "headgate", "user": {"token": token}}],
        "contexts": [{"name": "headgate", "context": context}],
    }
    path.write_text(yaml.safe_dump(text))
    return path


def _prepare(place: Place) -> Control:
    authority = Authority(place.folder)
    authority.certificate("server", "127.0.0.1", "localhost", "kubernetes.default.svc")
    private = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    (place.folder / "accounts.pem").write_bytes(private)
    tokens = {name: secrets.token_hex(16) for name in USERS}
    (place.folder / "tokens.csv").write_text("".join(_token_lines(tokens)))
    url, etcd = f"https://127.0.0.1:{place.port(SERVER)}", f"127.0.0.1:{place.port(ETCD)}"
    return Control(url, authority.file, tokens, etcd)


def _token_lines(tokens: dict[str, str]) -> Iterable[str]:
    for name, (user, group) in USERS.items():
        yield f"{tokens[name]},{user},{name},{group}\n"


def _etcd(programs: Programs, place: Place) -> list[str]:
    here, peers = f"http://127.0.0.1:{place.port(ETCD)}", f"http://127.0.0.1:{place.port(PEERS)}"
    return [
        programs["etcd"],
        f"--data-dir={place.folder / 'etcd'}",
        f"--listen-client-urls={here}",
        f"--advertise-client-urls={here}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def _apiserver(programs: Programs, place: Place, control: Control) -> list[str]:
    own, key = place.folder / "server.pem", place.folder / "accounts.pem"
    flags = {
        "etcd-servers": f"http://{control.etcd}",
        "secure-port": place.port(SERVER),
        "bind-address": "127.0.0.1",
        "advertise-address": "127.0.0.1",
        "cert-dir": place.folder,
        "tls-cert-file": own,
        "tls-private-key-file": own,
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": key,
        "service-account-signing-key-file": key,
        "token-auth-file": place.folder / "tokens.csv",
        "authorization-mode": "Node,RBAC",
        "service-cluster-ip-range": place.services,
        "kubelet-preferred-address-types": "Hostname",
    }
    if programs.level is Level.CONTROL:  # no controller manager makes a namespace's account, which pods need
        flags["disable-admission-plugins"] = "ServiceAccount"
    return [programs["kube-apiserver"], *(f"--{name}={value}" for name, value in flags.items())]
