"""A witness that remembers what it was told. Not a test."""

from __future__ import annotations

from dataclasses import dataclass, field

from proxy.dialects.translation import PassedAsItWas, PodSeen


@dataclass
class Remembering:
    """What passed, in order."""

    expecting: bool = False
    seen: list[PodSeen] = field(default_factory=list)
    changed: int = 0
    why: list[PassedAsItWas] = field(default_factory=list)

    def saw(self, pod: PodSeen) -> None:
        assert self.expecting, "nobody waits to hear of a pod"
        self.seen.append(pod)

    def rewritten(self) -> None:
        self.changed += 1

    def passed(self, why: PassedAsItWas) -> None:
        self.why.append(why)
