"""Events of a watch: the pods in them tell the truth, and a phase selector is answered here (kubernetes.md §1.3, §5).

Only ADDED, MODIFIED and DELETED carry a pod as it is. A BOOKMARK carries a near-empty one, whose annotation ends the
initial events of a WatchList, and an ERROR a Status: both always go on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from proxy.dialects.kubernetes.brief import brief_of, fields_of
from proxy.dialects.kubernetes.selectors import PhaseTest

_PODS: Final = frozenset({"ADDED", "MODIFIED", "DELETED"})
_MEMBERS: Final = frozenset({"type", "object"})
_USUAL: Final = re.compile(rb'\{"type":"(ADDED|MODIFIED|DELETED)","object":(?=\{)')
"""How the API server begins an event with a pod; then comes the pod, and ``}``."""
_TEXT: Final = msgspec.json.Decoder(str)
_ENCODER: Final = msgspec.json.Encoder()


class Tells(Protocol):
    """Who tells one pod (:class:`proxy.dialects.kubernetes.truth.Teller`)."""

    def read(self, raw: bytes, *, gone: bool) -> bytes:
        """As :meth:`tell`; ValueError or RecursionError where it is not one whole object that can be a pod."""

    def tell(self, raw: bytes, *, gone: bool = False) -> bytes:
        """The JSON of one object as it is told; the same object where nothing changes."""


class View(Protocol):
    """The form in which a stream shows its pods: whole, as metadata, or as a row of a Table.

    Every method raises ValueError or RecursionError where the object has another form.
    """

    def pod(self, shown: bytes) -> bytes:
        """The pod in an event's object."""

    def showing(self, shown: bytes, told: bytes) -> bytes:
        """The object for an event that goes on; ``told`` is its pod. The same object where nothing changes."""

    def bookmark(self, shown: bytes) -> bytes:
        """The object of a bookmark."""

    def missed(self, shown: bytes) -> None:
        """An event with this object does not go on."""


class Event:
    """One event, its members in their order and as they came."""

    __slots__ = ("_fields", "kind", "shown")

    def __init__(self, raw: bytes) -> None:
        """ValueError or RecursionError where this is no event."""
        self._fields = fields_of(raw)
        if not self._fields.keys() >= _MEMBERS:
            raise ValueError("no event")
        self.kind = _TEXT.decode(self._fields["type"])
        self.shown = bytes(self._fields["object"])

    def having(self, kind: str, shown: bytes) -> bytes:
        """The event of this type and with this object, on one line."""
        fields: Mapping[str, object] = {**self._fields, "type": kind, "object": msgspec.Raw(shown)}
        out = _ENCODER.encode(fields)
        return msgspec.json.format(out, indent=-1) if b"\n" in out else out


class Events:
    """What happens to each event where no phase selector is."""

    __slots__ = ("_teller",)

    def __init__(self, teller: Tells) -> None:
        self._teller = teller

    def __call__(self, raw: bytes) -> bytes:
        """The event as it goes on, the same object where nothing changes (see ``values.Each``)."""
        usual = _USUAL.match(raw)
        if usual is not None and raw.endswith(b"}") and b"\n" not in raw:
            told = self._at_once(raw, usual.end(), gone=usual[1] == b"DELETED")
            if told:
                return told
        event = Event(raw)
        if event.kind not in _PODS:
            return raw
        told = self._teller.tell(event.shown, gone=event.kind == "DELETED")
        return raw if told is event.shown else event.having(event.kind, told)

    def _at_once(self, raw: bytes, start: int, *, gone: bool) -> bytes:
        """The same without a look at the event around its object; nothing where that is not all there is to see.

        Where the bytes up to the last ``}`` are one object, the event is what it begins like.
        """
        shown = raw[start:-1]
        try:
            told = self._teller.read(shown, gone=gone)
        except (ValueError, RecursionError):
            return b""
        return raw if told is shown else b"%b%b}" % (raw[:start], told)


class ChosenEvents:
    """What happens to each event where a phase selector chooses among the pods."""

    __slots__ = ("_known", "_teller", "_test", "_view")

    def __init__(self, teller: Tells, view: View, test: PhaseTest, known: Known) -> None:
        self._teller = teller
        self._view = view
        self._test = test
        self._known = known

    def __call__(self, raw: bytes) -> bytes:
        """The event as it goes on, nothing where it does not (see ``values.Each``)."""
        event = Event(raw)
        if event.kind in _PODS:
            return self._chosen(raw, event)
        shown = self._view.bookmark(event.shown) if event.kind == "BOOKMARK" else event.shown
        return raw if shown is event.shown else event.having(event.kind, shown)

    def _chosen(self, raw: bytes, event: Event) -> bytes:
        told = self._teller.tell(self._view.pod(event.shown), gone=event.kind == "DELETED")
        brief = brief_of(told)
        kind = self._known.turned(event.kind, brief.key, matches=self._test.holds(brief.phase))
        if kind is None:
            self._view.missed(event.shown)
            return b""
        shown = self._view.showing(event.shown, told)
        return raw if shown is event.shown and kind == event.kind else event.having(kind, shown)


class Known:
    """Which of a stream's pods its caller knows, and so what an event is to them (the table of kubernetes.md §5).

    A caller who resumes from a version may know pods from before. Which, nobody here can tell, so each is taken as
    known until something is heard of it: a DELETED too many is ignored, one too few is a leak.
    """

    __slots__ = ("_pods", "_resumed")

    def __init__(self, *, resumed: bool) -> None:
        self._resumed = resumed
        self._pods: dict[tuple[str, str], bool] = {}
        """Without the ones of which no more is known than of those never heard of."""

    @property
    def size(self) -> int:
        """How many pods are remembered."""
        return len(self._pods)

    def turned(self, kind: str, pod: tuple[str, str], *, matches: bool) -> str | None:
        """The type under which an event goes on; None where it does not."""
        known = self._pods.get(pod, self._resumed and kind != "ADDED")
        if kind == "DELETED":
            self._pods.pop(pod, None)
            return kind if known else None
        if matches or self._resumed:
            self._pods[pod] = matches
        else:
            self._pods.pop(pod, None)
        if matches:
            return "MODIFIED" if known and kind == "MODIFIED" else "ADDED"
        return "DELETED" if known else None


class WholePods:
    """The view of a stream that shows pods as they are."""

    __slots__ = ()

    def pod(self, shown: bytes) -> bytes:
        return shown

    def showing(self, shown: bytes, told: bytes) -> bytes:
        return told

    def bookmark(self, shown: bytes) -> bytes:
        return shown

    def missed(self, shown: bytes) -> None:
        pass
