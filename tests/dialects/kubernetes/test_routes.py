"""Paths of the API: which requests are about pods, what they do, and which namespace they name."""

from __future__ import annotations

from typing import Final

import pytest

from proxy.dialects.kubernetes.routes import OPERATIONS, PodRoute, namespace_of, operation_of, pod_route

ALL: Final = "/api/v1/pods"
MANY: Final = "/api/v1/namespaces/a/pods"
ONE: Final = "/api/v1/namespaces/a/pods/p"

MEANINGS: Final = {
    f"POST {MANY}": "create",
    f"POST {MANY}?fieldManager=x": "create",
    f"POST {MANY}?dryRun=All": "other",
    f"POST {MANY}?fieldManager=x&dryRun=A%6cl": "other",
    f"POST {MANY}?dryRun=": "create",
    f"POST {ALL}": "other",
    f"DELETE {ONE}": "destroy",
    f"DELETE {ONE}?gracePeriodSeconds=0": "destroy",
    f"DELETE {ONE}?dryRun=All": "other",
    f"DELETE {MANY}": "destroy",
    f"DELETE {MANY}?labelSelector=x%3Dy": "destroy",
    f"DELETE {ONE}/status": "other",
    f"POST {ONE}/eviction": "destroy",
    f"POST {ONE}/eviction?dryRun=All": "other",
    f"POST {ONE}/binding": "other",
    f"POST {ONE}": "other",
    f"PUT {ONE}": "update",
    f"PATCH {ONE}": "update",
    f"PATCH {ONE}?dryRun=All": "update",
    f"PUT {ONE}/status": "update",
    f"PATCH {ONE}/ephemeralcontainers": "update",
    f"PATCH {ONE}/resize": "update",
    f"PUT {MANY}": "other",
    f"GET {ONE}": "observe",
    f"HEAD {ONE}": "observe",
    f"GET {ONE}/status": "observe",
    f"GET {ONE}?watch=true": "observe",
    f"GET {MANY}": "observe",
    f"GET {ALL}": "observe",
    f"GET {ALL}?watch=0": "observe",
    f"GET {ALL}?watch=FALSE": "observe",
    f"GET {ONE}/log": "observe",
    f"GET {ONE}/log?follow=false": "observe",
    f"GET {ONE}/log?follow=true": "stream",
    f"GET {ONE}/log?container=x&follow=True": "stream",
    f"GET {MANY}?watch=true": "watch",
    f"GET {ALL}?watch=True": "watch",
    f"GET {ALL}?watch=1": "watch",
    f"GET {ALL}?watch=": "watch",
    f"GET {ALL}?watch": "watch",
    f"GET {ALL}?w%61tch=yes": "watch",
    f"GET {ALL}?watch=0&watch=1": "observe",
    f"HEAD {ALL}?watch=1": "observe",
    "GET /api/v1/watch/pods": "watch",
    "GET /api/v1/watch/namespaces/a/pods": "watch",
    "GET /api/v1/watch/namespaces/a/pods/p": "watch",
    "GET /api/v1/watch/namespaces/a/pods?watch=false": "watch",
    "POST /api/v1/watch/namespaces/a/pods": "other",
    "GET /api/v1/watch/namespaces/a/pods/p/status": "other",
    f"GET {ONE}/exec?command=ls": "stream",
    f"POST {ONE}/exec?command=ls": "stream",
    f"POST {ONE}/attach": "stream",
    f"GET {ONE}/portforward": "stream",
    f"GET {ONE}/proxy": "stream",
    f"DELETE {ONE}/proxy/some/thing/pods": "stream",
    f"GET {ONE}/exec/more": "other",
    "GET /api/v1/namespaces/a/services/s/proxy": "stream",
    "GET /api/v1/namespaces/a/services/https:s:443/proxy/api/v1/pods": "stream",
    "PUT /api/v1/nodes/n/proxy/pods": "stream",
    "GET /api/v1/proxy/namespaces/a/pods/p": "stream",
    "GET /api/v1/nodes/n": "other",
    "GET /api/v1/namespaces/a/services": "other",
    "GET /api/v1/namespaces/a/services?watch=true": "other",
    "GET /apis/metrics.k8s.io/v1beta1/namespaces/a/pods": "other",
    "GET /apis/metrics.k8s.io/v1beta1/pods": "other",
    "DELETE /apis/apps/v1/namespaces/a/deployments/d": "other",
    "GET /api/v2/pods": "other",
    "GET /api/v1/pods/p": "other",
    "GET /api/v1/podsx": "other",
    "GET /x/api/v1/pods": "other",
    "GET /api/v1/namespaces/pods": "other",
    "GET /openapi/v2": "other",
    "GET /": "other",
}


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("asked", MEANINGS)
def test_what_a_request_does(asked: str, slash: str) -> None:
    method, _, target = asked.partition(" ")
    path, _, query = target.partition("?")
    if path == "/":
        slash = ""
    meaning = operation_of(method, path + slash, query.encode())
    assert meaning == MEANINGS[asked]
    assert meaning in OPERATIONS


def test_what_a_path_names() -> None:
    assert pod_route("GET", ONE + "/status", b"") == PodRoute("a", "p", "status", False, False, False)
    assert pod_route("GET", ALL, b"watch=1") == PodRoute(None, None, "", True, False, False)
    one = pod_route("GET", "/api/v1/watch/namespaces/a/pods/p/", b"resourceVersion=7")
    assert one == PodRoute("a", "p", "", True, False, True)
    assert pod_route("GET", ONE + "/proxy/a/b", b"") == PodRoute("a", "p", "proxy", False, False, False)
    assert pod_route("GET", "/api/v1/namespaces/a/services", b"") is None


@pytest.mark.parametrize(
    ("query", "resumed"),
    [
        (b"watch=1", False),
        (b"watch=1&resourceVersion=", False),
        (b"watch=1&resourceVersion=0", False),
        (b"watch=1&resourceVersion=12", True),
        (b"watch=1&resourceVersion=12&sendInitialEvents=false", True),
        (b"watch=1&resourceVersion=12&sendInitialEvents=true", False),
        (b"watch=1&sendInitialEvents=false", True),
        (b"resourceVersion=12", False),
    ],
)
def test_whether_a_watch_goes_on_from_a_known_version(query: bytes, resumed: bool) -> None:
    route = pod_route("GET", ALL, query)
    assert route is not None and route.resumed is resumed


@pytest.mark.parametrize(
    ("path", "namespace"),
    [
        (ONE, "a"),
        (MANY + "/", "a"),
        ("/api/v1/namespaces/a", "a"),
        ("/api/v1/namespaces/a/services/s/proxy/namespaces/b", "a"),
        ("/api/v1/watch/namespaces/a/pods", "a"),
        ("/apis/apps/v1/namespaces/b/deployments/d/scale", "b"),
        ("/apis/batch/v1/watch/namespaces/b/jobs", "b"),
        (ALL, None),
        ("/api/v1/namespaces", None),
        ("/api/v1/namespaces/", None),
        ("/api/v1/nodes/n/proxy/api/v1/namespaces/a/pods", None),
        ("/apis/apps/namespaces/b/deployments", None),
        ("/version", None),
    ],
)
def test_the_namespace_of_a_path(path: str, namespace: str | None) -> None:
    assert namespace_of(path) == namespace


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/namespaces/a%2Fpods",
        "/api/v1%2Fnamespaces/a/pods",
        "/api%2fv1%2fnamespaces%2fa%2fpods",
        "/api/v1/namespaces/a/pods%2F",
    ],
)
def test_no_escape_hides_what_the_api_server_routes_by(path: str) -> None:
    assert operation_of("POST", path, b"") == "create"
    assert namespace_of(path) == "a"
    route = pod_route("GET", path, b"")
    assert route is not None
    assert (route.namespace, route.collection) == ("a", True)


def test_an_escaped_slash_in_a_proxied_path_stays_a_stream() -> None:
    assert operation_of("GET", "/api/v1/namespaces/a/pods/x/proxy/a%2Fb", b"") == "stream"
    assert operation_of("GET", "/api/v1/namespaces/a/services/x/proxy/pods%2Fb", b"") == "stream"


def test_an_apply_of_a_pod_may_make_one() -> None:
    pod = "/api/v1/namespaces/a/pods/x"
    assert operation_of("APPLY", pod, b"fieldManager=m") == "create"
    assert operation_of("APPLY", pod, b"fieldManager=m&dryRun=All") == "update"
    assert operation_of("APPLY", f"{pod}/status", b"fieldManager=m") == "update"
    assert operation_of("APPLY", "/api/v1/namespaces/a/secrets/x", b"fieldManager=m") == "other"
