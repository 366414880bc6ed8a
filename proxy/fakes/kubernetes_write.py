"""Changing pods: create, update, patch, delete, evict (kubernetes.md §1.1, §6.1, §9.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from proxy.fakes import kubernetes_patch as patches
from proxy.fakes.clock import Clock
from proxy.fakes.kubernetes_ask import Ask
from proxy.fakes.kubernetes_config import KubernetesConfig
from proxy.fakes.kubernetes_model import TERMINAL, Namer, Pod, marked, new_pod, ordered, stamp
from proxy.fakes.kubernetes_read import view_of
from proxy.fakes.kubernetes_seen import Seen
from proxy.fakes.kubernetes_status import JSON, conflict, invalid, not_allowed, over_quota, refuse, success
from proxy.fakes.kubernetes_store import Store, key_of
from proxy.fakes.server import Refused, Reply

_KEPT: Final = ("name", "generateName", "namespace", "uid", "generation", "creationTimestamp")
_KEPT_TOO: Final = ("deletionTimestamp", "deletionGracePeriodSeconds")
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_BAD_NAME: Final = (
    'Invalid value: "%s": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '
    "'-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for "
    "validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_TRIES: Final = 8
"""How often the server tries another name for a ``generateName`` (KEP-4420)."""


class Writing:
    """The handlers of POST, PUT, PATCH and DELETE."""

    def __init__(self, config: KubernetesConfig, clock: Clock, store: Store, seen: Seen) -> None:
        self._config, self._clock, self._store, self._seen = config, clock, store, seen
        self._namer = Namer(config.seed)

    async def create(self, ask: Ask) -> Reply:
        """201 with the pod, in phase Pending."""
        body = ask.document()
        metadata = body.get("metadata") or {}
        if not ask.namespace or ask.name:
            raise Refused(not_allowed())
        if metadata.get("namespace", ask.namespace) != ask.namespace:
            message = "the namespace of the provided object does not match the namespace sent on the request"
            refuse(400, "BadRequest", message)
        if body.get("kind", "Pod") != "Pod":
            kind = body["kind"]
            message = f'{kind} in version "v1" cannot be handled as a Pod: converting (v1.{kind}) to (core.Pod)'
            refuse(400, "BadRequest", f"{message}: unknown conversion")
        name = str(metadata.get("name") or "")
        if not name and not metadata.get("generateName"):
            raise Refused(invalid("", "metadata.name", "Required value: name or generateName is required"))
        if name and not _NAME.fullmatch(name):
            raise Refused(invalid(name, "metadata.name", _BAD_NAME % name, "FieldValueInvalid"))
        if not (body.get("spec") or {}).get("containers"):
            raise Refused(invalid(name, "spec.containers", "Required value"))
        self._check_quota(ask.namespace, name or metadata["generateName"])
        pod = self._stored(body, ask, name)
        return Reply(201, view_of(ask, self._clock).one(pod), {}, JSON)

    def _stored(self, body: Mapping[str, Any], ask: Ask, name: str) -> Pod:
        """The pod that this create makes; with ``dryRun`` it is not stored."""
        for left in reversed(range(1 if name else _TRIES)):
            given = name or self._namer.name(body["metadata"]["generateName"])
            pod = new_pod(body, ask.namespace, given, self._namer.uid(), self._clock.wall())
            if ask.parameter("dryRun"):
                return pod
            try:
                pod = self._store.add(pod)
            except Refused:
                if not left:
                    raise
                continue
            self._seen.created.append(f"{ask.namespace}/{given}")
            return pod
        raise AssertionError("the last try either stores or raises")

    def _check_quota(self, namespace: str, name: str) -> None:
        most = self._config.quota.get(namespace)
        if most is None:
            return
        mine = (pod for pod in self._store if pod["metadata"]["namespace"] == namespace)
        used = sum(pod["status"].get("phase") not in TERMINAL for pod in mine)
        if used >= most:
            self._seen.refused["quota"] += 1
            raise Refused(over_quota(name, used, most))

    async def update(self, ask: Ask) -> Reply:
        """PUT of the pod, which keeps its status, or of ``/status``, which keeps the rest."""
        body = ask.document()
        named = (body.get("metadata") or {}).get("name")
        if named != ask.name:
            message = f"the name of the object ({named}) does not match the name on the URL ({ask.name})"
            refuse(400, "BadRequest", message)
        before = self._store.get(ask.namespace, ask.name)
        return self._shown(ask, self._store.replace(self._merged(ask, before, body)))

    async def patch(self, ask: Ask) -> Reply:
        """PATCH of the pod or of ``/status``; an apply may create."""
        kind = ask.content_type
        if kind not in patches.KINDS:
            refuse(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
        patch = ask.json()
        try:
            before = self._store.get(ask.namespace, ask.name)
        except Refused:
            if kind != patches.APPLY or ask.subresource:
                raise
            pod = self._stored(patch, ask, ask.name)
            return Reply(201, view_of(ask, self._clock).one(pod), {}, JSON)
        after = patches.apply(kind, before, patch)
        return self._shown(ask, self._store.replace(self._merged(ask, before, after)))

    def _merged(self, ask: Ask, before: Pod, after: Mapping[str, Any]) -> Pod:
        """What is stored of a write: what it may not change is as before."""
        old, new = before["metadata"], dict(after.get("metadata") or {})
        if new.get("uid", old["uid"]) != old["uid"]:
            why = (
                f"StorageError: invalid object, Code: 4, Key: /registry/pods/{ask.namespace}/{ask.name}, "
                f"ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {new['uid']}, "
                f"UID in object meta: {old['uid']}"
            )
            raise Refused(conflict(ask.name, why))
        for name in (*_KEPT, *_KEPT_TOO):
            new.pop(name, None)
        kept = {name: old[name] for name in (*_KEPT, *_KEPT_TOO) if name in old}
        status_only = ask.subresource == "status"
        spec = before["spec"] if status_only else after["spec"]
        status = after.get("status", {}) if status_only else before["status"]
        kept["generation"] = old["generation"] + (spec != before["spec"])
        return before | {"metadata": ordered(kept | new), "spec": spec, "status": status}

    def _shown(self, ask: Ask, pod: Pod) -> Reply:
        return Reply(200, view_of(ask, self._clock).one(pod), {}, JSON)

    async def delete(self, ask: Ask) -> Reply:
        """The pod as it is then: marked and still there while its grace lasts, or as it was last."""
        return self._shown(ask, self._delete(ask, self._store.get(ask.namespace, ask.name), ask.document()))

    async def delete_collection(self, ask: Ask) -> Reply:
        """Every pod selected; the true phase decides."""
        options, selected = ask.document(), ask.selected
        gone = [self._delete(ask, pod, options) for pod in list(self._store) if selected(pod)]
        metadata = {"resourceVersion": str(self._store.version)}
        return Reply(200, view_of(ask, self._clock).many(gone, metadata), {}, JSON)

    async def evict(self, ask: Ask) -> Reply:
        """A delete that answers a Status; the pod says why before it goes."""
        options = ask.document().get("deleteOptions") or {}
        pod = self._store.get(ask.namespace, ask.name)
        told = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
        told |= {"message": "Eviction API: evicting", "lastTransitionTime": stamp(self._clock.wall())}
        conditions = [c for c in pod["status"].get("conditions") or () if c["type"] != told["type"]]
        pod = self._store.replace(pod | {"status": pod["status"] | {"conditions": [*conditions, told]}})
        self._delete(ask, pod, options)
        return success(201)

    def _delete(self, ask: Ask, pod: Pod, options: Mapping[str, Any]) -> Pod:
        """Marked with its grace, and gone at once where that is zero: nothing was started, or all is over."""
        metadata, wanted = pod["metadata"], options.get("preconditions") or {}
        for field, word in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            if wanted.get(field, metadata[field]) != metadata[field]:
                why = (
                    f"the {word} in the precondition ({wanted[field]}) does not match the {word} in record "
                    f"({metadata[field]}). The object might have been deleted and then recreated"
                )
                raise Refused(conflict(metadata["name"], why, "Pod"))
        asked = ask.number("gracePeriodSeconds")
        grace = asked if asked is not None else options.get("gracePeriodSeconds")
        grace = pod["spec"].get("terminationGracePeriodSeconds", 30) if grace is None else grace
        if not pod["spec"].get("nodeName") or pod["status"].get("phase") in TERMINAL:
            grace = 0
        if grace >= metadata.get("deletionGracePeriodSeconds", grace + 1):
            return pod
        pod = self._store.replace(marked(pod, grace, self._clock.wall()))
        return pod if grace else self._store.remove(key_of(pod))
