"""``headgate kubeconfig``: a kubeconfig that points clients at the proxy's TLS listener, with its authority inside.

The authority is made where there is none yet, so the kubeconfig can be handed out before the first ``serve``.
"""

from __future__ import annotations

import argparse
import base64
import datetime
import ipaddress
import os
import sys
from pathlib import Path
from typing import Final

import yaml

from proxy.cli.kubeconfig_user import Borrowed, KubeconfigError, borrow
from proxy.cli.policy_files import read_policy
from proxy.dialects.registry import OPERATIONS
from proxy.policy.compile import PolicyErrors, load_policy
from proxy.policy.policyset import Listen, PolicySet, Upstream
from proxy.settings import SettingsError, load_settings
from proxy.state import StateError, put, state_folder

_MARK: Final = "# Written by `headgate kubeconfig`, which may write it again.\n"

_EPILOG: Final = """\
examples:
  headgate kubeconfig --policy kubernetes --from ~/.kube/config --output headgate.kubeconfig
  kubectl --kubeconfig headgate.kubeconfig get pods

  headgate kubeconfig --policy kubernetes --from in-cluster --output /shared/kubeconfig   # in a pod

The API server still decides who may do what: the user's token passes through the proxy. Client certificates do not,
they end where TLS ends; use a token for such users (kubectl create token NAME). Clients need the listener with TLS:
over http:// kubectl and all Go programs leave token and certificate out without a word.
Exit codes: 0 done, 1 a file cannot be read or written, 2 the policy or the arguments do not allow it.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("--policy", metavar="FILE|DIR|NAME", help="the policy that headgate serves (HEADGATE_POLICY)")
    parser.add_argument("--upstream", metavar="NAME", help="which one, where the policy has several for Kubernetes")
    parser.add_argument("--output", metavar="FILE", help="write it there, readable by you only (standard output)")
    parser.add_argument(
        "--from",
        dest="source",
        metavar="KUBECONFIG",
        help="copy user and namespace from this kubeconfig; in-cluster: the service account of this pod",
    )
    parser.add_argument("--context", metavar="NAME", help="which context of --from (its current one)")


def run(arguments: argparse.Namespace) -> int:
    """Print or write it; returns the exit code."""
    try:
        settings = load_settings({"policy": arguments.policy})
        if not settings.policy:
            raise KubeconfigError("no policy: give --policy FILE|DIR|NAME, the one that headgate serves")
        policies = load_policy(read_policy(settings.policy), os.environ, OPERATIONS)
        upstream, listen = find_listener(policies, arguments.upstream)
        borrowed = borrow(arguments.source, arguments.context, upstream)
        text = _MARK + _written(upstream, listen, _authority(state_folder(settings.state_dir, os.environ)), borrowed)
        if arguments.output:
            _save(Path(arguments.output), text)
        else:
            sys.stdout.write(text)
    except PolicyErrors as errors:
        print(errors, file=sys.stderr)
        return 2
    except (KubeconfigError, SettingsError) as error:
        print(f"headgate kubeconfig: {error}", file=sys.stderr)
        return 2
    except StateError as error:
        print(f"headgate kubeconfig: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"headgate kubeconfig: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    for note in borrowed.notes:
        print(f"headgate kubeconfig: note: {note}", file=sys.stderr)
    return 0


def find_listener(policies: PolicySet, name: str | None) -> tuple[Upstream, Listen]:
    """The upstream asked for, or the only one, and its TLS listener. KubeconfigError where there is none."""
    fit = {u.name: u for u in policies.upstreams.values() if u.dialect == "kubernetes"}
    if not fit:
        has = ", ".join(f"{u.name} ({u.dialect})" for u in policies.upstreams.values())
        raise KubeconfigError(f"the policy has no upstream with dialect: kubernetes; it has {has}")
    names = ", ".join(fit)
    if name is not None and name not in fit:
        raise KubeconfigError(f'the policy has no upstream "{name}" with dialect: kubernetes; it has {names}')
    if name is None and len(fit) > 1:
        raise KubeconfigError(f"the policy has several upstreams for Kubernetes: choose with --upstream one of {names}")
    upstream = fit[next(u for u in fit if name in (None, u))]
    listen = upstream.listen
    if listen is None or not listen.tls:
        what = "has no listener of its own" if listen is None else "listens without TLS"
        raise KubeconfigError(
            f'upstream "{upstream.name}" {what}, and over http:// kubectl and all Go clients leave out token and '
            "certificate: give it listen: {address: 127.0.0.1:6443, tls: auto}"
        )
    if listen.port == 0:
        raise KubeconfigError(
            f'upstream "{upstream.name}" listens on port 0, which is another port at each start: write a fixed one'
        )
    return upstream, listen


def _authority(folder: Path) -> bytes:
    from proxy.certificates.authority import Authority  # cryptography takes a moment, and mistakes come first

    return Authority(folder, datetime.datetime.now(datetime.UTC)).pem


def _written(upstream: Upstream, listen: Listen, authority: bytes, borrowed: Borrowed) -> str:
    name = f"headgate-{upstream.name}"
    cluster = {"server": _server(listen), "certificate-authority-data": base64.b64encode(authority).decode()}
    context = {"cluster": name, "user": name}
    if borrowed.namespace:
        context["namespace"] = borrowed.namespace
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": borrowed.user}],
        "contexts": [{"name": name, "context": context}],
        "current-context": name,
    }
    return yaml.safe_dump(document, sort_keys=False, width=1_000_000)


def _server(listen: Listen) -> str:
    """Where callers on this machine reach it."""
    try:
        address = ipaddress.ip_address(listen.host)
    except ValueError:
        return f"https://{listen.host}:{listen.port}"
    if address.is_unspecified:
        address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    host = f"[{address}]" if address.version == 6 else str(address)
    return f"https://{host}:{listen.port}"


def _save(path: Path, text: str) -> None:
    """Write it, but never over a kubeconfig that somebody else wrote."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            ours = file.readline() == _MARK
    except FileNotFoundError:
        ours = True
    if not ours:
        raise KubeconfigError(
            f"{path} is there already and was not written by headgate kubeconfig; choose another FILE "
            f"(kubectl reads several: KUBECONFIG=~/.kube/config:headgate.kubeconfig)"
        )
    put(path, text.encode())
