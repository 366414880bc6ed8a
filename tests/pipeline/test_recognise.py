"""What a request means where its method alone does not say."""

from __future__ import annotations

import pytest

from proxy.pipeline.recognise import find_target
from proxy.pipeline.snapshot import Snapshot
from proxy.wire.heads import parse_request
from tests.support.proxies import policy_of

POLICY = """
version: 1
upstreams: {kube: {url: "https://kubernetes.test", dialect: kubernetes}}
limits: {creates: {seats: 1, per: namespace}}
routes:
  - {name: create, match: {upstream: kube, operation: create}, limits: [creates]}
  - {name: patch, match: {upstream: kube, methods: [PATCH]}}
"""


@pytest.mark.parametrize(
    ("content_type", "route"),
    [
        ("application/apply-patch+yaml", "create"),
        ("Application/Apply-Patch+YAML; charset=utf-8", "create"),
        ("application/merge-patch+json", "patch"),
    ],
)
def test_a_server_side_apply_of_a_pod_is_a_create(content_type: str, route: str) -> None:
    """It makes the pod where it is not there yet, and would else walk around the limit."""
    snapshot = Snapshot(policy_of(POLICY, {}))
    for _ in range(2):  # the second answer is a remembered one
        for sent, expected in ((content_type, route), ("application/json-patch+json", "patch")):
            head = parse_request(
                b"PATCH /api/v1/namespaces/a/pods/x?fieldManager=m HTTP/1.1\r\n"
                b"Host: k\r\nContent-Type: %s\r\nContent-Length: 2\r\n\r\n" % sent.encode()
            )
            found = find_target(snapshot, head, None).resolution.route
            assert found is not None
            assert found.name == expected
