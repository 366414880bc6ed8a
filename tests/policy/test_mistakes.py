"""Every kind of mistake of design.md §2.3: its line, its path, what is wrong, and the hint."""

from __future__ import annotations

import pytest

from tests.policy.builders import BASE, mistakes

ROUTE = BASE + "routes:\n"
LIMIT = BASE + "limits:\n"
SINK = BASE + "progress:\n"

# (text, line, path, part of the problem, part of the hint)
Case = tuple[str, int, str, str, str]

VALUES: list[Case] = [
    (BASE + "limitz: {}\n", 4, "limitz", "not a known key", 'did you mean "limits"'),
    (BASE + "limits:\n", 4, "limits", "has no value", "leave it out"),
    (BASE + "limits: [a]\n", 4, "limits", "wants a map of keys and values, got a list", "each name"),
    (BASE + "routes: {a: 1}\n", 4, "routes", "wants a list, got a map", "[ ]"),
    (ROUTE + "  - 5\n", 5, "routes[0]", "wants a map of keys and values, got 5", "its keys are: name, match"),
    ("upstreams: {a: {url: http://h}}\n", 1, "version", "is missing", "1"),
    ("version: 2\nupstreams: {a: {url: http://h}}\n", 1, "version", "version 1, got 2", "version: 1"),
    ("version: true\nupstreams: {a: {url: http://h}}\n", 1, "version", "version 1, got true", "version: 1"),
    ("version: 1\n", 1, "upstreams", "is missing", "APIs"),
    ("version: 1\nupstreams: {}\n", 2, "upstreams", "no upstream is defined", "url"),
    (BASE + "timeouts: {total: 30}\n", 4, "timeouts.total", '"30" has no unit', '"30s"'),
    (BASE + "timeouts: {total: 1:30}\n", 4, "timeouts.total", '"1:30" is not a duration', '"45s"'),
    (BASE + "timeouts: {idle: -5}\n", 4, "timeouts.idle", "not negative, got -5", '"45s"'),
    (BASE + "timeouts: {idle: -5s}\n", 4, "timeouts.idle", "is not a duration", '"45s"'),
    (BASE + "timeouts: {idle: 0}\n", 4, "timeouts.idle", "must be above zero", '"45s"'),
    (BASE + "timeouts: {idle: true}\n", 4, "timeouts.idle", "wants a duration, got true", '"45s"'),
    (BASE + f"timeouts: {{idle: {'9' * 400}s}}\n", 4, "timeouts.idle", "is too large", '"45s"'),
    (LIMIT + "  a: {rate: 5}\n", 5, "limits.a.rate", '"5" is not a rate', '"5/s"'),
    (LIMIT + "  a: {rate: 0/s}\n", 5, "limits.a.rate", "above zero", "seats: 0"),
    (LIMIT + "  a: {rate: {requests: 5/s}}\n", 5, "limits.a.rate", "not available in this version", "5/s"),
    (LIMIT + "  a:\n    seats: -1\n", 6, "limits.a.seats", "at least 0, got -1", "never negative"),
    (LIMIT + "  a: {seats: 1.5}\n", 5, "limits.a.seats", "wants a whole number, got 1.5", ""),
    (LIMIT + "  a: {seats: '4'}\n", 5, "limits.a.seats", 'wants a whole number, got "4"', "quotes"),
    (LIMIT + "  a: {seats: yes}\n", 5, "limits.a.seats", 'wants a whole number, got "yes"', ""),
    (LIMIT + "  a: {seats: true}\n", 5, "limits.a.seats", "wants a whole number, got true", ""),
    (LIMIT + "  a: {seats: .inf}\n", 5, "limits.a.seats", '".inf" is not a finite number', ""),
    (LIMIT + "  a: {seats: 010}\n", 5, "limits.a.seats", "YAML readers disagree", "decimal"),
    (LIMIT + "  a: {seats: 4, per: tenat}\n", 5, "limits.a.per", '"tenat" is none', 'did you mean "tenant"'),
    (LIMIT + "  a: {seats: 4, per: {header: Host}}\n", 5, "limits.a.per", "belongs to the connection", ""),
    (LIMIT + "  a: {seats: 4, per: {headr: X}}\n", 5, "limits.a.per", "the key header and nothing else", ""),
    (BASE + "tenants: {known: {a: {weight: 0}}}\n", 4, "tenants.known.a.weight", "above 0", "share"),
    (BASE + "tenants: {known: {a: {weight: .nan}}}\n", 4, "tenants.known.a.weight", "not a finite number", ""),
    (BASE + "tenants: {known: {a: {weight: 1e999}}}\n", 4, "tenants.known.a.weight", "not a finite number", ""),
    (SINK + "  s: {to: http://h, stop_on: [99]}\n", 5, "progress.s.stop_on[0]", "not an HTTP status", "599"),
    (SINK + "  s: {to: http://h, headers: {A: 1}}\n", 5, "progress.s.headers.A", "wants a text", "quotes"),
]

UPSTREAMS: list[Case] = [
    ("version: 1\nupstreams:\n  a: {dialect: http}\n", 3, "upstreams.a.url", "is missing", "https://"),
    ("version: 1\nupstreams:\n  a: {url: h}\n", 3, "upstreams.a.url", "not an http:// or https:// URL", "https://"),
    ("version: 1\nupstreams:\n  a: {url: http://h?x}\n", 3, "upstreams.a.url", "a query or a fragment", "path"),
    ("version: 1\nupstreams:\n  a: {url: 'http://h:70000'}\n", 3, "upstreams.a.url", "port", ""),
    ("version: 1\nupstreams:\n  a: {url: http://h/a//b}\n", 3, "upstreams.a.url", "normal form", "doubled"),
    ("version: 1\nupstreams:\n  a: {url: 'http://{x}.h'}\n", 3, "upstreams.a.url", "braces", "{port}"),
    ("version: 1\nupstreams:\n  a: {url: 'http://{port}.h'}\n", 3, "upstreams.a.url", "e2b-sandbox only", "dialect"),
    ("version: 1\nupstreams:\n  a: {url: http://h, dialect: e2c}\n", 3, "upstreams.a.dialect", "not a dialect", "e2b"),
    ("version: 1\nupstreams:\n  a: {url: http://h, prefix: e2b}\n", 3, "upstreams.a.prefix", "not a prefix", "/e2b"),
    ("version: 1\nupstreams:\n  a: {url: http://h, prefix: /a/}\n", 3, "upstreams.a.prefix", "normal form", '"/a"'),
    ("version: 1\nupstreams:\n  a: {url: http://h, prefix: /t/a}\n", 3, "upstreams.a.prefix", "/t/", "another"),
    ("version: 1\nupstreams:\n  a: {url: http://h, prefix: /a?b}\n", 3, "upstreams.a.prefix", "characters", "/e2b"),
    ("version: 1\nupstreams:\n  a: {url: http://h, listen: {}}\n", 3, "upstreams.a.listen.address", "is missing", ""),
    (
        "version: 1\nupstreams:\n  a: {url: http://h, listen: {address: '1.2.3.4'}}\n",
        3,
        "upstreams.a.listen.address",
        "is not host:port",
        "127.0.0.1:6443",
    ),
    ("version: 1\nupstreams:\n  a: {url: http://h, hosts: 'http://x'}\n", 3, "upstreams.a.hosts", "host's name", ""),
    ("version: 1\nupstreams:\n  a: {url: http://h, tls: {ca_file: x}}\n", 3, "upstreams.a.tls", "https://", ""),
    (
        "version: 1\nupstreams:\n  a: {url: https://h, tls: {client_key_file: x}}\n",
        3,
        "upstreams.a.tls.client_key_file",
        "without its certificate",
        "client_cert_file",
    ),
    ("version: 1\nupstreams:\n  -a: {url: http://h}\n", 3, "upstreams.-a", "not a name for an upstream", "letter"),
    (
        "version: 1\nupstreams:\n  a: {url: http://h, prefix: /x}\n  b: {url: http://h, prefix: /x}\n",
        4,
        "upstreams.b.prefix",
        '"a" has the same prefix (p.yaml:3)',
        "another",
    ),
    (
        "version: 1\nupstreams:\n  a: {url: http://h, hosts: [x]}\n  b: {url: http://h, hosts: [y, X]}\n",
        4,
        "upstreams.b.hosts[1]",
        '"a" has the same host (p.yaml:3)',
        "another",
    ),
    (
        "version: 1\nupstreams:\n  a: {url: http://h, listen: {address: 'h:1'}}\n"
        "  b: {url: http://h, listen: {address: 'h:1'}}\n",
        4,
        "upstreams.b.listen.address",
        '"a" has the same address (p.yaml:3)',
        "another",
    ),
    (
        "version: 1\nupstreams:\n  a: {url: http://h, prefix: /a}\n  b: {url: http://h}\n",
        4,
        "upstreams.b",
        "has no prefix, listen or hosts",
        "prefix: /b",
    ),
]

NAMES: list[Case] = [
    (LIMIT + "  a: {}\n", 5, "limits.a", "neither seats nor a rate", "seats: 4"),
    (LIMIT + "  a: {seats: 1, rate: 5/s}\n", 5, "limits.a", "seats and a rate", "two limits"),
    (LIMIT + "  a: {seats: 1, burst: 2}\n", 5, "limits.a.burst", "burst is for a rate", "leave it out"),
    (LIMIT + "  a: {rate: 1/s, hold: request}\n", 5, "limits.a.hold", "hold is for seats", "leave it out"),
    (LIMIT + "  retry-after: {seats: 1}\n", 5, "limits.retry-after", "is the name of the wait", "another name"),
    (ROUTE + "  - {match: {upstream: e2b}}\n", 5, "routes[0].name", "is missing", "metrics"),
    (ROUTE + "  - {name: a}\n", 5, "routes[0].match", "is missing", ""),
    (ROUTE + "  - {name: a, match: {}}\n", 5, "routes[0].match.upstream", "is missing", "upstream"),
    (
        ROUTE + "  - name: a\n    match: {upstream: e2}\n",
        6,
        "routes[0].match.upstream",
        'nothing defines an upstream "e2"',
        'did you mean "e2b"',
    ),
    (
        LIMIT + "  creates: {seats: 1}\nroutes:\n  - name: a\n    match: {upstream: e2b}\n    limits: [create]\n",
        9,
        "routes[0].limits[0]",
        'nothing defines a limit "create"',
        'did you mean "creates"',
    ),
    (
        LIMIT + "  a: {seats: 1}\nroutes:\n  - {name: a, match: {upstream: e2b}, limits: [a, a]}\n",
        7,
        "routes[0].limits[1]",
        "stands twice",
        "leave",
    ),
    (
        ROUTE + "  - {name: a, match: {upstream: e2b}, progress: nobody}\n",
        5,
        "routes[0].progress",
        'nothing defines a sink "nobody"',
        "none to choose from",
    ),
    (
        ROUTE + "  - {name: a, match: {upstream: e2b, operation: [creates]}}\n",
        5,
        "routes[0].match.operation[0]",
        "not an operation of the dialect e2b",
        'did you mean "create"',
    ),
    (
        ROUTE + "  - {name: a, match: {upstream: e2b, methods: [post]}}\n",
        5,
        "routes[0].match.methods[0]",
        "not a method",
        "capitals",
    ),
    (
        ROUTE + "  - {name: a, match: {upstream: e2b, methods: [CONNECT]}}\n",
        5,
        "routes[0].match.methods[0]",
        "never passes",
        "",
    ),
    (ROUTE + "  - {name: a, match: {upstream: e2b, path: x}}\n", 5, "routes[0].match.path", "starts with /", "{id}"),
    (ROUTE + "  - {name: a, match: {upstream: e2b, path: '/{A}'}}\n", 5, "routes[0].match.path", "not a name for", ""),
    (ROUTE + "  - {name: a, match: {upstream: e2b, path: /a//b}}\n", 5, "routes[0].match.path", "normal form", "dot"),
    (ROUTE + "  - {name: a, match: {upstream: e2b, path: /a/../b}}\n", 5, "routes[0].match.path", "normal form", ""),
    (ROUTE + "  - {name: a, match: {upstream: e2b, path: /%61}}\n", 5, "routes[0].match.path", "normal form", ""),
    (ROUTE + "  - {name: a, match: {upstream: e2b, path: /a?b}}\n", 5, "routes[0].match.path", "no path holds", ""),
    (
        ROUTE + "  - {name: a, match: {upstream: e2b, path: '/{a}{b}'}}\n",
        5,
        "routes[0].match.path",
        "too many holes",
        "",
    ),
    (
        ROUTE + "  - {name: a, match: {upstream: e2b}, retry: {also: [{status: 409, body: 'a||b'}]}}\n",
        5,
        "routes[0].retry.also[0].body",
        "an alternative is empty",
        "leave body out",
    ),
    (
        ROUTE + "  - {name: a, match: {upstream: e2b}, retry: {backoff: 1s}}\n",
        5,
        "routes[0].retry.backoff",
        "not a range of durations",
        "500ms..30s",
    ),
    (
        ROUTE + "  - {name: a, match: {upstream: e2b}, retry: {backoff: 9s..1s}}\n",
        5,
        "routes[0].retry.backoff",
        "longer than the longest",
        "500ms..30s",
    ),
    (
        ROUTE + "  - {name: a, match: {upstream: e2b}, retry: {budget: 0.2}}\n",
        5,
        "routes[0].retry.budget",
        "is not a share",
        "20%",
    ),
    (ROUTE + "  - {name: a, match: {upstream: e2b}, mode: shadwo}\n", 5, "routes[0].mode", "none of", '"shadow"'),
    (
        ROUTE + "  - {name: a, match: {upstream: e2b, methods: [GET]}}\n  - {name: a, match: {upstream: e2b}}\n",
        6,
        "routes[1].name",
        '"a" stands twice; the first is in p.yaml:5',
        "its own",
    ),
    (
        ROUTE + "  - {name: a, match: {upstream: e2b}}\n  - {name: b, match: {upstream: e2b, operation: create}}\n",
        6,
        "routes[1].match",
        'never reached: the route "a" takes all',
        "first match wins",
    ),
    (
        ROUTE + "  - {name: a, match: {upstream: e2b, operation: [create, fork], path: '/**'}}\n"
        "  - {name: b, match: {upstream: e2b, operation: fork, path: /x}}\n",
        6,
        "routes[1].match",
        "never reached",
        "narrower",
    ),
]

TENANTS: list[Case] = [
    (BASE + "tenants: {default: 'a b'}\n", 4, "tenants.default", "not a tenant's name", "1 to 63"),
    (BASE + "tenants: {default: '..'}\n", 4, "tenants.default", "not a tenant's name", "1 to 63"),
    (BASE + f"tenants: {{default: {'a' * 64}}}\n", 4, "tenants.default", "not a tenant's name", "1 to 63"),
    (BASE + "tenants: {known: {'a/b': {}}}\n", 4, "tenants.known.a/b", "not a tenant's name", "*"),
    (BASE + "tenants: {identify: [pth]}\n", 4, "tenants.identify[0]", "no way to identify", 'did you mean "path"'),
    (BASE + "tenants: {identify: [header]}\n", 4, "tenants.identify[0]", "no way to identify", "{header: Name}"),
    (BASE + "tenants: {identify: [{trusted: []}]}\n", 4, "tenants.identify[0]", "nothing to identify by", "path"),
    (
        BASE + "tenants: {identify: [{path: true, header: X}]}\n",
        4,
        "tenants.identify[0]",
        "more than one way",
        "one of",
    ),
    (BASE + "tenants: {identify: [path, path]}\n", 4, "tenants.identify[1]", "stands twice", "leave it out"),
    (
        BASE + "tenants: {identify: [{header: 'X Y'}]}\n",
        4,
        "tenants.identify[0].header",
        "not a header's name",
        "X-Tenant-Id",
    ),
    (
        BASE + "tenants: {identify: [{header: X, trusted: [10.0.0.1/8]}]}\n",
        4,
        "tenants.identify[0].trusted[0]",
        "not a network",
        "10.0.0.0/8",
    ),
    (
        BASE + "tenants: {identify: [{credential: true, trusted: [10.0.0.0/8]}]}\n",
        4,
        "tenants.identify[0].trusted",
        "needs no trust",
        "leave it out",
    ),
    (
        BASE + "tenants: {identify: [{path: true, forward: true}]}\n",
        4,
        "tenants.identify[0].forward",
        "only a header",
        "leave it out",
    ),
    (
        BASE + "tenants: {known: {a: {limits: {x: {seats: 1}}}}}\n",
        4,
        "tenants.known.a.limits.x",
        'nothing defines a limit "x"',
        "",
    ),
    (
        LIMIT + "  x: {seats: 1, per: credential}\ntenants: {known: {a: {limits: {x: {seats: 1}}}}}\n",
        6,
        "tenants.known.a.limits.x",
        "counts per credential",
        "per: tenant",
    ),
    (
        LIMIT + "  x: {seats: 1}\ntenants: {known: {a: {limits: {x: {rate: 1/s}}}}}\n",
        6,
        "tenants.known.a.limits.x",
        "has no rate",
        "the one it has",
    ),
    (
        LIMIT + "  x: {seats: 1}\ntenants: {known: {a: {limits: {x: {}}}}}\n",
        6,
        "tenants.known.a.limits.x",
        "either seats or rate",
        "the limit has",
    ),
]

SINKS: list[Case] = [
    (SINK + "  s: {body: {}}\n", 5, "progress.s.to", "is missing", "URL template"),
    (SINK + "  s: {to: '/x'}\n", 5, "progress.s.to", "not an http:// or https:// URL", ""),
    (SINK + "  s: {to: 'http://{tenant}/x'}\n", 5, "progress.s.to", "host holds a placeholder", "a caller must not"),
    (SINK + "  s: {to: 'http://h/{x'}\n", 5, "progress.s.to", "no URL holds", "brace"),
    (SINK + "  s: {to: 'http://h/#x'}\n", 5, "progress.s.to", "fragment", "#"),
    (SINK + "  s: {to: 'http://h/{wated}'}\n", 5, "progress.s.to", "{wated} is no placeholder", "{waited}"),
    (SINK + "  s: {to: 'http://h/{header:}'}\n", 5, "progress.s.to", "wants a header's name", ""),
    (SINK + "  s: {to: http://h, headers: {Host: x}}\n", 5, "progress.s.headers.Host", "belongs to the conn", ""),
    (SINK + '  s: {to: http://h, headers: {A: "x\\ny"}}\n', 5, "progress.s.headers.A", "no header holds", "one line"),
    (
        SINK + "  s:\n    to: http://h\n    body:\n      a: [1, {b: '{Waited}'}]\n",
        8,
        "progress.s.body.a[1].b",
        "{Waited} is no placeholder",
        "lower case",
    ),
    (SINK + "  s: {to: http://h, every: 0}\n", 5, "progress.s.every", "must be above zero", ""),
]

LATER: list[tuple[str, str, str]] = [
    (LIMIT + "  a: {seats: 1, hold: ready}\n", "limits.a.hold", '"ready"'),
    (LIMIT + "  a: {seats: 1, hold: resource}\n", "limits.a.hold", '"resource"'),
    (LIMIT + "  a: {seats: 1, hold: entity}\n", "limits.a.hold", '"entity"'),
    (LIMIT + "  a: {seats: 1, hold: ticket}\n", "limits.a.hold", '"ticket"'),
    (LIMIT + "  a: {seats: 1, resync: 60s}\n", "limits.a.resync", '"resync"'),
    (LIMIT + "  a: {seats: 1, grace: 5s}\n", "limits.a.grace", '"grace"'),
    (LIMIT + "  a: {seats: auto}\n", "limits.a.seats", '"auto"'),
    (LIMIT + "  a: {of: llm, seats: 1}\n", "limits.a.of", '"of"'),
    (LIMIT + "  a: {seats: 1, per: namespace}\n", "limits.a.per", '"namespace"'),
    (LIMIT + "  a: {seats: 1, per: [credential]}\n", "limits.a.per", "a list"),
    (ROUTE + "  - {name: a, match: {upstream: e2b}, share: /x}\n", "routes[0].share", '"share"'),
    (ROUTE + "  - {name: a, match: {upstream: e2b}, queue: {class: turn}}\n", "routes[0].queue.class", '"class"'),
    (BASE + "guards: {spawned: {on: 409}}\n", "guards", '"guards"'),
    (BASE + "callbacks: {allow: [x]}\n", "callbacks", '"callbacks"'),
    (BASE + "dialects: {daytona: {}}\n", "dialects", '"dialects"'),
    ("version: 1\nupstreams: {k: {url: http://h, dialect: kubernetes}}\n", "upstreams.k.dialect", '"kubernetes"'),
    ("version: 1\nupstreams: {k: {url: http://h, pods: {}}}\n", "upstreams.k.pods", '"pods"'),
    ("version: 1\nupstreams: {k: {url: http://h, mark: off}}\n", "upstreams.k.mark", '"mark"'),
    (
        "version: 1\nupstreams: {k: {url: http://h, listen: {address: 'h:1', tls: auto}}}\n",
        "upstreams.k.listen.tls",
        '"tls"',
    ),
]


@pytest.mark.parametrize(
    ("text", "line", "path", "problem", "hint"),
    VALUES + UPSTREAMS + NAMES + TENANTS + SINKS,
    ids=lambda v: str(v)[-60:],
)
def test_a_mistake_is_told_with_its_place(text: str, line: int, path: str, problem: str, hint: str) -> None:
    found = mistakes(text)
    assert [(e.file, e.line, e.path) for e in found] == [("p.yaml", line, path)], [str(e) for e in found]
    assert problem in found[0].problem
    assert hint in found[0].hint


@pytest.mark.parametrize(("text", "path", "what"), LATER, ids=lambda v: str(v)[-60:])
def test_what_comes_later_is_told_apart_from_a_mistake(text: str, path: str, what: str) -> None:
    found = mistakes(text)
    assert [e.path for e in found] == [path]
    assert found[0].problem.endswith("is not available in this version")
    assert what in found[0].problem
    assert found[0].hint
    assert found[0].line == text.count("\n")


def test_all_mistakes_are_told_at_once_in_the_order_of_lines() -> None:
    found = mistakes("""\
        version: 1
        upstreams:
          e2b: {url: htp://x, dialect: e2b, colour: red}
        tenants:
          known:
            a: &a {weight: -1}
            b: *a
        limits:
          creates: {seats: 4, hold: resource}
          creates: {seats: 5}
          rate: {rate: 5}
        routes:
          - name: create
            match: {upstream: e2, operation: create}
            limits: [creats]
            queue: {patience: 30}
          - 7
        """)
    assert [(e.line, e.path) for e in found] == [
        (3, "upstreams.e2b.colour"),
        (3, "upstreams.e2b.url"),
        (6, "tenants.known.a"),
        (6, "tenants.known.a.weight"),
        (7, "tenants.known.b"),
        (9, "limits.creates.hold"),
        (10, "limits.creates"),
        (11, "limits.rate.rate"),
        (14, "routes[0].match.upstream"),
        (15, "routes[0].limits[0]"),
        (16, "routes[0].queue.patience"),
        (17, "routes[1]"),
    ]


def test_a_broken_definition_is_not_called_undefined() -> None:
    text = LIMIT + "  a: 5\nroutes:\n  - {name: a, match: {upstream: e2b}, limits: [a]}\n"
    assert [e.path for e in mistakes(text)] == ["limits.a"]
    text = BASE + "limits: 5\nroutes:\n  - {name: a, match: {upstream: e2b}, limits: [a]}\n"
    assert [e.path for e in mistakes(text)] == ["limits"]


def test_an_error_reads_as_the_command_line_promises() -> None:
    (error,) = mistakes(ROUTE + "  - {name: a, match: {upstream: e2b}, queue: {patience: 30}}\n")
    assert str(error) == ('p.yaml:5  routes[0].queue.patience  "30" has no unit\n    hint: write "30s" for seconds')
