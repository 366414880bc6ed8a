"""Label selectors as text and as terms: ``a=b,c!=d,e in (x,y),!f,g`` (the API server's grammar, without < and >)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from proxy.domain.pods import LabelTerm, LabelTest

_TOKEN: Final = re.compile(r"\s*(==|!=|[=!(),<>]|[^\s=!(),<>]+)")
_NAME: Final = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_PREFIX: Final = r"(?=[^/]{1,253}/)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*/"
_KEY: Final = re.compile(f"(?:{_PREFIX})?{_NAME}")
_VALUE: Final = re.compile(f"(?:{_NAME})?")
_SIGNS: Final = frozenset(("==", "!=", "=", "!", "(", ")", ",", "<", ">", ""))
_END: Final = ""


class SelectorError(ValueError):
    """A label selector that cannot be read; ``hint`` says how to write it."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = 'write for example "app=agent,tier!=test,zone in (a,b),!legacy,managed"'


def parse_labels(text: str) -> tuple[LabelTerm, ...]:
    """The terms of a selector, in order; none for an empty text. SelectorError where it is none."""
    tokens = _tokens(text)
    if tokens == [_END]:
        return ()
    terms = []
    while True:
        terms.append(_term(tokens))
        comma = tokens.pop(0)
        if comma == _END:
            return tuple(terms)
        if comma != ",":
            raise SelectorError(f'"{comma}" stands where a comma or the end is expected')


def matches(terms: Iterable[LabelTerm], labels: Mapping[str, str]) -> bool:
    """Whether all terms hold; with no terms, always."""
    return all(_holds(term, labels.get(term.key)) for term in terms)


def _holds(term: LabelTerm, value: str | None) -> bool:
    match term.test:
        case LabelTest.IN:
            return value is not None and value in term.values
        case LabelTest.NOT_IN:
            return value is None or value not in term.values
        case LabelTest.EXISTS:
            return value is not None
        case LabelTest.ABSENT:
            return value is None


def _tokens(text: str) -> list[str]:
    """Signs and words, and the end."""
    return [*_TOKEN.findall(text), _END]


def _term(tokens: list[str]) -> LabelTerm:
    if tokens[0] == "!":
        tokens.pop(0)
        return LabelTerm(_key(tokens), LabelTest.ABSENT)
    key = _key(tokens)
    if tokens[0] in (_END, ","):
        return LabelTerm(key, LabelTest.EXISTS)
    match tokens.pop(0):
        case "=" | "==":
            return LabelTerm(key, LabelTest.IN, frozenset((_one_value(tokens),)))
        case "!=":
            return LabelTerm(key, LabelTest.NOT_IN, frozenset((_one_value(tokens),)))
        case "in":
            return LabelTerm(key, LabelTest.IN, _set_of_values(tokens))
        case "notin":
            return LabelTerm(key, LabelTest.NOT_IN, _set_of_values(tokens))
        case other:
            raise SelectorError(f'"{other}" stands where =, ==, !=, in or notin is expected')


def _key(tokens: list[str]) -> str:
    key = tokens.pop(0)
    if not _KEY.fullmatch(key):
        what = "the end" if key == _END else f'"{key}"'
        raise SelectorError(f"{what} stands where a label's name is expected")
    return key


def _one_value(tokens: list[str]) -> str:
    """``k=`` asks for the empty value."""
    return "" if tokens[0] in (_END, ",") else _value(tokens)


def _set_of_values(tokens: list[str]) -> frozenset[str]:
    """``(x,y)``; a value left out is the empty one, as in ``(x,)``."""
    if tokens.pop(0) != "(":
        raise SelectorError("after in and notin, values stand in brackets")
    values = set()
    while True:
        values.add("" if tokens[0] in (",", ")") else _value(tokens))
        match tokens.pop(0):
            case ")":
                return frozenset(values)
            case ",":
                pass
            case other:
                what = "the end" if other == _END else f'"{other}"'
                raise SelectorError(f"{what} stands where a comma or a closing bracket is expected")


def _value(tokens: list[str]) -> str:
    value = tokens.pop(0)
    if value in _SIGNS or not _VALUE.fullmatch(value):
        what = "the end" if value == _END else f'"{value}"'
        raise SelectorError(f"{what} stands where a label's value is expected")
    return value
