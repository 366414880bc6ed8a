"""What a good policy about Kubernetes becomes: rules for pods, TLS listeners, who speaks, how long creates wait."""

from __future__ import annotations

import pytest

from proxy.domain.ids import LimitName, UpstreamName
from proxy.domain.labels import parse_labels
from proxy.domain.pods import Decide, PodRules
from proxy.policy.policyset import Hold, IdentifyBy, Listen, OwnAuth, Per, PolicySet, Upstream
from tests.policy.builders import mistakes, policy

CONTRACT = """
version: 1
upstreams:
  kube:
    url: https://kubernetes.default.svc
    dialect: kubernetes
    tls: {ca_file: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt}
    listen: {address: 127.0.0.1:6443, tls: auto}
    pods: {main_containers: [sandbox, agent], namespaces: ["agents-*"], labels: "centaur.ai/managed=true"}
tenants: {identify: [namespace]}
limits:
  creates: {seats: 4, per: namespace, hold: ready}
routes:
  - {name: create, match: {upstream: kube, operation: create}, limits: [creates]}
  - {name: rest, match: {upstream: kube}}
"""
KUBE = "version: 1\nupstreams:\n  k: {url: https://h, dialect: kubernetes%s}\n"


def kube(more: str = "", environment: dict[str, str] | None = None) -> Upstream:
    """The upstream of a policy with nothing else in it."""
    return policy(KUBE % more, environment).upstreams[UpstreamName("k")]


def test_the_contracts_example() -> None:
    made = policy(CONTRACT)
    upstream = made.upstreams[UpstreamName("kube")]
    assert upstream.listen == Listen("127.0.0.1", 6443, tls=True)
    assert upstream.auth is None
    assert not upstream.own_credential
    assert upstream.pods == PodRules(
        main_containers=("sandbox", "agent"),
        namespaces=("agents-*",),
        labels=parse_labels("centaur.ai/managed=true"),
    )
    (rule,) = made.tenants.identify
    assert rule.by is IdentifyBy.NAMESPACE
    creates = made.limits[LimitName("creates")]
    assert (creates.per, creates.hold, creates.ready_within) == (Per.NAMESPACE, Hold.READY, 600.0)


def test_what_is_left_out() -> None:
    assert kube().pods is None
    assert kube(", pods: {}").pods == PodRules()
    assert PodRules() == PodRules((), ("*",), (), Decide.ALL, None, authoritative=False)
    assert kube(", listen: {address: 'h:1'}").listen == Listen("h", 1, tls=False)


def test_every_key_of_pods() -> None:
    made = kube(
        ", pods: {main_containers: [a], namespaces: [n, 'm-*'], labels: 'x in (a, b),!y', decide: any, "
        "max_restarts: 3, authoritative: true}"
    )
    assert made.pods == PodRules(("a",), ("n", "m-*"), parse_labels("x in (a, b),!y"), Decide.ANY, 3, True)


def test_names_may_come_as_one_text_from_the_environment() -> None:
    said = ", pods: {main_containers: '${MAINS}', namespaces: '${WHERE:-*}', labels: '${LABELS:-}'}"
    made = kube(said, {"MAINS": "sandbox, agent"})
    assert made.pods == PodRules(("sandbox", "agent"))
    assert all(type(name) is str for name in made.pods.main_containers)


@pytest.mark.parametrize("key", ["main_containers", "namespaces", "labels"])
def test_no_error_shows_what_the_environment_holds(key: str) -> None:
    found = mistakes(KUBE % f", pods: {{{key}: '${{SECRET}}'}}", {"SECRET": "good,s3cr3t value"})
    assert found
    assert not [str(error) for error in found if "s3cr3t" in str(error)]
    assert all("${SECRET}" in str(error) for error in found)


def test_who_speaks() -> None:
    default = OwnAuth("/var/run/secrets/kubernetes.io/serviceaccount/token")
    assert kube(", auth: own").auth == default
    assert kube(", auth: {own: {}}").auth == default
    assert kube(", auth: {own: {token_file: /t}}").auth == OwnAuth("/t")
    assert kube(", auth: own").own_credential
    assert kube(", tls: {client_cert_file: c}").own_credential, "a certificate is a credential too"
    for host in ("127.0.0.1", "127.1.2.3", "localhost", "[::1]", "[::ffff:127.0.0.1]"):
        assert kube(f", auth: own, listen: {{address: '{host}:1'}}").auth == default


def _patience(queue: str, dialect: str = "kubernetes") -> float:
    made = policy(
        f"version: 1\nupstreams: {{k: {{url: https://h, dialect: {dialect}}}}}\nlimits: {{a: {{seats: 1}}}}\n"
        f"routes: [{{name: r, match: {{upstream: k}}, limits: [a]{queue}}}]\n"
    )
    assert made.routes[0].queue.linger == 30.0
    return made.routes[0].queue.patience


def test_creates_of_kubernetes_wait_8_seconds_unless_the_policy_says_so() -> None:
    assert _patience("") == 8
    assert _patience(", queue: {refuse_early: true}") == 8
    assert _patience(", queue: {patience: 45s}") == 45
    assert _patience(", queue: {patience: 0}") == 0
    assert _patience("", "e2b") == 45


def test_ready_within() -> None:
    made = policy(CONTRACT.replace("hold: ready", "hold: ready, ready_within: 90s"))
    assert made.limits[LimitName("creates")].ready_within == 90.0


def _digest(old: str = "", new: str = "") -> str:
    assert old in CONTRACT
    made: PolicySet = policy(CONTRACT.replace(old, new))
    return made.digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (", tls: auto", ""),
        ("sandbox, agent", "agent, sandbox"),
        ("agents-*", "agents-a"),
        ("=true", "!=true"),
        ("labels:", "decide: any, labels:"),
        ("labels:", "max_restarts: 3, labels:"),
        ("labels:", "authoritative: true, labels:"),
        (", hold: ready", ""),
        (", hold: ready", ", hold: ready, ready_within: 9m"),
        ("per: namespace", "per: tenant"),
        ("identify: [namespace]", "identify: [credential]"),
        ("    dialect: kubernetes", "    dialect: kubernetes\n    auth: own"),
        ("    dialect: kubernetes", "    dialect: kubernetes\n    auth: {own: {token_file: t}}"),
    ],
)
def test_the_digest_covers_it(old: str, new: str) -> None:
    assert _digest(old, new) != _digest()


def test_the_digest_is_of_the_meaning() -> None:
    assert _digest("[sandbox, agent]", "'sandbox,agent'") == _digest()
    assert _digest("hold: ready", "hold: ready, ready_within: 600s") == _digest()
    own = _digest("    dialect: kubernetes", "    dialect: kubernetes\n    auth: own")
    assert own == _digest("    dialect: kubernetes", "    dialect: kubernetes\n    auth: {own: {}}")
    assert own != _digest("    dialect: kubernetes", "    dialect: kubernetes\n    auth: {own: {token_file: t}}")
