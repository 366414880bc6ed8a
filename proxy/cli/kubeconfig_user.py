"""Whom a kubeconfig of ours speaks for: the user of another kubeconfig, or the service account of this pod."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from proxy.policy.policyset import Upstream

IN_CLUSTER: Final = "in-cluster"
SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_FILES: Final = ("client-certificate", "client-key", "tokenFile")
"""What a user may name by a path, relative to the kubeconfig it stands in."""


class KubeconfigError(ValueError):
    """What was asked for cannot be made; one line says why and what to do."""


@dataclass(frozen=True, slots=True)
class Borrowed:
    """User and namespace of a kubeconfig, and what its reader should know."""

    user: dict[str, Any] = field(default_factory=dict)
    namespace: str | None = None
    notes: tuple[str, ...] = ()


def borrow(source: str | None, context: str | None, upstream: Upstream) -> Borrowed:
    """The user that ``--from`` names, for an upstream. KubeconfigError where there is none; OSError."""
    if source is None:
        if context is not None:
            raise KubeconfigError("--context names a context of the kubeconfig that --from gives; give --from too")
        if upstream.auth is not None:
            return Borrowed()  # Headgate speaks for itself there
        how = "--from KUBECONFIG copies one, --from in-cluster takes this pod's, kubectl --token gives one by hand"
        return Borrowed(notes=(f"it has no user: {how}",))
    if source == IN_CLUSTER:
        if context is not None:
            raise KubeconfigError("--context does not go with --from in-cluster")
        return _service_account()
    return _copied(Path(source), context, upstream)


def _service_account() -> Borrowed:
    """The token stays in its file, which is replaced about hourly."""
    token = SERVICE_ACCOUNT / "token"
    if not token.is_file():
        raise KubeconfigError(f"{token} is not there: this is no pod, or it has automountServiceAccountToken: false")
    try:
        namespace = (SERVICE_ACCOUNT / "namespace").read_text().strip()
    except FileNotFoundError:
        namespace = ""
    return Borrowed({"tokenFile": str(token)}, namespace or None)


def _copied(path: Path, name: str | None, upstream: Upstream) -> Borrowed:
    """User and namespace of a context of another kubeconfig."""
    try:
        document = yaml.safe_load(path.read_bytes())
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        raise KubeconfigError(f"{path}{f':{where.line + 1}' if where else ''} is no kubeconfig") from None
    if not isinstance(document, dict) or document.get("kind", "Config") != "Config":
        raise KubeconfigError(f"{path} is no kubeconfig")
    name = name or document.get("current-context")
    if not name:
        raise KubeconfigError(f"{path} has no current context: choose one with --context")
    context = _named(path, document, "context", name)
    user = dict(_named(path, document, "user", context["user"])) if context.get("user") else {}
    _make_absolute(user, path.absolute().parent)
    notes = [*_about_user(user, name), *_about_cluster(path, document, context, upstream)]
    return Borrowed(user, context.get("namespace"), tuple(notes))


def _named(path: Path, document: dict[str, Any], kind: str, name: object) -> dict[str, Any]:
    """What a kubeconfig has under a name in its list of contexts, users or clusters."""
    listed = document.get(f"{kind}s")
    entries = [e for e in listed if isinstance(e, dict)] if isinstance(listed, list) else []
    found = next((e.get(kind) or {} for e in entries if e.get("name") == name), None)
    if not isinstance(found, dict):
        has = ", ".join(str(e.get("name")) for e in entries) or "none"
        raise KubeconfigError(f'{path} has no {kind} "{name}"; it has {has}')
    return found


def _make_absolute(user: dict[str, Any], folder: Path) -> None:
    """Paths are relative to the kubeconfig they stand in, and this one stands elsewhere."""
    for key in _FILES:
        if user.get(key):
            user[key] = str(folder / user[key])
    plugin = user.get("exec")
    if isinstance(plugin, dict) and "/" in str(plugin.get("command", "")):
        user["exec"] = {**plugin, "command": str(folder / plugin["command"])}


def _about_user(user: dict[str, Any], context: str) -> list[str]:
    if any(key.startswith("client-certificate") for key in user):
        return [
            "client certificates end at the proxy, so the API server will not know this user by its own; "
            "use a token instead (kubectl create token NAME)"
        ]
    if "exec" in user or "auth-provider" in user:
        return ["the user's plugin is copied; it works where it gives a token, a certificate would end at the proxy"]
    return [] if user else [f'context "{context}" has no user with a credential']


def _about_cluster(path: Path, document: dict[str, Any], context: dict[str, Any], upstream: Upstream) -> list[str]:
    """A word where the credential was made for another server than the one it will be sent to."""
    if not context.get("cluster"):
        return []
    server = str(_named(path, document, "cluster", context["cluster"]).get("server", ""))
    origin = upstream.origin
    try:
        parts = urlsplit(server)
        if (parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)) == (origin.host, origin.port):
            return []
    except ValueError:
        server = "another server"
    ours = f"{origin.scheme}://{origin.authority}"
    return [f'the user is for {server}, and upstream "{upstream.name}" is {ours}: is that the same cluster?']
