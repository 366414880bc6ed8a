"""The transform for a reply with pods: one, a list of them, or a watch, in whichever form they were asked for. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from proxy.dialects.kubernetes.accept import AS_THEY_ARE, Asked
from proxy.dialects.kubernetes.brief import fields_of
from proxy.dialects.kubernetes.items import EachItem, Items, Member
from proxy.dialects.kubernetes.routes import PodRoute
from proxy.dialects.kubernetes.selectors import PhaseTest
from proxy.dialects.kubernetes.tables import ChosenPods, ChosenRows, Include, MetadataView, Rows, TableView
from proxy.dialects.kubernetes.truth import Teller
from proxy.dialects.kubernetes.values import Values
from proxy.dialects.kubernetes.watch import ChosenEvents, Events, Known, View, WholePods
from proxy.dialects.kubernetes.whole import Whole
from proxy.dialects.translation import Transform, Witness
from proxy.domain.pods import PodRules

_ITEMS: Final = b"items"
_ROWS: Final = b"rows"
_COUNT: Final = "remainingItemCount"


@dataclass(frozen=True, slots=True)
class Choice:
    """What of a collection goes on where its request has a phase selector, and in which form."""

    test: PhaseTest
    form: Asked = AS_THEY_ARE
    include: Include = Include.METADATA


def transform(route: PodRoute, streams: bool, choice: Choice | None, rules: PodRules, witness: Witness) -> Transform:
    """What changes the body of a reply with pods; ``streams`` where it is a list or a watch."""
    teller = Teller(rules, witness)
    if route.watch and choice is not None:
        known = Known(resumed=route.resumed)
        return Values(ChosenEvents(teller, _view(choice), choice.test, known), _never, witness, chooses=True)
    if route.watch:
        return Values(Events(teller), teller.indifferent, witness)
    if not streams:
        return Whole(teller.tell, witness)
    if choice is None:
        return Items({_ITEMS: teller.tell, _ROWS: None}, {}, witness)
    return _chosen_list(teller, choice, witness)


def _chosen_list(teller: Teller, choice: Choice, witness: Witness) -> Items:
    """A server that knows no Tables answers with pods, so there is something for both."""
    version = choice.form.version if choice.form.form == "metadata" else None
    arrays: Mapping[bytes, EachItem | None] = {
        _ITEMS: ChosenPods(teller, choice.test, version),
        _ROWS: ChosenRows(teller, Rows(choice.include, choice.form.version), choice.test),
    }
    members: dict[bytes, Member] = {b"metadata": _without_count}
    if version is not None:
        members[b"kind"] = _instead_of(b'"PodList"', b'"PartialObjectMetadataList"')
        members[b"apiVersion"] = _instead_of(b'"v1"', f'"meta.k8s.io/{version}"'.encode("ascii"))
    return Items(arrays, members, witness, chooses=True)


def _view(choice: Choice) -> View:
    match choice.form.form:
        case "table":
            return TableView(Rows(choice.include, choice.form.version))
        case "metadata":
            return MetadataView(choice.form.version)
        case "object":
            return WholePods()


def _without_count(metadata: bytes) -> bytes:
    """A list's metadata without how many items remain: how many of them would match, nobody knows."""
    try:
        fields = fields_of(metadata)
    except (ValueError, RecursionError):
        return metadata
    if _COUNT not in fields:
        return metadata
    del fields[_COUNT]
    return msgspec.json.encode(fields)


def _instead_of(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda value: new if value == old else value


def _never(data: bytes) -> bool:
    """Where a selector chooses, every event needs a look."""
    return False
