"""A pod that tells the truth: the phase its mains give it, marked so that it can be undone (kubernetes.md §4.3).

Only ``phase``, ``reason``, ``message`` and ``conditions`` of the status change. Everything else passes as it came, byte
for byte: what is not looked at is not parsed, so fields nobody knows and numbers of any size survive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from proxy.dialects.kubernetes.brief import fields_of
from proxy.dialects.kubernetes.mark import CONDITION, REASONS, Before, Was, written
from proxy.dialects.kubernetes.phase import TERMINAL, Verdict, verdict
from proxy.dialects.kubernetes.pod import Pod, Status, outline_of, pod_of
from proxy.dialects.translation import LONGEST_WHOLE, PodSeen, PodState, Witness
from proxy.domain.pods import PodRules

_ENDED: Final = b'"terminated'
_LAST: Final = (b',"status":', b',"status": ', b'{"status":')
_READY: Final = ("Ready", "ContainersReady")
_CONDITIONS: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]] | None)
_ENCODER: Final = msgspec.json.Encoder()


def told(pod: Mapping[str, Any], rules: PodRules) -> dict[str, Any] | None:
    """The pod as it is told; None: as it is. Shares with its argument what does not change, and never changes it."""
    try:
        seen = pod_of(pod)
        found = verdict(seen, rules) if seen.is_pod else None
        if found is None or seen.status is None:
            return None
        status = pod["status"]
        return {**pod, "status": _told_status(status, status.get("conditions") or (), seen.status, found)}
    except ValueError:
        return None


def state_of(pod: Pod, rules: PodRules) -> PodState:
    """The pod as ``hold: ready`` sees it. What is being deleted is over; what is not enrolled, in a terminal phase."""
    if pod.metadata is not None and pod.metadata.deletion_timestamp:
        return "over"
    if pod.status is None:
        return "starting"
    if pod.status.phase in TERMINAL or verdict(pod, rules) is not None:
        return "over"
    ready = pod.status.condition("Ready")
    return "ready" if ready is not None and ready.status == "True" else "starting"


class Teller:
    """Tells pods as they are told by these rules, one at a time; says to the witness what it saw and did."""

    __slots__ = ("_rules", "_witness")

    def __init__(self, rules: PodRules, witness: Witness) -> None:
        self._rules = rules
        self._witness = witness

    def tell(self, raw: bytes, *, gone: bool = False) -> bytes:
        """The JSON of one object as it is to be told: the same object where nothing changes. Never raises.

        ``gone``: it is the last state of a pod that was deleted, which only the witness hears differently.
        """
        may_change = self._may_change(raw)
        if not may_change and not self._witness.expecting:
            return raw
        if len(raw) > LONGEST_WHOLE:
            if may_change:
                self._witness.passed("too-big")
            return raw
        try:
            return self.read(raw, gone=gone)
        except (ValueError, RecursionError):
            if may_change:
                self._witness.passed("broken")
            return raw

    def indifferent(self, raw: bytes) -> bool:
        """Whether no pod in these bytes needs a look, be they one object or many."""
        return not self._may_change(raw) and not self._witness.expecting

    def _may_change(self, raw: bytes) -> bool:
        # rfind: the statuses are at the end, and it is three times as fast as `in` on JSON
        return raw.rfind(_ENDED) >= 0 or self._rules.max_restarts is not None

    def read(self, raw: bytes, *, gone: bool) -> bytes:
        """As :meth:`tell`; ValueError or RecursionError where it is not one whole object that can be a pod."""
        outline = outline_of(raw)
        if not outline.is_pod:
            return raw
        pod = outline.pod()
        if self._witness.expecting:
            self._see(pod, gone=gone)
        found = verdict(pod, self._rules)
        if found is None or pod.status is None:
            return raw
        changed = _spliced(raw, bytes(outline.status), pod.status, found)
        self._witness.rewritten()
        return changed

    def _see(self, pod: Pod, *, gone: bool) -> None:
        """A bookmark's pod has no name."""
        metadata = pod.metadata
        if metadata is not None and metadata.name:
            state = "gone" if gone else state_of(pod, self._rules)
            self._witness.saw(PodSeen(metadata.namespace or "", metadata.name, metadata.uid or "", state))


def _spliced(raw: bytes, old: bytes, seen: Status, found: Verdict) -> bytes:
    """The object with another status. Go writes the status last, so that all before it keeps its bytes."""
    fields = fields_of(old)
    conditions = _CONDITIONS.decode(fields["conditions"]) if "conditions" in fields else None
    new = _ENCODER.encode(_told_status(fields, conditions or (), seen, found))
    end = len(raw) - (2 if raw.endswith(b"}\n") else 1)
    start = end - len(old)
    if raw.startswith(old, start) and raw.endswith(_LAST, 0, start):
        return b"".join((raw[:start], new, raw[end:]))
    return _ENCODER.encode({**fields_of(raw), "status": msgspec.Raw(new)})


def _told_status(
    status: Mapping[str, Any], conditions: Sequence[Mapping[str, Any]], seen: Status, found: Verdict
) -> dict[str, Any]:
    """The status as it is told. The values of ``status`` and ``conditions`` are not looked at: ``seen`` tells them."""
    said = {**status, "phase": found.phase}
    unsaid = not seen.reason and not seen.message
    if unsaid:
        said["reason"] = found.reason
        said["message"] = found.message
    before: dict[str, Was] = {}
    listed: list[Mapping[str, Any]] = []
    place = len(conditions)
    for number, (condition, shown) in enumerate(zip(conditions, seen.conditions or (), strict=True)):
        if shown.type in _READY and shown.status == "False" and shown.type not in before:
            before[shown.type] = Was(shown.reason, shown.message)
            condition = {key: value for key, value in condition.items() if key != "message"}
            condition["reason"] = REASONS[found.phase]
        elif shown.type == CONDITION:
            place = number
        listed.append(condition)
    listed[place : place + 1] = [_mark(seen, found, Before(seen.phase or "", unsaid, before))]
    said["conditions"] = listed
    return said


def _mark(seen: Status, found: Verdict, before: Before) -> dict[str, Any]:
    """Our condition. Where the main's end has no time, Ready's last change is the next best the pod knows."""
    ready = seen.condition("Ready")
    since = found.since or (None if ready is None else ready.last_transition_time)
    mark: dict[str, Any] = {"type": CONDITION}
    if seen.observed_generation is not None:
        mark["observedGeneration"] = seen.observed_generation
    mark["status"] = "True"
    mark["lastProbeTime"] = None
    mark["lastTransitionTime"] = since
    mark["reason"] = found.cause
    mark["message"] = written(found.message, before)
    return mark
