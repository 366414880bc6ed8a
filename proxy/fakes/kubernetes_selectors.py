"""Label and field selectors as the API server reads them (kubernetes.md §5)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from proxy.fakes.kubernetes_model import Pod
from proxy.fakes.kubernetes_status import refuse

Test = Callable[[Pod], bool]

_SET: Final = re.compile(r"(?P<key>\S+)\s+(?P<test>in|notin)\s*\((?P<values>[^()]*)\)")
_PAIR: Final = re.compile(r"(?P<key>[^\s=!<>]+)\s*(?P<test>==|=|!=|>|<)\s*(?P<value>[^\s=!<>]*)")
_BARE: Final = re.compile(r"(?P<no>!?)\s*(?P<key>[^\s=!<>()]+)")
_COMMA: Final = re.compile(r",(?![^()]*\))")
"""A comma that does not stand in parentheses."""

_FIELDS: Final[dict[str, Callable[[Pod], Any]]] = {
    "metadata.name": lambda pod: pod["metadata"]["name"],
    "metadata.namespace": lambda pod: pod["metadata"]["namespace"],
    "spec.nodeName": lambda pod: pod["spec"].get("nodeName"),
    "spec.restartPolicy": lambda pod: pod["spec"].get("restartPolicy"),
    "spec.schedulerName": lambda pod: pod["spec"].get("schedulerName"),
    "spec.serviceAccountName": lambda pod: pod["spec"].get("serviceAccountName"),
    "spec.hostNetwork": lambda pod: str(bool(pod["spec"].get("hostNetwork"))).lower(),
    "status.phase": lambda pod: pod["status"].get("phase"),
    "status.podIP": lambda pod: pod["status"].get("podIP"),
    "status.nominatedNodeName": lambda pod: pod["status"].get("nominatedNodeName"),
}


def parse(labels: str, fields: str) -> Test:
    """What a request selects; ``Refused`` with a 400 for what the server cannot read."""
    tests = [_label(term) for term in _COMMA.split(labels) if term.strip()]
    tests += [_field(term, fields) for term in _unescaped_commas(fields) if term]
    return lambda pod: all(test(pod) for test in tests)


def _labels(pod: Pod) -> dict[str, str]:
    return pod["metadata"].get("labels") or {}


def _label(term: str) -> Test:
    text = term.strip()
    if found := _SET.fullmatch(text):
        values = frozenset(value.strip() for value in found["values"].split(","))
        key = found["key"]
        if found["test"] == "in":
            return lambda pod: _labels(pod).get(key) in values
        return lambda pod: _labels(pod).get(key) not in values
    if found := _PAIR.fullmatch(text):
        return _pair(found["key"], found["test"], found["value"])
    if found := _BARE.fullmatch(text):
        key, absent = found["key"], bool(found["no"])
        return lambda pod: (key in _labels(pod)) is not absent
    refuse(400, "BadRequest", f"unable to parse requirement: found '{text}', expected: a label selector")


def _pair(key: str, test: str, value: str) -> Test:
    if test in ("=", "=="):
        return lambda pod: _labels(pod).get(key) == value
    if test == "!=":
        return lambda pod: _labels(pod).get(key) != value
    bound, sign = int(value), 1 if test == ">" else -1

    def beyond(pod: Pod) -> bool:
        label = _labels(pod).get(key, "")
        return label.lstrip("-").isdigit() and (int(label) - bound) * sign > 0

    return beyond


def _unescaped_commas(text: str) -> list[str]:
    """The terms of a field selector; a backslash takes the next character as it is."""
    return re.split(r"(?<!\\),", text)


def _field(term: str, whole: str) -> Test:
    found = re.fullmatch(r"(?P<key>[^=!]*)(?P<test>!=|==|=)(?P<value>.*)", term, re.DOTALL)
    if found is None:
        refuse(400, "BadRequest", f"invalid selector: '{whole}'; can't understand '{term}'")
    read = _FIELDS.get(found["key"])
    if read is None:
        refuse(400, "BadRequest", f"field label not supported: {found['key']}")
    value, equal = re.sub(r"\\(.)", r"\1", found["value"]), found["test"] != "!="
    return lambda pod: ((read(pod) or "") == value) is equal
