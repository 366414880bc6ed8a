"""What an upstream of dialect ``kubernetes`` may say besides: which pods tell the truth, and who speaks to it."""

from __future__ import annotations

import re
from typing import Final

from proxy.domain.pods import Decide, PodRules
from proxy.policy.mistakes import Mistakes, Path, shown
from proxy.policy.origins import is_loopback
from proxy.policy.policyset import Listen, Origin, OwnAuth
from proxy.policy.schema_upstreams import UpstreamShape

KUBERNETES: Final = "kubernetes"
"""The dialect's name."""

_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
"""A container's name (RFC 1123's label, as the API server checks it)."""
_PATTERN: Final = re.compile(r"[a-z0-9*-]{1,63}")
"""A namespace's name, or a pattern of names."""


def compile_auth(
    path: Path, shape: UpstreamShape, origin: Origin, listen: Listen | None, mistakes: Mistakes
) -> OwnAuth | None:
    """``auth``, where the upstream says it. What is wrong goes to ``mistakes``."""
    if shape.auth is None:
        return None
    _check_dialect(path, "auth", shape, mistakes)
    holder = path[:-1]
    if origin.scheme == "http" and not mistakes.marked((*holder, "url")):
        mistakes.add(path, "Headgate's own token never goes over plain http", "write https:// in the url")
    elif shape.tls.client_cert_file is not None and not mistakes.spoiled((*holder, "tls")):
        hint = "leave auth out: the API server takes the certificate's word"
        mistakes.add(path, "the upstream has a client certificate already", hint)
    elif listen is not None and not is_loopback(listen.host):
        problem = f"everybody who reaches {shown(listen.host)} would act as Headgate"
        mistakes.add(path, problem, "listen on 127.0.0.1, or leave auth out: callers' credentials pass through")
    return OwnAuth(str(shape.auth.own.token_file))


def compile_pods(path: Path, shape: UpstreamShape, mistakes: Mistakes) -> PodRules | None:
    """``pods``, where the upstream says it. What is wrong goes to ``mistakes``."""
    if shape.pods is None:
        return None
    _check_dialect(path, "pods", shape, mistakes)
    pods = shape.pods
    _check_names((*path, "main_containers"), pods.main_containers, _LABEL, "a container's name", mistakes)
    _check_names((*path, "namespaces"), pods.namespaces, _PATTERN, "a namespace or a pattern with *", mistakes)
    return PodRules(
        main_containers=tuple(str(name) for name in pods.main_containers),
        namespaces=tuple(str(name) for name in pods.namespaces),
        labels=pods.labels,
        decide=Decide(pods.decide),
        max_restarts=pods.max_restarts,
        authoritative=pods.authoritative,
    )


def _check_dialect(path: Path, key: str, shape: UpstreamShape, mistakes: Mistakes) -> None:
    if shape.dialect != KUBERNETES and not mistakes.marked((*path[:-1], "dialect")):
        mistakes.add(path, f"{key} is for dialect kubernetes", "write dialect: kubernetes, or leave it out")


def _check_names(path: Path, names: list[str], form: re.Pattern[str], what: str, mistakes: Mistakes) -> None:
    for number, name in enumerate(names):
        if form.fullmatch(name) is None:
            mistakes.add((*path, number), f"{shown(name)} is not {what}", "1 to 63 of a-z 0-9 -, written as a list")
        elif name in names[:number]:
            mistakes.add((*path, number), f"{shown(name)} stands twice", "leave one of them out")
