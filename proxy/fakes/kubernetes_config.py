"""How a fake Kubernetes API server is set up: one frozen value. The defaults are a quick, large, honest cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from proxy.fakes.kubernetes_faults import Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesConfig:
    """The server and its only node. Seconds everywhere."""

    certificate: Path | None = None
    """PEM file with certificate and key; without it the server speaks plain HTTP."""
    version: str = "v1.34.2"
    tokens: Mapping[str, str] | None = None
    """Bearer token to user name; ``None`` lets everybody in."""

    latency: Mapping[str, float] = field(default_factory=dict)
    """By operation (``create``, ``get``, ``list``, ``watch``, ``patch/status`` ...): how long it takes before it is
    carried out."""
    max_reading: int | None = None
    max_writing: int | None = None
    """Requests carried out at once that read, and that write; one more gets the 429 that is no Status. Watches and
    streams are not counted."""
    quota: Mapping[str, int] = field(default_factory=dict)
    """By namespace: pods whose true phase is not terminal; one more gets a 403."""
    faults: tuple[Fault, ...] = ()

    history: int = 10_000
    """Events that are remembered; whoever asks for an older resourceVersion gets 410 ``Expired``."""
    bookmark_seconds: float = 60.0
    """How often a watch that allows bookmarks gets one."""
    watch_seconds: float = 1800.0
    """How long a watch lives that does not say so itself."""

    kubelet: bool = True
    """Whether there is a node. Without one pods stay as they are stored, until somebody writes their ``/status``."""
    schedule_seconds: float = 0.0
    start_seconds: float = 0.0
    ready_seconds: float = 0.0
    """From creation until the pod has a node; from then until its containers run; from then until they are ready."""
    restart_seconds: float = 10.0
    """How long a container that is to be restarted waits in ``CrashLoopBackOff``."""
    stop_seconds: float = 0.0
    """How long containers take to end when their pod is deleted; never longer than its grace period."""
    seed: int | None = None
    """Makes uids and generated names repeatable."""
