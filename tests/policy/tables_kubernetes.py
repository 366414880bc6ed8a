"""Tables of mistakes with upstreams of dialect ``kubernetes``; columns as in :mod:`tests.policy.tables`."""

from __future__ import annotations

from tests.policy.tables import Case

HTTPS = "version: 1\nupstreams:\n  k: {url: https://h, dialect: kubernetes%s}\n"
PLAIN = "version: 1\nupstreams:\n  k: {url: http://h, dialect: kubernetes%s}\n"
OTHER = "version: 1\nupstreams:\n  k: {url: https://h, dialect: e2b%s}\n"
SECURE = HTTPS % ", tls: {client_cert_file: x}, auth: own"
READY = HTTPS % ", prefix: /k" + "  e: {url: http://h, dialect: e2b, prefix: /e}\nlimits:\n"
CREATE = "routes:\n  - {name: k, match: {upstream: k}, limits: [a]}\n  - {name: e, match: {upstream: e}, limits: [a]}\n"

PODS: list[Case] = [
    (OTHER % ", pods: {}", 3, "upstreams.k.pods", "pods is for dialect kubernetes", "dialect: kubernetes"),
    (HTTPS % ", pods: [sandbox]", 3, "upstreams.k.pods", "wants a map", "main_containers"),
    (HTTPS % ", pods: {main_container: a}", 3, "upstreams.k.pods.main_container", "not a known", '"main_containers"'),
    (
        HTTPS % ", pods: {main_containers: [Agent]}",
        3,
        "upstreams.k.pods.main_containers[0]",
        "a container's name",
        "a-z",
    ),
    (HTTPS % ", pods: {main_containers: 'a,,b'}", 3, "upstreams.k.pods.main_containers", "a container's name", "a-z"),
    (HTTPS % ", pods: {main_containers: [a, b, a]}", 3, "upstreams.k.pods.main_containers[2]", "stands twice", "leave"),
    (HTTPS % ", pods: {namespaces: [a/b]}", 3, "upstreams.k.pods.namespaces[0]", "a namespace or a pattern", "a-z"),
    (HTTPS % ", pods: {labels: 'a in b'}", 3, "upstreams.k.pods.labels", "not a label selector", "app=agent"),
    (HTTPS % ", pods: {labels: {a: b}}", 3, "upstreams.k.pods.labels", "wants a text, got a map", ""),
    (HTTPS % ", pods: {decide: some}", 3, "upstreams.k.pods.decide", "none of the choices", "all"),
    (HTTPS % ", pods: {max_restarts: 0}", 3, "upstreams.k.pods.max_restarts", "at least 1, got 0", ""),
    (HTTPS % ", pods: {authoritative: yes}", 3, "upstreams.k.pods.authoritative", "wants true or false", "texts"),
]

OWN_AUTH: list[Case] = [
    (OTHER % ", auth: own", 3, "upstreams.k.auth", "auth is for dialect kubernetes", "dialect: kubernetes"),
    (PLAIN % ", auth: own", 3, "upstreams.k.auth", "never goes over plain http", "https://"),
    (SECURE, 3, "upstreams.k.auth", "a client certificate already", "leave auth out"),
    (HTTPS % ", auth: callers", 3, "upstreams.k.auth", '"callers" is none of the choices', "auth: own"),
    (HTTPS % ", auth: {}", 3, "upstreams.k.auth.own", "is missing", "Authorization"),
    (HTTPS % ", auth: {own: {}, token_file: x}", 3, "upstreams.k.auth.token_file", "is not a known key", "own"),
    (HTTPS % ", auth: {own: {token: x}}", 3, "upstreams.k.auth.own.token", "is not a known key", "token_file"),
    (HTTPS % ", auth: own, listen: {address: '0.0.0.0:1'}", 3, "upstreams.k.auth", '"0.0.0.0" would act', "127.0.0.1"),
    (HTTPS % ", auth: own, listen: {address: 'gate:1'}", 3, "upstreams.k.auth", '"gate" would act', "127.0.0.1"),
]

LISTEN: list[Case] = [
    (
        HTTPS % ", listen: {address: '127.0.0.1:1', tls: own}",
        3,
        "upstreams.k.listen.tls",
        '"own" is none of the choices',
        "auto",
    ),
    (
        HTTPS % ", listen: {address: '127.0.0.1:1', tls: auto}"
        + "  l: {url: https://h, listen: {address: '127.0.0.1:1'}}\n",
        4,
        "upstreams.l.listen.address",
        '"k" has the same address (p.yaml:3)',
        "another",
    ),
]

LIMITS: list[Case] = [
    (
        READY + "  a: {seats: 1, hold: ready}\n" + CREATE,
        9,
        "routes[1].limits[0]",
        "dialect e2b has no pods",
        "hold: request",
    ),
    (
        READY + "  a: {rate: 1/s, per: namespace}\n" + CREATE,
        9,
        "routes[1].limits[0]",
        "counts per namespace, and dialect e2b has none",
        "per: tenant",
    ),
    (READY + "  a: {rate: 1/s, hold: ready}\n", 6, "limits.a.hold", "hold is for seats", "leave it out"),
    (READY + "  a: {seats: 1, ready_within: 1m}\n", 6, "limits.a.ready_within", "is for hold: ready", "hold: ready"),
    (READY + "  a: {seats: 1, hold: ready, ready_within: 0}\n", 6, "limits.a.ready_within", "above zero", ""),
    (READY + "  a: {seats: 1, hold: redy}\n", 6, "limits.a.hold", "none of the choices", '"ready"'),
    (
        READY + "  a: {seats: 1, per: namespace}\ntenants: {known: {x: {limits: {a: {seats: 2}}}}}\n",
        7,
        "tenants.known.x.limits.a",
        "counts per namespace",
        "per: tenant",
    ),
    (
        HTTPS % "" + "tenants: {identify: [{namespace: true, trusted: [10.0.0.0/8]}]}\n",
        4,
        "tenants.identify[0].trusted",
        "a namespace needs no trust",
        "API server",
    ),
    (
        HTTPS % "" + "tenants: {identify: [namespace, {namespace: true}]}\n",
        4,
        "tenants.identify[1]",
        "stands twice",
        "leave",
    ),
]
