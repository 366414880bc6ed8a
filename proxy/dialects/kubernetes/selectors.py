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
_RAW_TERM: Final = re.compile(
    rb"((?:[^,\\%]|%(?!2[Cc]|5[Cc])..|(?:\\|%5[Cc])(?:%..|.)?)++)|(?:,|%2[Cc])",
    re.DOTALL,
)
"""What is between two unescaped commas, in a query whose escapes are whole; or a comma, whose group is empty."""
_PLAIN_TERM: Final = re.compile(rb"(?!status\.phase)[A-Za-z0-9./_-]+(?:!=|==?)[A-Za-z0-9./_-]*")
"""One that the server takes, and that is not on the phase: most are, and need no closer look."""
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


def without_phase(query: bytes) -> tuple[bytes, PhaseTest] | None:
    """The query without its terms on the phase, and what they ask; None where there are none, or it is refused.

    Every other byte of the query stays, the other terms' too. The parameter itself stays even when it is empty,
    which selects everything: a second one of the name must not begin to count.
    """
    found = first(query, "fieldSelector")
    if found is None or _PHASE not in found.value:
        return None
    kept: list[bytes] = []
    equal: list[bytes] = []
    unequal: list[bytes] = []
    for raw in _split(found.raw):
        if _PLAIN_TERM.fullmatch(raw):
            kept.append(raw)
            continue
        term = _TERM.fullmatch(unquote_to_bytes(raw.replace(b"+", b" ")))
        if term is None or not _VALUE.fullmatch(term[3]):
            return None
        if term[1] != _PHASE:
            kept.append(raw)
        else:
            (unequal if term[2] == b"!=" else equal).append(_ESCAPED.sub(rb"\1", term[3]))
    if not (equal or unequal):
        return None
    return with_value(query, "fieldSelector", b",".join(kept)), PhaseTest(_texts(equal), _texts(unequal))


def _split(raw: bytes) -> list[bytes]:
    """The terms as they stand in the query, empty ones left out as the server does."""
    return [term for term in _RAW_TERM.findall(raw) if term]


def _texts(values: list[bytes]) -> frozenset[str]:
    return frozenset(value.decode("utf-8", "replace") for value in values)
