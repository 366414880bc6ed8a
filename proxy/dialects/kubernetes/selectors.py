"""``fieldSelector`` with terms on ``status.phase``: taken out of the query, to be tested here (kubernetes.md §5). Pure.

The API server would test the phase that it knows. The grammar is that of ``ParseSelector`` in k8s.io/apimachinery
v0.34.2: terms at unescaped commas, in each the first of ``!=``, ``==``, ``=``; a value escapes comma, ``=`` and
backslash with a backslash. A selector that it would refuse goes to it as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from proxy.dialects.kubernetes.query import first, with_value

_PHASE: Final = b"status.phase"
_UNIT: Final = re.compile(rb"%[0-9A-Fa-f]{2}|.", re.DOTALL)
_TERM: Final = re.compile(rb"(.*?)(!=|==|=)(.*)", re.DOTALL)
_VALUE: Final = re.compile(rb"(?:[^\\,=]|\\[\\,=])*", re.DOTALL)
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PhaseTest:
    """What a selector asks of a pod's phase; all of it must hold."""

    equal: frozenset[str]
    unequal: frozenset[str]

    def holds(self, phase: str) -> bool:
        """Whether a pod in this phase (empty: it has none) is selected."""
        return self.equal <= {phase} and phase not in self.unequal


@dataclass(frozen=True, slots=True)
class _Term:
    raw: bytes
    """As it stands in the query."""
    key: bytes
    negated: bool
    value: bytes


def without_phase(query: bytes) -> tuple[bytes, PhaseTest] | None:
    """The query without its terms on the phase, and what they ask; None where there are none, or it is refused.

    Every other byte of the query stays, the other terms' too. The parameter itself stays even when it is empty,
    which selects everything: a second one of the name must not begin to count.
    """
    found = first(query, "fieldSelector")
    if found is None or _PHASE not in found.value:
        return None
    terms = [_term(raw) for raw in _split(query[found.at : found.end])]
    kept: list[_Term] = []
    tests: list[_Term] = []
    for term in terms:
        if term is None:
            return None
        (tests if term.key == _PHASE else kept).append(term)
    if not tests:
        return None
    asked = [(term.negated, term.value.decode("utf-8", "replace")) for term in tests]
    test = PhaseTest(
        frozenset(value for negated, value in asked if not negated),
        frozenset(value for negated, value in asked if negated),
    )
    return with_value(query, "fieldSelector", b",".join(term.raw for term in kept)), test


def _split(raw: bytes) -> list[bytes]:
    """The terms as they stand in the query, empty ones left out as the server does."""
    terms: list[bytes] = []
    current: list[bytes] = []
    escaped = False
    for unit in _UNIT.findall(raw):
        said = unquote_to_bytes(unit)
        if said == b"," and not escaped:
            terms.append(b"".join(current))
            current = []
            continue
        escaped = said == b"\\" and not escaped
        current.append(unit)
    terms.append(b"".join(current))
    return [term for term in terms if term]


def _term(raw: bytes) -> _Term | None:
    """One term; None where the server refuses it."""
    found = _TERM.fullmatch(unquote_to_bytes(raw.replace(b"+", b" ")))
    if found is None or not _VALUE.fullmatch(found[3]):
        return None
    return _Term(raw, found[1], found[2] == b"!=", _ESCAPED.sub(rb"\1", found[3]))
