"""Every policy that ships is one that works."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.dialects.registry import DIALECTS, OPERATIONS
from proxy.domain.ids import LimitName, RouteName, UpstreamName
from proxy.domain.labels import parse_labels
from proxy.domain.pods import PodRules
from proxy.policy.compile import load_policy
from proxy.policy.policyset import Hold, IdentifyBy, Listen, Per, PolicySet
from proxy.policy.resolve import Resolver

SHIPPED = Path(__file__).parent.parent.parent / "policies"
ENVIRONMENT = {"TEMPER_API_KEY": "k"}


def load(name: str, **environment: str) -> PolicySet:
    content = (SHIPPED / f"{name}.yaml").read_bytes()
    return load_policy([(name, content)], ENVIRONMENT | environment, OPERATIONS)


def route_of(policy: PolicySet, method: str, target: bytes, listener: UpstreamName | None = None) -> RouteName:
    held = Resolver(policy, lambda dialect, *asked: DIALECTS[dialect].classify(*asked))
    route = held.resolve(listener, b"h", method, target).route
    assert route is not None
    return route.name


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_policy_loads(path: Path) -> None:
    assert load(path.stem).upstreams


def test_those_that_the_contract_names_are_there() -> None:
    assert {path.stem for path in SHIPPED.glob("*.yaml")} >= {"e2b", "temper-e2b", "http", "kubernetes"}


@pytest.mark.parametrize("name", ["e2b", "temper-e2b"])
@pytest.mark.parametrize(
    ("method", "target", "route"),
    [
        ("POST", b"/e2b/sandboxes", "create"),
        ("POST", b"/t/acme/e2b/v2/sandboxes", "create"),
        ("POST", b"/e2b/sandboxes/x/resume", "create"),
        ("DELETE", b"/e2b/sandboxes/x", "control"),
        ("POST", b"/e2b/sandboxes/x/timeout", "control"),
        ("GET", b"/e2b/v2/sandboxes", "control"),
    ],
)
def test_creates_wait_and_all_else_does_not(name: str, method: str, target: bytes, route: str) -> None:
    policy = load(name)
    assert route_of(policy, method, target) == route
    limits = {r.name: r.limits for r in policy.routes}
    assert limits[RouteName("create")] == ("creates", "create-rate")
    assert limits[RouteName("control")] == ()


def test_e2b_stays_clear_of_the_sdks_connection_cap() -> None:
    policy = load("e2b")
    (create,) = (route for route in policy.routes if route.limits)
    seats = policy.limits[LimitName("creates")].seats
    assert seats == 4
    assert create.queue.waiting_per_tenant + seats < 100  # JavaScript's cap, reference e2b.md §3.2
    assert create.queue.waiting_per_tenant + seats >= 60
    assert create.queue.patience < 60  # the SDKs' request timeout


def test_e2b_takes_the_plans_numbers_from_the_environment() -> None:
    policy = load("e2b", E2B_CREATE_RATE="5/s", E2B_CREATES="9", E2B_UPSTREAM_URL="http://127.0.0.1:9")
    assert str(policy.limits[LimitName("create-rate")].rate) == "5/s"
    assert policy.limits[LimitName("creates")].seats == 9
    assert policy.upstreams[UpstreamName("e2b")].origin.port == 9


def test_e2b_passes_the_data_plane() -> None:
    assert route_of(load("e2b"), "POST", b"/e2b-sandbox/process.Process/Start") == "sandbox"


def test_temper_keeps_job_and_session_alive() -> None:
    policy = load("temper-e2b", TEMPER_URL="http://t:1")
    (create,) = (route for route in policy.routes if route.limits)
    job, session = (policy.sinks[name] for name in create.progress)
    values = {"header:x-job-id": "7'", "header:x-session-id": "s"}
    assert job.to.fill(values) == "http://t:1/tdata/CurationJobs('7'')/Katagami.Curation.RecordProgress"
    assert session.to.fill(values) == "http://t:1/tdata/Sessions('s')/OpenPaw.ProvisionPending"
    values = {"tenant": "acme", "ticket": "t1", "waited": "10"}
    headers, others = ({name: text.fill(values) for name, text in sink.headers} for sink in (job, session))
    assert headers["Authorization"] == others["Authorization"] == "Bearer k"
    assert headers["X-Tenant-Id"] == others["X-Tenant-Id"] == "acme"
    keys = {headers["Idempotency-Key"], others["Idempotency-Key"]}
    assert keys == {"job-t1-10", "session-t1-10"}, "Temper's keys are per tenant: two sinks with one would be a repeat"
    assert max(job.every, session.every) <= 180 / 3  # a third of the shorter timer, reference problems.md §1.2(e)
    (rule,) = (rule for rule in policy.tenants.identify if rule.header)
    assert rule.forward


def test_temper_sends_dropped_file_writes_again_and_no_conflicts() -> None:
    policy = load("temper-e2b")
    assert route_of(policy, "PUT", b"/temper/tdata/Files('f-1')/$value") == "file-value"
    assert route_of(policy, "POST", b"/temper/tdata/Files") == "temper"
    (route,) = (route for route in policy.routes if route.name == "file-value")
    (also,) = route.retry.also
    assert also.status == 409
    assert also.body is not None
    assert also.body.search(b"actor dispatch exhausted after 3 attempt(s): ask timeout after 5s")
    assert not also.body.search(b"Action 'X' not valid from state 'Y'")


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_policy_starts_without_a_word_in_the_environment(path: Path) -> None:
    assert load_policy([(path.name, path.read_bytes())], {}, OPERATIONS).routes


def test_http_queues_writes_only() -> None:
    policy = load("http")
    assert route_of(policy, "POST", b"/x") == "write"
    assert route_of(policy, "GET", b"/x") == "read"


@pytest.mark.parametrize(
    ("method", "target", "route"),
    [
        ("POST", b"/api/v1/namespaces/a/pods", "create"),
        ("POST", b"//api/v1/./namespaces/a/%70ods/?fieldManager=kubectl", "create"),
        ("POST", b"/api/v1/namespaces/a/pods?dryRun=All", "rest"),
        ("GET", b"/api/v1/namespaces/a/pods", "rest"),
        ("GET", b"/api/v1/pods?watch=1", "rest"),
        ("GET", b"/api/v1/namespaces/a/pods/p", "rest"),
        ("GET", b"/api/v1/namespaces/a/pods/p/log?follow=true", "rest"),
        ("POST", b"/api/v1/namespaces/a/pods/p/exec?command=ls", "rest"),
        ("GET", b"/api/v1/namespaces/a/pods/p/attach", "rest"),
        ("POST", b"/api/v1/namespaces/a/pods/p/portforward", "rest"),
        ("POST", b"/api/v1/namespaces/a/pods/p/proxy/api/v1/namespaces/a/pods", "rest"),
        ("POST", b"/api/v1/namespaces/a/pods/p/eviction", "rest"),
        ("POST", b"/api/v1/namespaces/a/pods/p/binding", "rest"),
        ("PATCH", b"/api/v1/namespaces/a/pods/p/status", "rest"),
        ("DELETE", b"/api/v1/namespaces/a/pods/p", "rest"),
        ("DELETE", b"/api/v1/namespaces/a/pods", "rest"),
        ("POST", b"/apis/batch/v1/namespaces/a/jobs", "rest"),
        ("POST", b"/apis/metrics.k8s.io/v1beta1/namespaces/a/pods", "rest"),
        ("GET", b"/openapi/v2", "rest"),
    ],
)
def test_kubernetes_queues_new_pods_and_nothing_else(method: str, target: bytes, route: str) -> None:
    policy = load("kubernetes")
    assert route_of(policy, method, target, UpstreamName("kube")) == route
    limits = {r.name: r.limits for r in policy.routes}
    assert limits == {"create": ("creates", "create-rate"), "rest": ()}


def test_kubernetes_waits_less_than_its_most_hurried_client() -> None:
    policy = load("kubernetes")
    creates = policy.limits[LimitName("creates")]
    assert (creates.per, creates.hold, creates.ready_within) == (Per.NAMESPACE, Hold.READY, 600.0)
    assert policy.limits[LimitName("create-rate")].per is Per.UPSTREAM
    assert policy.routes[0].queue.patience < 10  # lightkube's read timeout, reference kubernetes.md §9.4
    assert [rule.by for rule in policy.tenants.identify] == [IdentifyBy.NAMESPACE, IdentifyBy.CREDENTIAL]


def test_kubernetes_is_reached_as_in_a_cluster_unless_told_otherwise() -> None:
    kube = load("kubernetes").upstreams[UpstreamName("kube")]
    assert kube.origin.authority == "kubernetes.default.svc"
    assert kube.tls.ca_file == "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
    assert kube.listen == Listen("127.0.0.1", 6443, tls=True)
    assert kube.auth is None
    assert kube.pods == PodRules(main_containers=("sandbox",))
    said = {"KUBE_MAIN_CONTAINERS": "agent, worker", "KUBE_POD_NAMESPACES": "agents-*,lab", "KUBE_POD_LABELS": "a=b"}
    kube = load("kubernetes", KUBE_UPSTREAM_URL="https://h:1", **said).upstreams[UpstreamName("kube")]
    assert kube.origin.authority == "h:1"
    assert kube.pods == PodRules(("agent", "worker"), ("agents-*", "lab"), parse_labels("a=b"))
