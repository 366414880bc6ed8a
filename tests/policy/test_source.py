"""Reading YAML: what is refused before anything is looked at, what plain values mean, and that nothing crashes."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.policy import source
from proxy.policy.mistakes import Mistakes
from proxy.policy.source import MOST_BYTES, read_source
from tests.policy.builders import BASE, mistakes


def data(text: str, **environment: str) -> Any:
    found = Mistakes()
    read = read_source("p.yaml", text.encode(), environment, found)
    found.raise_any(["p.yaml"])
    return read.data


@pytest.mark.parametrize(
    ("text", "line", "path", "problem", "hint"),
    [
        (b"", 1, "(file)", "the file is empty", "version: 1"),
        (b"\n# nothing\n", 1, "(file)", "the file is empty", "version: 1"),
        (b"- 1\n", 1, "(file)", "a policy is a map", "version: 1"),
        (b"x" * (MOST_BYTES + 1), 1, "(file)", "larger than 1 MiB", "split"),
        (b"version: 1\n\xff\n", 2, "(file)", "not UTF-8", "UTF-8"),
        (b"version: 1\na: \x07\n", 2, "(file)", "U+0007", "remove"),
        (b"version: 1\na: [1\n", 3, "(file)", "not valid YAML", "quote"),
        (b"version: 1\na: {b: ${X}}\n", 2, "(file)", "not valid YAML", "${NAME} need quotes"),
        (BASE.encode() + b"---\nversion: 1\n", 4, "(file)", "second document", "one document"),
        (BASE.encode() + b"limits: &x {}\n", 4, "limits", "&x is an anchor", "not allowed"),
        (BASE.encode() + b"limits: *x\n", 4, "limits", "*x is an alias", "write the value out"),
        (BASE.encode() + b"limits: {<<: {}}\n", 4, "limits.<<", "merge key", "not allowed"),
        (BASE.encode() + b"limits: {? [a] : {}}\n", 4, "limits.?", "no key", "texts"),
        (BASE.encode() + b"timeouts: {total: !!str 5s}\n", 4, "timeouts.total", "is a tag", "leave it out"),
        (BASE.encode() + b"timeouts: !x {}\n", 4, "timeouts", "!x is a tag", "leave it out"),
        (BASE.encode() + b'tenants: {default: "a\\0"}\n', 4, "tenants.default", "no text", "NUL"),
        (BASE.encode() + b"version: 1\n", 4, "version", "stands twice; the first is in line 1", "leave one"),
        (BASE.encode() + b"timeouts: {idle: ${X}s}\n", 4, "(file)", "not valid YAML", "quotes"),
        (BASE.encode() + b"timeouts:\n  idle: ${X}\n", 5, "timeouts.idle", "${X} is not set", "${X:-"),
        (BASE.encode() + b"timeouts:\n  idle: ${X-5s}\n", 5, "timeouts.idle", "not a reference", "${NAME:-default}"),
        (BASE.encode() + b"timeouts:\n  idle: ${file:/x}\n", 5, "timeouts.idle", "not a reference", "${NAME}"),
        (BASE.encode() + b"limits:\n  " + b"[" * 40 + b"]" * 40 + b"\n", 5, "(file)", "nested deeper than 32", ""),
    ],
    ids=lambda v: str(v)[-40:],
)
def test_what_is_refused(text: bytes, line: int, path: str, problem: str, hint: str) -> None:
    found = mistakes(text)
    assert [(e.line, e.path) for e in found] == [(line, path)], [str(e) for e in found]
    assert problem in found[0].problem
    assert hint in found[0].hint


def test_an_alias_bomb_is_refused_without_being_expanded() -> None:
    lines = ["version: 1", "a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    found = mistakes("\n".join(lines).encode())
    assert len([e for e in found if "is an alias" in e.problem]) == 2 * 59


def test_a_deep_file_is_refused_where_it_gets_too_deep() -> None:
    found = mistakes(b"version: 1\na: " + b"[" * 900_000)
    assert [(e.line, e.problem) for e in found] == [(2, "nested deeper than 32 levels")]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("-12", -12),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("127.0.0.1", "127.0.0.1"),
        ("'1'", "1"),
        ("5/s", "5/s"),
        ("-", None),
        ("inf", "inf"),
    ],
)
def test_plain_values_mean_what_yaml_1_2_says(written: str, value: object) -> None:
    text = f"a: {written}\n" if written != "-" else "a:\n"
    found = data(text)["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("written", ["010", "0x1f", "0o17", "0b1", "1_000", ".inf", "-.INF", ".NaN", "9" * 16, "1e999"])
def test_numbers_that_are_refused(written: str) -> None:
    found = mistakes(BASE + f"limits:\n  a: {{seats: {written}}}\n")
    assert [(e.line, e.path) for e in found] == [(5, "limits.a.seats")]


def test_keys_are_texts_whatever_they_look_like() -> None:
    assert data("1: a\non: b\n~: c\n") == {"1": "a", "on": "b", "~": "c"}


def test_the_environment_fills_values() -> None:
    text = "a: ${A}\nb: x-${B:-y}-${A}\nc: '${C:-}'\nd: ${E:-full}\n"
    assert data(text, A="1", E="") == {"a": "1", "b": "x-y-1", "c": "", "d": "full"}


def test_what_the_environment_gave_is_not_read_again() -> None:
    assert data("a: ${A}\n", A="${B} *x {y: 1}") == {"a": "${B} *x {y: 1}"}


def test_every_unset_name_is_told() -> None:
    found = mistakes(BASE + "tenants:\n  default: ${A}-${B}\n")
    assert [e.problem for e in found] == ["${A} is not set", "${B} is not set"]


SNIPPETS = """\
version: 1|upstreams:|limits:|routes:|progress:|tenants:|- |a: |{|}|[|]|, |: |&x |*x|!!str |'|"|? |<<: |${A}|${|%|é|\x00
|\t|\n|\n  |\n    |---|url: http://h|seats: |rate: 5/s|match: |upstream: a|name: |5|-1|.nan|~|true|to: http://h/{x}|\
body: |path|identify: |known: |weight: |\ud7ff|>-"""
YAMLISH = st.lists(st.sampled_from(SNIPPETS.split("|")), max_size=60).map("".join)


@settings(max_examples=400, deadline=None)
@given(YAMLISH | st.text(max_size=80), st.sampled_from(["CSafeLoader", "SafeLoader"]))
def test_no_text_crashes_the_reader(text: str, loader: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "_LOADER", getattr(yaml, loader))
        for error in mistakes(b"version: 1\n" + text.encode("utf-8", "surrogatepass"), {"A": "x"}):
            assert error.line >= 1
            assert "\n" not in error.problem + error.path + error.hint


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["5s", "5/s", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted("abc")), inner, max_size=3),
    max_leaves=6,
)
_NAMES = """version upstreams tenants limits routes progress timeouts url dialect prefix listen hosts tls identify known
weight seats rate burst per hold name match upstream operation methods path queue patience waiting retry also
status body to headers every stop_on total a b"""
KEYS = st.sampled_from(_NAMES.split())
POLICIES = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=25,
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(KEYS, POLICIES, max_size=6))
def test_no_data_crashes_the_compiler(written: dict[str, Any]) -> None:
    text = yaml.safe_dump(written, allow_unicode=True)
    mistakes(text.encode("utf-8", "surrogatepass"))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_good_policy_with_one_value_replaced_never_crashes(drawn: st.DataObject) -> None:
    written = yaml.safe_load(
        """
        version: 1
        upstreams: {a: {url: http://h, dialect: e2b, prefix: /a, listen: {address: 'h:1'}, hosts: [x], tls: {}}}
        tenants: {identify: [path, {header: X, trusted: [10.0.0.0/8]}], known: {a: {limits: {s: {seats: 1}}}}}
        limits: {s: {seats: 1}, r: {rate: 5/s, burst: 2, per: {header: X}}}
        routes: [{name: r, match: {upstream: a, operation: [create], methods: [POST], path: /x}, limits: [s],
                  queue: {patience: 1s, waiting: {total: 1}}, retry: {also: [{status: 409, body: x}]}, progress: [p]}]
        progress: {p: {to: http://h, headers: {A: b}, body: {a: 1}, stop_on: [404]}}
        timeouts: {idle: 1s}
        """
    )
    assert mistakes(yaml.safe_dump(written)) == []
    holder, key = drawn.draw(st.sampled_from(_places(written)))
    holder[key] = drawn.draw(VALUES)
    text = yaml.safe_dump(written, allow_unicode=True)
    mistakes(text.encode("utf-8", "surrogatepass"))


def _places(node: Any) -> list[tuple[Any, Any]]:
    parts = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    found = [(node, key) for key, _ in parts]
    for holder, key in list(found):
        found.extend(_places(holder[key]))
    return found
