"""Mounts and routing: which upstream, operation and route, and which bytes go upstream (design.md §2.2, §2.3)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dialects.registry import DIALECTS
from proxy.domain.errors import BadRequest, HeadgateError, UnknownUpstream
from proxy.domain.ids import UpstreamName
from proxy.policy import resolve
from proxy.policy.resolve import Resolution, Resolver
from tests.policy.builders import policy
from tests.support.compiled import python_only

MOUNTED = """
version: 1
upstreams:
  e2b: {url: https://api.e2b.app, dialect: e2b, prefix: /e2b}
  inner: {url: http://inner/base/, prefix: /e2b/inner}
  named: {url: http://named, hosts: [api.example.com, "other:81"]}
  both: {url: http://both, prefix: /both, hosts: [gate]}
  own: {url: http://own, listen: {address: "127.0.0.1:6443"}}
tenants: {identify: [path, credential]}
limits: {creates: {seats: 4}}
routes:
  - {name: create, match: {upstream: e2b, operation: create}, limits: [creates]}
  - {name: one, match: {upstream: e2b, methods: [DELETE, GET], path: "/sandboxes/{id}"}}
  - {name: rest, match: {upstream: e2b}}
  - {name: job, match: {upstream: own, path: "/tdata/Jobs('{id}')/{action}.Submit"}}
"""


def resolver(text: str = MOUNTED) -> Resolver:
    return Resolver(policy(text), lambda dialect, *asked: DIALECTS[dialect].classify(*asked))


def at(target: bytes, *, method: str = "POST", host: bytes = b"h", listener: str | None = None) -> Resolution:
    return resolver().resolve(None if listener is None else UpstreamName(listener), host, method, target)


@pytest.mark.parametrize(
    ("target", "upstream", "path", "forward"),
    [
        (b"/e2b/sandboxes", "e2b", "/sandboxes", b"/sandboxes"),
        (b"/e2b/sandboxes?a=%20&b=//", "e2b", "/sandboxes", b"/sandboxes?a=%20&b=//"),
        (b"/e2b", "e2b", "/", b"/"),
        (b"/e2b/", "e2b", "/", b"/"),
        (b"/e2b?x", "e2b", "/", b"/?x"),
        (b"/e2b//sandboxes", "e2b", "/sandboxes", b"/sandboxes"),
        (b"//e2b///v2//sandboxes", "e2b", "/v2/sandboxes", b"/v2//sandboxes"),
        (b"/%65%32b/sandboxes/%2e/", "e2b", "/sandboxes/", b"/sandboxes/%2e/"),
        (b"/e2b/./sandboxes/x/../y", "e2b", "/sandboxes/y", b"/./sandboxes/x/../y"),
        (b"/e2b/a%2fb%41", "e2b", "/a%2FbA", b"/a%2fb%41"),
        (b"/e2b/inner", "inner", "/", b"/base"),
        (b"/e2b/inner?q", "inner", "/", b"/base?q"),
        (b"/e2b//inner/x", "inner", "/x", b"/base/x"),
        (b"/e2b/innerx", "e2b", "/innerx", b"/innerx"),
        (b"/e2b/x\xff", "e2b", "/x\xff", b"/x\xff"),
    ],
)
def test_a_prefix_is_taken_off_and_the_rest_is_the_callers(
    target: bytes, upstream: str, path: str, forward: bytes
) -> None:
    found = at(target)
    assert (found.upstream.name, found.path, found.forward) == (upstream, path, forward)
    assert found.path_tenant is None


@pytest.mark.parametrize(
    "target", [b"/t/acme/e2b/sandboxes", b"//t//acme//e2b//sandboxes", b"/%74/acm%65/e2b/sandboxes"]
)
def test_the_path_names_a_tenant(target: bytes) -> None:
    found = at(target)
    assert (found.path_tenant, found.upstream.name, found.forward) == ("acme", "e2b", b"/sandboxes")
    assert found.route is not None
    assert found.route.name == "create"


def test_without_a_rule_that_reads_it_t_is_no_special_path() -> None:
    text = "version: 1\nupstreams: {a: {url: http://a}}\n"
    found = resolver(text).resolve(None, b"", "GET", b"/t/acme/x")
    assert (found.path_tenant, found.path, found.forward) == (None, "/t/acme/x", b"/t/acme/x")


def test_a_single_upstream_stands_at_the_root_byte_for_byte() -> None:
    text = "version: 1\nupstreams: {a: {url: http://a/base}}\n"
    found = resolver(text).resolve(None, b"", "GET", b"//x//%41?y")
    assert (found.path, found.forward) == ("/x/A", b"/base//x//%41?y")


def test_an_own_listener_stands_at_the_root_and_not_on_the_main_one() -> None:
    found = at(b"/e2b/x", listener="own")
    assert (found.upstream.name, found.forward) == ("own", b"/e2b/x")
    assert at(b"/t/acme//e2b/x", listener="own").path_tenant == "acme"
    assert at(b"/t/acme//e2b/x", listener="own").forward == b"/e2b/x"
    with pytest.raises(UnknownUpstream):
        resolver("version: 1\nupstreams: {a: {url: http://a, listen: {address: 'h:1'}}}\n").resolve(
            None, b"h", "GET", b"/"
        )


@pytest.mark.parametrize(
    ("host", "target", "upstream", "forward"),
    [
        (b"api.example.com", b"/e2b/x", "named", b"/e2b/x"),
        (b"API.example.com:8080", b"/x", "named", b"/x"),
        (b"other:81", b"/x", "named", b"/x"),
        (b"gate", b"/both/x", "both", b"/x"),
        (b"gate", b"/e2b/x", "e2b", b"/x"),
        (b"gate", b"/x", "both", b"/x"),
    ],
)
def test_hosts_select_an_upstream(host: bytes, target: bytes, upstream: str, forward: bytes) -> None:
    found = at(target, host=host)
    assert (found.upstream.name, found.forward) == (upstream, forward)


@pytest.mark.parametrize("host", [b"other", b"other:82", b"xapi.example.com", b""])
def test_other_hosts_select_nothing(host: bytes) -> None:
    with pytest.raises(UnknownUpstream):
        at(b"/x", host=host)


@pytest.mark.parametrize(
    "target", [b"/", b"/e2", b"/e2bx/y", b"/e2b%2fx", b"/x/../e2b/y", b"/t", b"/t/", b"/t/acme", b"/E2B"]
)
def test_what_is_mounted_nowhere_is_unknown(target: bytes) -> None:
    with pytest.raises(UnknownUpstream):
        at(target)


NO_PATHS = [b"*", b"h:443", b"", b"e2b/x", b"ftp://h/e2b", b"http:///e2b", b"http://u@h/e2b/x"]
NUL_OR_OUT = [b"/e2b/%00", b"/%00/x", b"/e2b/../x", b"/e2b/a/../../x", b"/e2b/%2e%2E/x", b"/../e2b/x", b"/e2b/x#y"]
NO_TENANTS = [b"/t/../e2b/x", b"/t/a%2fb/e2b/x", b"/t/a b/e2b/x", b"/t/" + b"a" * 64 + b"/e2b/x", b"/t/acme/../e2b/x"]


@pytest.mark.parametrize("target", [*NO_PATHS, *NUL_OR_OUT, *NO_TENANTS])
def test_bad_targets_are_refused(target: bytes) -> None:
    with pytest.raises(BadRequest) as raised:
        at(target, method="OPTIONS" if target == b"*" else "GET")
    assert raised.value.status == 400


@pytest.mark.parametrize(
    ("host", "target", "upstream"),
    [
        (b"h:8080", b"http://H:8080/e2b/x", "e2b"),
        (b"h", b"HTTP://h:80/e2b/x", "e2b"),
        (b"ignored", b"http://api.example.com/x", "named"),
        (b"ignored", b"http://api.example.com", "named"),
        (b"ignored", b"http://api.example.com?q", "named"),
        (b"ignored", b"http://gate/both/x", "both"),
    ],
)
def test_an_absolute_target_must_name_its_upstream(host: bytes, target: bytes, upstream: str) -> None:
    found = at(target, host=host)
    assert found.upstream.name == upstream
    assert found.forward.startswith(b"/")
    assert b"http" not in found.forward.lower()


@pytest.mark.parametrize(
    ("host", "target"),
    [
        (b"h", b"http://other-host/e2b/x"),
        (b"h", b"http://h:81/e2b/x"),
        (b"", b"http://h/e2b/x"),
        (b"gate", b"http://h/both"),
    ],
)
def test_an_absolute_target_that_names_another_is_refused(host: bytes, target: bytes) -> None:
    with pytest.raises(BadRequest):
        at(target, host=host)


@pytest.mark.parametrize(
    ("method", "target", "route", "holes"),
    [
        ("POST", b"/e2b/sandboxes", "create", {}),
        ("POST", b"/e2b/v2/sandboxes", "create", {}),
        ("DELETE", b"/e2b/sandboxes/abc", "one", {"id": "abc"}),
        ("GET", b"/e2b/sandboxes/%61bc/", "one", {"id": "abc"}),
        ("PATCH", b"/e2b/sandboxes/abc", "rest", {}),
        ("GET", b"/e2b/sandboxes/abc/logs", "rest", {}),
    ],
)
def test_the_first_route_that_matches_wins(method: str, target: bytes, route: str, holes: dict[str, str]) -> None:
    found = at(target, method=method)
    assert found.route is not None
    assert (found.route.name, found.holes) == (route, holes)


def test_holes_stand_inside_quotes_and_brackets() -> None:
    found = at(b"/tdata/Jobs('7')/Katagami.Submit?x", listener="own")
    assert found.route is not None
    assert (found.route.name, found.holes) == ("job", {"id": "7", "action": "Katagami"})
    assert at(b"/tdata/Jobs('7')/x/Katagami.Submit", listener="own").route is None


def test_no_route_is_no_error() -> None:
    assert at(b"/both/x").route is None


@python_only
def test_an_answer_is_remembered_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "_REMEMBERED", 2)
    asked: list[str] = []

    def classify(dialect: str, method: str, path: str, query: bytes) -> str:
        asked.append(path)
        return "read"

    held = Resolver(policy("version: 1\nupstreams: {a: {url: http://a}}\n"), classify)
    for target in (b"/1", b"/1", b"/2", b"/1", b"/3", b"/1", b"/4", b"/5", b"/6", b"/1"):
        assert held.resolve(None, b"", "GET", target).forward == target
    assert asked == ["/1", "/2", "/3", "/4", "/5", "/6", "/1"]
    long = b"/" + b"x" * 600
    assert held.resolve(None, b"", "GET", long).forward == held.resolve(None, b"", "GET", long).forward
    assert len(asked) == 9


def test_a_remembered_answer_is_of_its_own_question() -> None:
    held = resolver()
    for _ in range(2):
        assert held.resolve(None, b"api.example.com", "GET", b"/e2b/x").upstream.name == "named"
        assert held.resolve(None, b"h", "GET", b"/e2b/x").upstream.name == "e2b"
        assert held.resolve(UpstreamName("own"), b"h", "GET", b"/e2b/x").upstream.name == "own"
        assert held.resolve(None, b"h", "POST", b"/e2b/sandboxes").operation == "create"
        assert held.resolve(None, b"h", "GET", b"/e2b/sandboxes").operation == "observe"
        assert held.resolve(None, b"h", "GET", b"http://h/e2b/x").upstream.name == "e2b"
        with pytest.raises(BadRequest):
            held.resolve(None, b"g", "GET", b"http://h/e2b/x")


def test_an_absolute_target_is_judged_by_each_callers_host() -> None:
    held = resolver("version: 1\nupstreams: {a: {url: http://a}}\n")
    assert held.resolve(None, b"h", "GET", b"http://h/x").forward == b"/x"
    with pytest.raises(BadRequest):
        held.resolve(None, b"g", "GET", b"http://h/x")


PATHS = st.sampled_from(
    ["/sandboxes", "/v2/sandboxes", "/sandboxes/abc", "/sandboxes/abc/timeout", "/a-b_c.d~e/f", "/"]
)


@st.composite
def spellings(draw: st.DrawFn, path: str) -> bytes:
    """Another spelling of a path: characters encoded, slashes doubled, dot-segments put in."""
    out = b""
    for segment in path.split("/")[1:]:
        for _ in range(draw(st.integers(0, 2))):
            out += draw(st.sampled_from([b"/", b"/.", b"/%2e", b"/x/..", b"/%78/%2E.", b"/x//.."]))
        out += b"/"
        for character in segment:
            forms = [character.encode(), b"%%%02x" % ord(character), b"%%%02X" % ord(character)]
            out += draw(st.sampled_from(forms))
    return out


@settings(max_examples=300, deadline=None)
@given(st.data(), PATHS, st.sampled_from(["GET", "POST", "DELETE"]), st.sampled_from([b"", b"?a=//%41/../#"[:-1]]))
def test_no_spelling_walks_around_a_route(drawn: st.DataObject, path: str, method: str, query: bytes) -> None:
    held = resolver()
    plain = held.resolve(None, b"h", method, b"/e2b" + path.encode())
    spelled = drawn.draw(spellings(path))
    mount = drawn.draw(st.sampled_from([b"/e2b", b"//e2b", b"/%65%32b", b"/./e2b", b"/t/acme/e2b", b"//t/acme//e2b"]))
    found = held.resolve(None, b"h", method, mount + spelled + query)
    assert (found.route, found.operation, found.upstream) == (plain.route, plain.operation, plain.upstream)
    assert found.holes == plain.holes
    assert found.path == plain.path
    joined = b"/" + spelled.lstrip(b"/") if spelled.startswith(b"//") else spelled
    assert found.forward == joined + query


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40) | st.binary(max_size=40).map(lambda b: b"/e2b/" + b), st.binary(max_size=8))
def test_no_target_does_more_than_be_refused(target: bytes, host: bytes) -> None:
    try:
        found = resolver().resolve(None, host, "GET", target)
    except HeadgateError:
        return
    assert found.forward.startswith(b"/")
    assert target.endswith(found.forward.removeprefix(b"/base").lstrip(b"/"))
