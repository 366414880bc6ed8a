"""Routes: what matches, what it takes, how it waits; and that every route can be reached."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from proxy.domain.ids import LimitName, RouteName, Seconds, SinkName, UpstreamName
from proxy.domain.paths import PathError, PathTemplate, normalise, path_template
from proxy.policy.compile_kubernetes import KUBERNETES
from proxy.policy.mistakes import Mistakes, Path, did_you_mean, shown
from proxy.policy.names import check_defined, check_name
from proxy.policy.policyset import AlsoTransient, Match, Mode, Queue, Retry, Route
from proxy.policy.schema import AlsoShape, MatchShape, PolicyShape, QueueShape, RetryShape, RouteShape

_METHOD: Final = re.compile(r"[A-Z][A-Z-]{0,31}")
_MOST_HOLES: Final = 2
"""Per segment: with more, matching a long path would take time by its cube."""


KUBERNETES_PATIENCE: Final = Seconds(8.0)
"""Below lightkube's read timeout of 10 s, the shortest of any client (kubernetes.md §9.4)."""

_COMPARED: Final = 500
"""Earlier routes of an upstream that a route is compared with: the check must not take time by their square."""


def compile_routes(
    policy: PolicyShape, operations: Mapping[str, frozenset[str]], mistakes: Mistakes
) -> tuple[Route, ...]:
    """The routes in their order. What is wrong goes to ``mistakes``."""
    routes = [_route(number, shape, policy, operations, mistakes) for number, shape in enumerate(policy.routes)]
    _check_names(routes, mistakes)
    _check_reached(routes, mistakes)
    return tuple(routes)


def _route(
    number: int,
    shape: RouteShape,
    policy: PolicyShape,
    operations: Mapping[str, frozenset[str]],
    mistakes: Mistakes,
) -> Route:
    path: Path = ("routes", number)
    check_name((*path, "name"), "a route", shape.name, mistakes)
    limits = _references((*path, "limits"), "a limit", shape.limits, policy.limits, "limits", mistakes)
    _check_needs((*path, "limits"), limits, shape.match.upstream, policy, mistakes)
    sinks = _references((*path, "progress"), "a sink", shape.progress, policy.progress, "progress", mistakes)
    return Route(
        name=RouteName(str(shape.name)),
        match=_match((*path, "match"), shape.match, policy, operations, mistakes),
        limits=tuple(LimitName(name) for name in limits),
        queue=_queue(shape.queue, _dialect_of(shape.match.upstream, policy)),
        retry=Retry() if shape.retry is None else _retry((*path, "retry"), shape.retry, mistakes),
        progress=tuple(SinkName(name) for name in sinks),
        mode=Mode(shape.mode),
    )


def _references(
    path: Path, what: str, names: list[str], defined: Mapping[str, object], section: str, mistakes: Mistakes
) -> list[str]:
    for number, name in enumerate(names):
        if name in names[:number]:
            mistakes.add((*path, number), f"{shown(name)} stands twice", "leave one of them out")
        else:
            check_defined((*path, number), what, name, defined, section, mistakes)
    return [str(name) for name in names]


def _match(
    path: Path,
    shape: MatchShape,
    policy: PolicyShape,
    operations: Mapping[str, frozenset[str]],
    mistakes: Mistakes,
) -> Match:
    there = check_defined((*path, "upstream"), "an upstream", shape.upstream, policy.upstreams, "upstreams", mistakes)
    dialect = policy.upstreams[shape.upstream].dialect if there else ""
    if there and dialect in operations and not mistakes.marked(("upstreams", shape.upstream, "dialect")):
        for number, name in enumerate(shape.operation):
            if name not in operations[dialect]:
                problem = f"{shown(name)} is not an operation of the dialect {dialect}"
                mistakes.add((*path, "operation", number), problem, did_you_mean(name, operations[dialect]))
    for number, method in enumerate(shape.methods):
        _check_method((*path, "methods", number), method, mistakes)
    return Match(
        upstream=UpstreamName(str(shape.upstream)),
        operations=frozenset(str(name) for name in shape.operation),
        methods=frozenset(str(method) for method in shape.methods),
        path=None if shape.path is None else _template((*path, "path"), shape.path, mistakes),
    )


def _check_method(path: Path, method: str, mistakes: Mistakes) -> None:
    if method == "CONNECT":
        mistakes.add(path, "CONNECT never passes", "leave it out")
    elif _METHOD.fullmatch(method) is None:
        upper = _METHOD.fullmatch(method.upper())
        hint = "methods are written in capitals: POST" if upper else "write for example POST"
        mistakes.add(path, f"{shown(method)} is not a method", hint)


def _template(path: Path, text: str, mistakes: Mistakes) -> PathTemplate | None:
    hint = "write for example /sandboxes/{id} or /files/**"
    try:
        template = path_template(str(text))
    except ValueError as error:
        mistakes.add(path, f"{shown(text)}: {error}" if "${" not in shown(text) else "is not a path", hint)
        return None
    if not text.isascii() or re.search(r"[?#\s\\]", text):
        mistakes.add(path, f"{shown(text)} holds what no path holds", "no query; percent-encode what is not ASCII")
        return None
    try:
        normal = normalise(text.encode()).decode()
    except PathError:
        normal = ""
    if normal != text:
        hint = "paths are matched with dot-segments and doubled slashes resolved and A-Z a-z 0-9 - . _ ~ not encoded"
        mistakes.add(path, f"{shown(text)} is not in normal form and would never match", hint)
    for segment in text.split("/"):
        if "}{" in segment or segment.count("{") > _MOST_HOLES:
            mistakes.add(path, f"{shown(text)} has too many holes in a segment", "at most two, with text between")
    return template


def _queue(shape: QueueShape, dialect: str) -> Queue:
    waiting = shape.waiting
    hurried = dialect == KUBERNETES and "patience" not in shape.model_fields_set
    patience = KUBERNETES_PATIENCE if hurried else shape.patience
    return Queue(patience, shape.linger, waiting.per_tenant, waiting.total, shape.refuse_early)


def _dialect_of(upstream: str, policy: PolicyShape) -> str:
    """The dialect of an upstream; empty where nothing defines it."""
    return policy.upstreams[upstream].dialect if upstream in policy.upstreams else ""


def _check_needs(path: Path, limits: list[str], upstream: str, policy: PolicyShape, mistakes: Mistakes) -> None:
    """Limits that only requests of dialect ``kubernetes`` can have."""
    dialect = _dialect_of(upstream, policy)
    if dialect in ("", KUBERNETES) or mistakes.marked(("upstreams", upstream, "dialect")):
        return
    for number, name in enumerate(limits):
        limit = policy.limits.get(name)
        if limit is None or mistakes.spoiled(("limits", name)):
            continue
        if limit.hold == "ready":
            problem = f"the limit {shown(name)} holds until a pod is ready, and dialect {dialect} has no pods"
            mistakes.add((*path, number), problem, "give the route a limit with hold: request")
        elif limit.per[0] == "namespace":
            problem = f"the limit {shown(name)} counts per namespace, and dialect {dialect} has none"
            mistakes.add((*path, number), problem, "give the route a limit with per: tenant")


def _retry(path: Path, shape: RetryShape, mistakes: Mistakes) -> Retry:
    also = tuple(_also((*path, "also", number), item, mistakes) for number, item in enumerate(shape.also))
    return Retry(shape.attempts, Seconds(shape.backoff[0]), Seconds(shape.backoff[1]), shape.budget, also)


def _also(path: Path, shape: AlsoShape, mistakes: Mistakes) -> AlsoTransient:
    """Alternatives are literal texts: a regular expression of an operator's would run over upstreams' bodies."""
    if shape.body is None:
        return AlsoTransient(shape.status, None)
    texts = shape.body.split("|")
    if not all(text.strip() for text in texts):
        mistakes.add((*path, "body"), "an alternative is empty and would match any body", "leave body out to match any")
    pattern = b"|".join(re.escape(text.encode()) for text in texts)
    return AlsoTransient(shape.status, re.compile(pattern))


def _check_names(routes: list[Route], mistakes: Mistakes) -> None:
    seen: dict[str, int] = {}
    for number, route in enumerate(routes):
        first = seen.setdefault(route.name, number)
        if first != number:
            place = mistakes.place(("routes", first, "name"))
            problem = f"{shown(route.name)} stands twice; the first is in {place.file}:{place.line}"
            mistakes.add(("routes", number, "name"), problem, "give each route a name of its own")


def _check_reached(routes: list[Route], mistakes: Mistakes) -> None:
    """Say which routes another before them leaves nothing to. Routes with mistakes in their match are left out."""
    sound: dict[str, list[Route]] = {}
    for number, route in enumerate(routes):
        path: Path = ("routes", number, "match")
        if mistakes.touched(path):
            continue
        earlier = sound.setdefault(route.match.upstream, [])
        taker = next((other for other in earlier[:_COMPARED] if _covers(other.match, route.match)), None)
        if taker is not None:
            hint = "the first match wins: put the narrower route before it, or leave this one out"
            mistakes.add(path, f"is never reached: the route {shown(taker.name)} takes all it matches", hint)
        else:
            earlier.append(route)


def _covers(first: Match, second: Match) -> bool:
    return (
        _takes(first.operations, second.operations)
        and _takes(first.methods, second.methods)
        and (first.path is None or (second.path is not None and first.path.text in ("/**", second.path.text)))
    )


def _takes(first: frozenset[str], second: frozenset[str]) -> bool:
    return not first or (bool(second) and second <= first)
