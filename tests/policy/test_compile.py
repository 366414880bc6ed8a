"""What a good policy becomes: the contract's example, the defaults, digests, several files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from proxy.dialects.registry import OPERATIONS
from proxy.domain.ids import LimitName, SinkName, TenantName, UpstreamName
from proxy.policy.compile import PolicyErrors, load_policy
from proxy.policy.policyset import (
    LOOPBACK,
    IdentifyBy,
    IdentifyRule,
    Listen,
    Mode,
    Origin,
    Per,
    Queue,
    Retry,
    Timeouts,
)
from proxy.policy.resolve import Resolver
from tests.policy.builders import BASE, mistakes_of, policy

ROOT = Path(__file__).parent.parent.parent

CONTRACT = """
version: 1
upstreams:
  e2b:
    url: ${E2B_UPSTREAM_URL:-https://api.e2b.app}
    dialect: e2b
    prefix: /e2b
tenants:
  identify:
    - path
    - {header: X-Tenant-Id, trusted: [127.0.0.0/8, "::1"]}
    - credential
  default: anonymous
  known:
    acme: {weight: 4, limits: {creates: {seats: 8}}}
    "batch-*": {weight: 1}
limits:
  creates:     {seats: 4, per: tenant, hold: request}
  create-rate: {rate: 5/s, per: credential}
routes:
  - name: create
    match: {upstream: e2b, operation: [create, resume, fork]}
    limits: [creates, create-rate]
    queue:
      patience: 45s
      linger: 30s
      waiting: {per_tenant: 500, total: 2000}
    retry: {attempts: 5, backoff: 500ms..30s, budget: 20%}
    progress: [curation-job]
  - name: rest
    match: {upstream: e2b}
progress:
  curation-job:
    to: "http://temper:3000/tdata/CurationJobs('{header:x-job-id}')/Katagami.Curation.RecordProgress"
    headers: {X-Tenant-Id: "{tenant}", Authorization: "Bearer ${TEMPER_API_KEY}"}
    body: {progress_log: "queued {waited}s, position {position}, about {eta}s to go"}
    first: 1s
    every: 10s
    for_at_most: 30m
    stop_on: [404, 409, 410]
"""


def test_the_contracts_example() -> None:
    made = policy(CONTRACT, {"TEMPER_API_KEY": "k"})
    upstream = made.upstreams[UpstreamName("e2b")]
    assert upstream.origin == Origin("https", "api.e2b.app", 443)
    assert (upstream.dialect, upstream.prefix) == ("e2b", "/e2b")
    path, header, credential = made.tenants.identify
    assert (path.by, path.trusted) == (IdentifyBy.PATH, LOOPBACK)
    assert (header.by, header.header, header.trusted) == (IdentifyBy.HEADER, b"x-tenant-id", LOOPBACK)
    assert credential == IdentifyRule(IdentifyBy.CREDENTIAL)
    assert made.tenants.weight(TenantName("acme")) == 4
    assert made.tenants.known[0].seats == {LimitName("creates"): 8}
    create, rest = made.routes
    assert create.match.operations == {"create", "resume", "fork"}
    assert create.limits == ("creates", "create-rate")
    assert create.queue == Queue()
    assert create.retry == Retry(attempts=5)
    assert create.mode is Mode.ENFORCE
    assert rest.limits == ()
    sink = made.sinks[SinkName("curation-job")]
    assert [sink.first, sink.every, sink.for_at_most] == [1.0, 10.0, 1800.0]
    assert sink.stop_on == {404, 409, 410}
    assert sink.to.names == {"header:x-job-id"}
    assert dict(sink.headers)["Authorization"].fill({}) == "Bearer k"


def test_what_is_left_out_has_the_contracts_defaults() -> None:
    made = policy(BASE + "limits: {a: {rate: 5/s}}\nroutes:\n  - {name: a, match: {upstream: e2b}, limits: [a]}\n")
    (route,) = made.routes
    assert route.queue == Queue(45.0, 30.0, 500, 2000, refuse_early=False)  # type: ignore[arg-type]
    assert route.retry.attempts == 1
    assert made.limits[LimitName("a")].burst == 1
    assert made.limits[LimitName("a")].per is Per.TENANT
    assert made.timeouts == Timeouts(10, 60, 60, 75, 5, None)  # type: ignore[arg-type]
    assert made.tenants.default == "anonymous"
    assert made.tenants.identify == (IdentifyRule(IdentifyBy.CREDENTIAL),)


def test_every_key_of_an_upstream() -> None:
    made = policy("""\
        version: 1
        upstreams:
          a:
            url: HTTPS://API.example.com:8443/base/
            dialect: http
            prefix: /a
            listen: {address: "[::1]:6443"}
            hosts: [A.example.com, "b.example.com:81"]
            host: caller
            via: true
            forward_idempotency_key: true
            tls: {ca_file: /ca, client_cert_file: /c, client_key_file: /k, server_name: n, verify: false}
          b: {url: "https://{port}-{sandbox}.e2b.app", dialect: e2b-sandbox, hosts: b}
        """)
    a, b = made.upstreams.values()
    assert a.origin == Origin("https", "api.example.com", 8443, "/base")
    assert a.listen == Listen("::1", 6443)
    assert a.hosts == ("a.example.com", "b.example.com:81")
    assert (a.keep_host, a.via, a.forward_idempotency_key) == (True, True, True)
    assert (a.tls.ca_file, a.tls.client_cert_file, a.tls.client_key_file) == ("/ca", "/c", "/k")
    assert (a.tls.server_name, a.tls.verify) == ("n", False)
    assert b.origin.templated
    assert b.origin.host == "{port}-{sandbox}.e2b.app"


def test_alternatives_of_a_body_are_literal_and_tell_case_apart() -> None:
    made = policy(
        BASE + "routes:\n  - name: a\n    match: {upstream: e2b}\n"
        "    retry: {also: [{status: 409, body: 'a.b|(c+)+$'}, {status: 425}]}\n"
    )
    first, second = made.routes[0].retry.also
    assert first.body is not None
    assert first.body.search(b"x a.b x")
    assert first.body.search(b"(c+)+$")
    assert not first.body.search(b"axb")
    assert not first.body.search(b"A.B")
    assert not first.body.search(b"ccc")
    assert (second.status, second.body) == (425, None)


def test_the_digest_is_of_the_meaning() -> None:
    first = policy(CONTRACT, {"TEMPER_API_KEY": "k"}).digest
    same = CONTRACT.replace("45s", "45000ms").replace("5/s", "5.0/s").replace("for_at_most: 30m", "for_at_most: 1800s")
    same = "# a comment\n" + same.replace("${E2B_UPSTREAM_URL:-https://api.e2b.app}", "'https://api.e2b.app:443/'")
    same = same.replace("operation: [create, resume, fork]", "operation: [fork, create, resume]")
    assert policy(same, {"TEMPER_API_KEY": "k"}).digest == first


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{seats: 4,", "{seats: 5,"),
        ("5/s", "6/s"),
        ("45s", "46s"),
        ("weight: 4", "weight: 5"),
        ("[create, resume, fork]", "[create, resume]"),
        ("prefix: /e2b", "prefix: /e2c"),
        ("queued {waited}s", "queued {eta}s"),
        ("  - name: rest", "  - mode: shadow\n    name: rest"),
        ("127.0.0.0/8", "10.0.0.0/8"),
        ("budget: 20%", "budget: 20%, also: [{status: 409, body: x}]"),
    ],
)
def test_the_digest_changes_with_the_meaning(old: str, new: str) -> None:
    assert old in CONTRACT
    before = policy(CONTRACT, {"TEMPER_API_KEY": "k"}).digest
    assert policy(CONTRACT.replace(old, new), {"TEMPER_API_KEY": "k"}).digest != before


def test_the_digest_changes_with_the_environment() -> None:
    assert policy(CONTRACT, {"TEMPER_API_KEY": "k"}).digest != policy(CONTRACT, {"TEMPER_API_KEY": "l"}).digest


def test_the_digest_is_the_same_in_every_process() -> None:
    """Sets have another order in each process; replicas must agree all the same."""
    program = "from tests.policy.test_compile import *; print(policy(CONTRACT, {'TEMPER_API_KEY': 'k'}).digest)"
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=True,
            text=True,
        ).stdout.strip()
        for seed in ("1", "2", "3")
    }
    assert digests == {policy(CONTRACT, {"TEMPER_API_KEY": "k"}).digest}


FIRST = b"""version: 1
upstreams: {a: {url: http://h, prefix: /a}}
limits: {x: {seats: 1}}
tenants: {known: {one: {weight: 2}}}
routes:
  - {name: r1, match: {upstream: a, path: /1}, limits: [x, y]}
"""
SECOND = b"""upstreams: {b: {url: http://h, prefix: /b}}
limits: {y: {seats: 1}}
tenants: {default: nobody, known: {two: {weight: 3}}}
timeouts: {idle: 9s}
routes:
  - {name: r2, match: {upstream: b}, limits: [x]}
"""


def test_several_files_are_one_policy() -> None:
    made = load_policy([("1.yaml", FIRST), ("2.yaml", SECOND)], {}, OPERATIONS)
    assert list(made.upstreams) == ["a", "b"]
    assert [route.name for route in made.routes] == ["r1", "r2"]
    assert [known.pattern for known in made.tenants.known] == ["one", "two"]
    assert made.tenants.default == "nobody"
    assert made.timeouts.idle == 9.0
    swapped = load_policy([("2.yaml", SECOND), ("1.yaml", FIRST)], {}, OPERATIONS)
    assert [route.name for route in swapped.routes] == ["r2", "r1"]


def test_mistakes_in_several_files_name_their_own_lines() -> None:
    second = SECOND + b"  - {name: r3, match: {upstream: nowhere}, limits: [z]}\n  - {name: r1, match: {upstream: a}}\n"
    found = mistakes_of({"1.yaml": FIRST + b"colour: red\n", "2.yaml": second})
    assert [(e.file, e.line, e.path) for e in found] == [
        ("1.yaml", 7, "colour"),
        ("2.yaml", 7, "routes[1].limits[0]"),
        ("2.yaml", 7, "routes[1].match.upstream"),
        ("2.yaml", 8, "routes[2].name"),
    ]
    assert "1.yaml:6" in found[3].problem


def test_a_name_in_two_files_names_both_places() -> None:
    second = SECOND + b"progress: {}\n"
    found = mistakes_of({"1.yaml": FIRST.replace(b"{x:", b"{y: {seats: 2}, x:"), "2.yaml": second})
    assert [(e.file, e.line, e.path) for e in found] == [("2.yaml", 2, "limits.y")]
    assert found[0].problem == '"y" stands twice; the first is in 1.yaml:3'


def test_a_file_that_cannot_be_read_does_not_make_others_look_wrong() -> None:
    found = mistakes_of({"1.yaml": b"upstreams: [", "2.yaml": SECOND + b"colour: red\n"})
    assert [(e.file, e.path) for e in found] == [("1.yaml", "(file)"), ("2.yaml", "colour")]


def test_no_file_is_a_mistake() -> None:
    with pytest.raises(PolicyErrors, match="there is no policy file"):
        load_policy([], {}, OPERATIONS)


def test_a_policy_resolves_with_the_dialects_words() -> None:
    made = policy(CONTRACT, {"TEMPER_API_KEY": "k"})
    found = Resolver(made, lambda *asked: "create").resolve(None, b"", "POST", b"/e2b/sandboxes")
    assert found.route is made.routes[0]
