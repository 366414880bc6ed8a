"""``auth: own``: the token that requests carry, as its file comes, changes and goes."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from proxy.domain.errors import NoTokenOfOurOwn, SpeaksForAnother
from proxy.domain.ids import UpstreamName
from proxy.domain.messages import RequestHead
from proxy.pipeline.claims import Caller
from proxy.pipeline.identity import Credentials
from proxy.pipeline.own_token import OwnToken, open_doors
from proxy.pipeline.recognise import find_caller, find_target
from proxy.pipeline.snapshot import Snapshot
from proxy.ports import Destination
from proxy.wire.rewrite import forwarded_request
from tests.dialects.heads import request
from tests.support.proxies import policy_of

POLICY = """
version: 1
upstreams:
  kube: {{url: "https://h", dialect: kubernetes, prefix: /kube, via: true, auth: {{own: {{token_file: "{file}"}}}}}}
  cert: {{url: "https://h", dialect: kubernetes, prefix: /cert, tls: {{client_cert_file: c}}}}
  open: {{url: "https://h", dialect: kubernetes, prefix: /open}}
tenants: {{identify: [namespace, credential]}}
"""
PODS = "/api/v1/namespaces/a/pods"


class Clock:
    """Time that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "token"


@pytest.fixture
def own(file: Path, clock: Clock) -> OwnToken:
    return OwnToken(str(file), plain(snapshot(file)), clock)


def snapshot(file: Path) -> Snapshot:
    return Snapshot(policy_of(POLICY.format(file=file)))


def plain(made: Snapshot) -> Destination:
    return made.servings[UpstreamName("kube")].destination


def line(destination: Destination) -> bytes:
    """The credential that a request of nobody's would carry there."""
    head = forwarded_request(request("Host: x"), destination, b"/")
    (found,) = (line for line in head.split(b"\r\n") if line.lower().startswith(b"authorization"))
    return found


def test_the_token_is_read_and_kept(own: OwnToken, file: Path, clock: Clock) -> None:
    file.write_text("one\n")
    first = own.destination()
    assert line(first) == b"Authorization: Bearer one"
    assert own.destination() is first
    clock.now += 3600
    assert own.destination() is first, "connections are kept per destination"


def test_a_new_token_is_seen_within_a_second(own: OwnToken, file: Path, clock: Clock) -> None:
    file.write_text("one")
    first = own.destination()
    file.write_text("another")
    clock.now += 0.99
    assert own.destination() is first, "the file is not looked at more than once a second"
    clock.now += 0.02
    assert line(own.destination()) == b"Authorization: Bearer another"


def test_a_file_that_is_swapped_by_its_link_is_new(own: OwnToken, file: Path, clock: Clock) -> None:
    """As the kubelet does it; the two may have the same length and the same time."""
    for name in ("aaa", "bbb"):
        (file.parent / name).write_text(name)
        os.utime(file.parent / name, ns=(1, 1))
    file.symlink_to("aaa")
    assert line(own.destination()) == b"Authorization: Bearer aaa"
    file.unlink()
    file.symlink_to("bbb")
    clock.now += 1
    assert line(own.destination()) == b"Authorization: Bearer bbb"


def test_without_a_file_there_is_an_error_and_one_line(
    own: OwnToken, file: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "headgate")
    for _ in range(3):
        with pytest.raises(NoTokenOfOurOwn) as raised:
            own.destination()
        assert (raised.value.upstream, raised.value.detail) == ("kube", "No such file or directory")
        clock.now += 1
    assert caplog.messages == [f"upstream kube: token file {file}: No such file or directory"]
    file.write_text("late")
    assert line(own.destination()) == b"Authorization: Bearer late"
    assert caplog.messages[1:] == [f"upstream kube: token file {file} can be read again"]


@pytest.mark.parametrize("content", [b"", b" \n", b"a b", b"a\nb", b"a\r\nX: y", b"\x00", "ä".encode()])
def test_what_is_no_token_is_never_sent(own: OwnToken, file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(NoTokenOfOurOwn, match="token"):
        own.destination()


def test_a_token_stays_in_use_while_its_file_cannot_be_read(
    own: OwnToken, file: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_text("s3cr3t")
    first = own.destination()
    for spoil in (lambda: file.write_text(""), file.unlink):
        spoil()
        clock.now += 1
        assert own.destination() is first
    assert len(caplog.messages) == 2
    assert "s3cr3t" not in caplog.text


def test_a_snapshot_says_at_once_what_is_missing(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = snapshot(file)
    assert not caplog.messages
    made.find_tokens()
    assert len(caplog.messages) == 1


def test_callers_credentials_stay_here(file: Path) -> None:
    file.write_text("ours")
    serving = snapshot(file).servings[UpstreamName("kube")]
    head = request("Host: x", "authorization: Bearer theirs", "Accept: a", "Authorization: Basic b")
    sent = forwarded_request(head, serving.towards(head), b"/api")
    assert sent == (
        b"POST /api HTTP/1.1\r\nHost: h\r\nAccept: a\r\nVia: 1.1 headgate\r\nAuthorization: Bearer ours\r\n\r\n"
    )
    other = snapshot(file).servings[UpstreamName("open")]
    assert b"Bearer theirs" in forwarded_request(head, other.towards(head), b"/api")


def called(made: Snapshot, mount: str, *lines: str, query: str = "") -> Caller:
    head: RequestHead = request("Host: x", *lines, target=f"/{mount}{PODS}{query}")
    return find_caller(made, find_target(made, head, None), head, "127.0.0.1", Credentials(b"salt"))


CLAIMS = [
    "Impersonate-User: admin",
    "X-Remote-User: admin",
    "Sec-WebSocket-Protocol: v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.dG9rZW4",
]


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("mount", ["kube", "cert"])
def test_nobody_speaks_for_another_on_our_word(file: Path, mount: str, claim: str) -> None:
    with pytest.raises(SpeaksForAnother) as raised:
        called(snapshot(file), mount, claim)
    assert raised.value.upstream == mount
    assert "dG9rZW4" not in raised.value.claim


@pytest.mark.parametrize("claim", CLAIMS)
def test_who_speaks_with_his_own_credential_may(file: Path, claim: str) -> None:
    assert called(snapshot(file), "open", claim).tenant == "a"


def test_the_namespace_and_the_time_a_request_gives_itself(file: Path) -> None:
    caller = called(snapshot(file), "open", query="?timeout=5s")
    assert (caller.tenant, caller.namespace, caller.timeout) == ("a", "a", 5.0)
    assert called(snapshot(file), "open").timeout is None


def test_open_doors_are_told(file: Path) -> None:
    policies = policy_of(POLICY.format(file=file))
    (warning,) = open_doors(policies, "0.0.0.0")
    assert "upstream kube" in warning
    assert list(open_doors(policies, "127.0.0.1")) == []
    text = POLICY.format(file=file).replace("prefix: /kube,", 'listen: {address: "127.0.0.1:0"},')
    assert list(open_doors(policy_of(text), "0.0.0.0")) == [], "it is not on the main listener"
