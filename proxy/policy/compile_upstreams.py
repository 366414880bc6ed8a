"""Upstreams: where they are, how they are mounted, and that no two are mounted at one place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from proxy.domain.ids import UpstreamName
from proxy.domain.paths import PathError, normalise
from proxy.policy.compile_kubernetes import compile_auth, compile_pods
from proxy.policy.mistakes import Mistakes, Path, did_you_mean, shown
from proxy.policy.names import check_name
from proxy.policy.origins import OriginError, parse_host, parse_listen, parse_origin
from proxy.policy.policyset import Listen, Origin, Upstream, UpstreamTls
from proxy.policy.schema import PolicyShape
from proxy.policy.schema_kinds import LATER
from proxy.policy.schema_upstreams import ListenShape, UpstreamShape, UpstreamTlsShape

DIALECTS_LATER: Final = frozenset({"anthropic", "openai"})
"""Dialects of the contract (design.md §2.10, §2.14) that this version does not speak."""

_OURS: Final = ("/t", "/.headgate")
"""Paths of Headgate's own: tenants in the path, and tickets (design.md §2.14)."""


def compile_upstreams(
    policy: PolicyShape, operations: Mapping[str, frozenset[str]], mistakes: Mistakes
) -> dict[UpstreamName, Upstream]:
    """Every upstream of the policy. What is wrong goes to ``mistakes``."""
    made: dict[UpstreamName, Upstream] = {}
    if not policy.upstreams:
        mistakes.add(("upstreams",), "no upstream is defined", "write for example e2b: {url: https://api.e2b.app}")
    for name, shape in policy.upstreams.items():
        check_name(("upstreams", name), "an upstream", name, mistakes)
        _check_dialect(("upstreams", name, "dialect"), shape.dialect, operations, mistakes)
        made[UpstreamName(name)] = _upstream(name, shape, mistakes)
    _check_mounts(made, mistakes)
    return made


def _check_dialect(path: Path, dialect: str, operations: Mapping[str, frozenset[str]], mistakes: Mistakes) -> None:
    if dialect in operations:
        return
    if dialect in DIALECTS_LATER:
        mistakes.add(path, LATER.format(f"dialect {shown(dialect)}"), "this version has: " + ", ".join(operations))
    else:
        mistakes.add(path, f"{shown(dialect)} is not a dialect", did_you_mean(dialect, operations))


def _upstream(name: str, shape: UpstreamShape, mistakes: Mistakes) -> Upstream:
    path: Path = ("upstreams", name)
    origin = _origin(path, shape, mistakes)
    if shape.prefix is not None:
        _check_prefix((*path, "prefix"), shape.prefix, mistakes)
    _check_tls(path, shape, origin, mistakes)
    listen = None if shape.listen is None else _listen((*path, "listen"), shape.listen, mistakes)
    return Upstream(
        name=UpstreamName(name),
        origin=origin,
        dialect=str(shape.dialect),
        prefix=None if shape.prefix is None else str(shape.prefix),
        listen=listen,
        hosts=_hosts((*path, "hosts"), shape.hosts, mistakes),
        keep_host=shape.host == "caller",
        via=shape.via,
        forward_idempotency_key=shape.forward_idempotency_key,
        tls=_tls(shape.tls),
        auth=compile_auth((*path, "auth"), shape, origin, listen, mistakes),
        pods=compile_pods((*path, "pods"), shape, mistakes),
    )


def _plain(text: str | None) -> str | None:
    return None if text is None else str(text)


def _tls(shape: UpstreamTlsShape) -> UpstreamTls:
    return UpstreamTls(
        ca_file=_plain(shape.ca_file),
        client_cert_file=_plain(shape.client_cert_file),
        client_key_file=_plain(shape.client_key_file),
        server_name=_plain(shape.server_name),
        verify=shape.verify,
    )


def _origin(path: Path, shape: UpstreamShape, mistakes: Mistakes) -> Origin:
    try:
        origin = parse_origin(shape.url)
    except OriginError as error:
        secret = "@" in shape.url  # it may be a password, wherever it stands
        what = error.problem if secret else f"{shown(shape.url)}: {error.problem}"
        mistakes.add((*path, "url"), what, error.hint)
        return Origin("http", "stand-in.invalid", 80)
    if origin.templated and shape.dialect != "e2b-sandbox" and not mistakes.marked((*path, "dialect")):
        hint = "use dialect: e2b-sandbox, or write the host out"
        mistakes.add((*path, "url"), "{port} and {sandbox} are for dialect e2b-sandbox only", hint)
    return origin


def _listen(path: Path, shape: ListenShape, mistakes: Mistakes) -> Listen:
    try:
        listen = parse_listen(shape.address)
    except OriginError as error:
        mistakes.add((*path, "address"), f"{shown(shape.address)} {error.problem}", error.hint)
        return Listen("127.0.0.1", 0)
    return replace(listen, tls=shape.tls is not None)


def _hosts(path: Path, hosts: list[str], mistakes: Mistakes) -> tuple[str, ...]:
    made: list[str] = []
    for number, text in enumerate(hosts):
        try:
            made.append(parse_host(text))
        except OriginError as error:
            mistakes.add((*path, number), f"{shown(text)} {error.problem}", error.hint)
    return tuple(made)


def _check_prefix(path: Path, prefix: str, mistakes: Mistakes) -> None:
    if not prefix.startswith("/") or prefix == "/":
        hint = "write for example /e2b; to mount at / leave prefix out (single upstream) or use listen or hosts"
        mistakes.add(path, f"{shown(prefix)} is not a prefix", hint)
    elif re.fullmatch(r"[!-~]+", prefix) is None or re.search(r"[?#{}*\\]", prefix):
        mistakes.add(path, f"{shown(prefix)} holds characters that no path holds", "write for example /e2b")
    elif any(prefix == ours or prefix.startswith(ours + "/") for ours in _OURS):
        mistakes.add(path, "a prefix inside /t/ or /.headgate/ is Headgate's own", "choose another prefix")
    else:
        try:
            normal = normalise(prefix.encode()).decode()
        except PathError:
            normal = ""
        if normal != prefix or prefix.endswith("/"):
            hint = f"write {shown(normal.rstrip('/') or '/e2b')}" if "${" not in shown(prefix) else "write like /e2b"
            mistakes.add(path, f"{shown(prefix)} is not in normal form", hint)


def _check_tls(path: Path, shape: UpstreamShape, origin: Origin, mistakes: Mistakes) -> None:
    if origin.scheme == "http" and shape.tls.model_fields_set and not mistakes.marked((*path, "url")):
        mistakes.add((*path, "tls"), "tls is for an https:// url", "leave it out, or write https:// in the url")
    if shape.tls.client_key_file is not None and shape.tls.client_cert_file is None:
        hint = "say client_cert_file too"
        if not mistakes.spoiled((*path, "tls")):
            mistakes.add((*path, "tls", "client_key_file"), "a key without its certificate", hint)


def _check_mounts(upstreams: Mapping[UpstreamName, Upstream], mistakes: Mistakes) -> None:
    taken: dict[tuple[str, object], Path] = {}

    def take(what: str, value: object, path: Path) -> None:
        first = taken.setdefault((what, value), path)
        if first != path:
            place = mistakes.place(first)
            problem = f'the upstream "{first[1]}" has the same {what} ({place.file}:{place.line})'
            mistakes.add(path, problem, "requests could not be told apart: choose another")

    for name, upstream in upstreams.items():
        path: Path = ("upstreams", name)
        if upstream.prefix is not None:
            take("prefix", upstream.prefix, (*path, "prefix"))
        if upstream.listen is not None and upstream.listen.port != 0:
            take("address", (upstream.listen.host, upstream.listen.port), (*path, "listen", "address"))
        for number, host in enumerate(upstream.hosts):
            take("host", host, (*path, "hosts", number))
        if len(upstreams) > 1 and upstream.prefix is None and upstream.listen is None and not upstream.hosts:
            hint = f"with several upstreams each needs one: write for example prefix: /{name}"
            mistakes.add(path, "has no prefix, listen or hosts", hint)
