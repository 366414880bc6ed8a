"""Which pods tell the truth and how it is decided, as values (design.md §2.9, kubernetes.md §4)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class LabelTest(Enum):
    """What a term of a label selector asks of a label (the API server's grammar)."""

    IN = "in"
    """The label is there and has one of the values; ``k=v`` is this with one value."""
    NOT_IN = "notin"
    """The label is absent or has none of the values; ``k!=v`` is this with one value."""
    EXISTS = "exists"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class LabelTerm:
    """One term of a label selector; all terms of a selector must hold."""

    key: str
    test: LabelTest
    values: frozenset[str] = frozenset()


class Decide(Enum):
    """When several main containers decide: all are final, or any has failed (kubernetes.md §4.2, case 11)."""

    ALL = "all"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class PodRules:
    """What ``pods:`` of an upstream says. ``namespaces`` and ``labels`` must both match; annotations win over them."""

    main_containers: tuple[str, ...] = ()
    """Names in order; the mains of a pod are those of them that it has."""
    namespaces: tuple[str, ...] = ("*",)
    """Patterns with ``*``; any of them."""
    labels: tuple[LabelTerm, ...] = ()
    decide: Decide = Decide.ALL
    max_restarts: int | None = None
    """Restarts after which a crash loop counts as Failed (case 9); None: never."""
    authoritative: bool = False
    """Whether a pod that failed only because of a sidecar is Succeeded where its mains are (case 20)."""
