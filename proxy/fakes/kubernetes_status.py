"""The API server's errors: ``Status`` objects with the words of the real one, and the few replies that are none
(kubernetes.md §9.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn

from proxy.fakes.server import Refused, Reply

JSON: Final = "application/json"
"""Without a charset: one client compares the whole value (kubernetes.md §9.3)."""


def status(code: int, reason: str, message: str, details: Mapping[str, Any] | None = None, **headers: str) -> Reply:
    """A failure. Some have empty details, others none. Header names are given with underscores."""
    body: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    body |= {"message": message, "reason": reason}
    if details is not None:
        body["details"] = dict(details)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(code, body | {"code": code}, named, JSON)


def success(code: int = 200) -> Reply:
    """What an eviction answers, and others that return no object."""
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code}
    return Reply(code, body, {}, JSON)


def busy(seconds: int) -> Reply:
    """What priority and fairness say to one request too many: text, and when to come back."""
    text = "Too many requests, please try again later.\n"
    return Reply(429, text, {"Retry-After": str(seconds)}, "text/plain; charset=utf-8")


def refuse(code: int, reason: str, message: str, details: Mapping[str, Any] | None = None, **headers: str) -> NoReturn:
    """Answer the request with this failure now."""
    raise Refused(status(code, reason, message, details, **headers))


def not_found(name: str) -> Reply:
    """No pod of that name."""
    return status(404, "NotFound", f'pods "{name}" not found', {"name": name, "kind": "pods"})


def no_such_resource() -> Reply:
    """A path that means nothing here."""
    return status(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(name: str) -> Reply:
    """A create of a name that is taken."""
    return status(409, "AlreadyExists", f'pods "{name}" already exists', {"name": name, "kind": "pods"})


def not_allowed() -> Reply:
    """A method that a path does not take."""
    return status(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def conflict(name: str, why: str, kind: str = "pods") -> Reply:
    """A write that names another resourceVersion or uid than the pod has."""
    message = f'Operation cannot be fulfilled on {kind} "{name}": {why}'
    return status(409, "Conflict", message, {"name": name, "kind": kind})


def invalid(name: str, field: str, what: str, reason: str = "FieldValueRequired") -> Reply:
    """A pod that breaks a rule. ``what`` begins like ``Required value``."""
    named = {"name": name} if name else {}
    details = {**named, "kind": "Pod", "causes": [{"reason": reason, "message": what, "field": field}]}
    return status(422, "Invalid", f'Pod "{name}" is invalid: {field}: {what}', details)


def expired(asked: int, oldest: int) -> Reply:
    """A resourceVersion that is no longer remembered."""
    return status(410, "Expired", f"too old resource version: {asked} ({oldest})")


def too_large(asked: int, current: int) -> Reply:
    """A resourceVersion from the future."""
    message = f"Timeout: Too large resource version: {asked}, current: {current}"
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    return status(504, "Timeout", message, {"causes": [cause], "retryAfterSeconds": 1}, Retry_After="1")


def over_quota(name: str, used: int, most: int) -> Reply:
    """What a ResourceQuota says. Nobody retries it."""
    message = (
        f'pods "{name}" is forbidden: exceeded quota: pods, requested: pods=1, used: pods={used}, limited: pods={most}'
    )
    return status(403, "Forbidden", message, {"name": name, "kind": "pods"})
