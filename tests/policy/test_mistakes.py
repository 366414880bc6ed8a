"""Every kind of mistake of design.md §2.3: its line, its path, what is wrong, and the hint."""

from __future__ import annotations

import pytest

from tests.policy.builders import BASE, mistakes
from tests.policy.tables import LATER, LIMIT, NAMES, ROUTE, SINKS, TENANTS, UPSTREAMS, VALUES
from tests.policy.tables_kubernetes import LIMITS, LISTEN, OWN_AUTH, PODS


@pytest.mark.parametrize(
    ("text", "line", "path", "problem", "hint"),
    VALUES + UPSTREAMS + NAMES + TENANTS + SINKS + PODS + OWN_AUTH + LISTEN + LIMITS,
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
