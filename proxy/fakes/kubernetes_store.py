"""All pods of a fake cluster, their history, and who watches them. Nothing here waits or knows HTTP.

Every change has a resourceVersion of its own and is remembered as an event with the pod before and after it: from that
come watches that resume, and pages of one list that all show the same moment.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from proxy.fakes.kubernetes_model import Pod, ordered
from proxy.fakes.kubernetes_status import already_exists, conflict, expired, not_found, too_large
from proxy.fakes.server import Refused

Key = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True)
class Event:
    """One change. ``before`` is ``None`` for a create, ``after`` for a removal."""

    version: int
    key: Key
    before: Pod | None
    after: Pod | None

    def last(self) -> Pod:
        """The pod as it was before, with the resourceVersion of this change: how a watch shows that it is gone."""
        assert self.before is not None  # what was not there cannot be gone
        return _versioned(self.before, self.version)


class Store:
    """Pods by namespace and name. The first resourceVersion is 1."""

    def __init__(self, history: int) -> None:
        self._pods: dict[Key, Pod] = {}
        self._events: deque[Event] = deque(maxlen=history)
        self._watchers: list[Callable[[Event], None]] = []
        self.version = 1
        self.oldest = 1
        """The oldest resourceVersion from which a watch can resume."""

    def __iter__(self) -> Iterator[Pod]:
        return iter([self._pods[key] for key in sorted(self._pods)])

    def get(self, namespace: str, name: str) -> Pod:
        """The pod; raises ``Refused`` with a 404."""
        found = self._pods.get((namespace, name))
        if found is None:
            raise Refused(not_found(name))
        return found

    def find(self, key: Key, uid: str) -> Pod | None:
        """The pod of this name if it is still the same one."""
        found = self._pods.get(key)
        return found if found is not None and found["metadata"]["uid"] == uid else None

    def add(self, pod: Pod) -> Pod:
        """Store a new pod; raises ``Refused`` with the 409 of a name that is taken."""
        key = key_of(pod)
        if key in self._pods:
            raise Refused(already_exists(key[1]))
        return self._commit(key, None, pod)

    def replace(self, pod: Pod) -> Pod:
        """Store a change of a pod that is there. A change that changes nothing is none, as in the real one."""
        key = key_of(pod)
        before = self.get(*key)
        asked = pod["metadata"].get("resourceVersion")
        if asked and asked != before["metadata"]["resourceVersion"]:
            why = "the object has been modified; please apply your changes to the latest version and try again"
            raise Refused(conflict(key[1], why))
        unchanged = _versioned(pod, int(before["metadata"]["resourceVersion"])) == before
        return before if unchanged else self._commit(key, before, pod)

    def remove(self, key: Key) -> Pod:
        """The pod is gone; returns it as it was last."""
        before = self.get(*key)
        return self._commit(key, before, None)

    def at(self, version: int) -> list[Pod]:
        """Every pod as it was then, by namespace and name. ``Refused`` with 410 where that is forgotten."""
        self._check(version)
        pods = dict(self._pods)
        for event in reversed(self._events):
            if event.version <= version:
                break
            if event.before is None:
                pods.pop(event.key, None)
            else:
                pods[event.key] = event.before
        return [pods[key] for key in sorted(pods)]

    def since(self, version: int) -> list[Event]:
        """What has happened after that resourceVersion. ``Refused`` with 410, or 504 for one from the future."""
        self._check(version)
        return [event for event in self._events if event.version > version]

    def forget(self) -> None:
        """Compact: nothing before now is remembered."""
        self._events.clear()
        self.oldest = self.version

    def watch(self, watcher: Callable[[Event], None]) -> Callable[[], None]:
        """Tell ``watcher`` of every change from now on; returns what ends that."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def _check(self, version: int) -> None:
        if version < self.oldest:
            raise Refused(expired(version, self.oldest))
        if version > self.version:
            raise Refused(too_large(version, self.version))

    def _commit(self, key: Key, before: Pod | None, after: Pod | None) -> Pod:
        self.version += 1
        event = Event(self.version, key, before, None if after is None else _versioned(after, self.version))
        if event.after is None:
            del self._pods[key]
        else:
            self._pods[key] = event.after
        if len(self._events) == self._events.maxlen:
            self.oldest = self._events[0].version
        self._events.append(event)
        for watcher in list(self._watchers):
            watcher(event)
        return event.last() if event.after is None else event.after


def key_of(pod: Pod) -> Key:
    """Namespace and name of a pod."""
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


def _versioned(pod: Pod, version: int) -> Pod:
    return pod | {"metadata": ordered(pod["metadata"] | {"resourceVersion": str(version)})}
