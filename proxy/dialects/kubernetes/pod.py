"""What of a pod decides whether it tells the truth, as types that its JSON is read into.

Fields that decide nothing are skipped while reading and never looked at. A pod whose deciding fields have other types
than the API server gives them cannot be read (ValueError), and is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeVar

import msgspec


class Terminated(msgspec.Struct, rename="camel", gc=False):
    """How a container ended. ``finished_at`` is RFC 3339 in UTC; null where the kubelet lost the container."""

    exit_code: int
    reason: str | None = None
    finished_at: str | None = None


class State(msgspec.Struct, gc=False):
    """What a container does, as far as it matters: whether it ended."""

    terminated: Terminated | None = None


class ContainerStatus(msgspec.Struct, rename="camel"):
    """What the kubelet reports of one container."""

    name: str
    state: State | None = None
    last_state: State | None = None
    restart_count: int = 0

    @property
    def ended(self) -> Terminated | None:
        """How it ended, where it is not running again."""
        return None if self.state is None else self.state.terminated

    @property
    def ended_before(self) -> Terminated | None:
        """How the run before this one ended."""
        return None if self.last_state is None else self.last_state.terminated


class ExitCodes(msgspec.Struct):
    """Which exit codes a restart rule is about."""

    operator: str
    values: list[int] | None = None


class RestartRule(msgspec.Struct, rename="camel"):
    """One rule of a container's ``restartPolicyRules`` (KEP-5307)."""

    action: str
    exit_codes: ExitCodes | None = None


class Container(msgspec.Struct, rename="camel"):
    """A container of the spec. ``restart_policy`` of its own: native sidecars, and since 1.34 any container."""

    name: str
    restart_policy: str | None = None
    restart_policy_rules: list[RestartRule] | None = None


class Spec(msgspec.Struct, rename="camel"):
    """What the pod is to be."""

    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    restart_policy: str | None = None


class Condition(msgspec.Struct, rename="camel", gc=False):
    """One condition of the status."""

    type: str
    status: str | None = None
    reason: str | None = None
    message: str | None = None
    last_transition_time: str | None = None


class Status(msgspec.Struct, rename="camel"):
    """What the pod is."""

    phase: str | None = None
    reason: str | None = None
    message: str | None = None
    observed_generation: int | None = None
    conditions: list[Condition] | None = None
    container_statuses: list[ContainerStatus] | None = None
    init_container_statuses: list[ContainerStatus] | None = None

    def condition(self, kind: str) -> Condition | None:
        """The condition of this type."""
        for condition in self.conditions or ():
            if condition.type == kind:
                return condition
        return None


class Annotations(msgspec.Struct, gc=False):
    """The annotations that say whether a pod is enrolled."""

    main_container: str | None = msgspec.field(default=None, name="headgate.dev/main-container")
    phase_rewrite: str | None = msgspec.field(default=None, name="headgate.dev/phase-rewrite")
    mirror: str | None = msgspec.field(default=None, name="kubernetes.io/config.mirror")


class Metadata(msgspec.Struct):
    """Which pod it is."""

    name: str | None = None
    namespace: str | None = None
    uid: str | None = None
    deletion_timestamp: str | None = msgspec.field(default=None, name="deletionTimestamp")
    labels: dict[str, str] | None = None
    annotations: Annotations | None = None


class _Object(msgspec.Struct):
    kind: str | None = None
    metadata: Metadata | None = None
    spec: Spec | None = None

    @property
    def is_pod(self) -> bool:
        """Whether it says it is a pod; items of a list do not say."""
        return self.kind is None or self.kind == "Pod"


class Pod(_Object):
    """A pod as it decides."""

    status: Status | None = None


class Outline(_Object):
    """An object before its status is read: what is no pod has another one, or none."""

    status: msgspec.Raw = msgspec.Raw(b"null")

    def pod(self) -> Pod:
        """The object as a pod; ValueError or RecursionError where its status is not a pod's."""
        return Pod(self.kind, self.metadata, self.spec, _STATUS.decode(self.status))


_Named = TypeVar("_Named", Container, ContainerStatus)
_OUTLINE: Final = msgspec.json.Decoder(Outline)
_STATUS: Final = msgspec.json.Decoder(Status | None)


def outline_of(raw: bytes) -> Outline:
    """The object in this JSON; ValueError or RecursionError where there is none, or its parts are not a pod's."""
    return _OUTLINE.decode(raw)


def pod_of(document: object) -> Pod:
    """The pod in this parsed JSON; ValueError where there is none."""
    return msgspec.convert(document, Pod)


def named(items: Iterable[_Named] | None, name: str) -> _Named | None:
    """The first of this name, as the kubelet looks them up."""
    for item in items or ():
        if item.name == name:
            return item
    return None
