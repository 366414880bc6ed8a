"""The fake Temper's HTTP: OData routes, tenants, keys, idempotency, and errors in the real one's words."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from proxy.fakes.clock import Clock
from proxy.fakes.server import Refused, Reply
from proxy.fakes.temper_config import ANSWERS, TemperConfig, problem
from proxy.fakes.temper_model import MACHINES, Entity, Illegal
from proxy.fakes.temper_world import ActionCall, World

PATH: Final = re.compile(r"/tdata/(?P<set>[A-Za-z]+)(\('(?P<id>[^']*)'\))?(/(?P<rest>[^/]+))?")
DEFAULT_TENANT: Final = "default"


class Api:
    """Answers everything under ``/tdata``."""

    def __init__(self, config: TemperConfig, clock: Clock, world: World, notice: Callable[[], None]) -> None:
        self._config, self._clock, self._world, self._notice = config, clock, world, notice
        self._called: Counter[str] = Counter()
        self._keys: dict[tuple[str, str], tuple[str, Reply | None]] = {}

    async def answer(self, request: web.Request) -> web.Response:
        """One request."""
        raw = await request.read()
        self._world.settle(self._clock.now())
        try:
            reply = await self._route(request, raw)
        except Refused as refusal:
            reply = refusal.reply
        finally:
            self._notice()
        return reply.response()

    async def _route(self, request: web.Request, raw: bytes) -> Reply:
        found = PATH.fullmatch(request.path)
        if found is None or found["set"] not in MACHINES:
            raise Refused(problem(404, "ResourceNotFound", f"no resource at {request.path}"))
        self._authorise(request)
        tenant, entity_set = self._tenant(request), found["set"]
        match request.method, found["id"], found["rest"]:
            case "GET", None, None:
                mine = [e for (t, s, _), e in self._world.entities.items() if (t, s) == (tenant, entity_set)]
                return Reply(200, {"value": [entity.document() for entity in mine]})
            case "POST", None, None:
                body = _object(raw)
                fields = body.get("fields", {k: v for k, v in body.items() if k != "id"})
                made = self._world.create(tenant, entity_set, fields, self._clock.now(), str(body.get("id", "")))
                return Reply(201, made.document())
            case "GET", str(id), None:
                return Reply(200, self._entity(tenant, entity_set, id).document())
            case ("GET" | "PUT") as method, str(id), "$value" if entity_set == "Files":
                return await self._value(method, self._entity(tenant, entity_set, id), raw)
            case "POST", str(id), str(rest):
                return await self._act(request, tenant, entity_set, id, rest, raw)
        raise Refused(problem(405, "MethodNotAllowed", f"{request.method} is not allowed here"))

    async def _act(self, request: web.Request, tenant: str, entity_set: str, id: str, name: str, raw: bytes) -> Reply:
        """A bound action: recorded with its answer, whatever that is."""
        namespace, _, action = name.rpartition(".")
        at, params = self._clock.now(), _object(raw)
        try:
            reply = await self._once(request, tenant, entity_set, id, namespace, action, params)
        except Refused as refusal:
            reply = refusal.reply
        headers = tuple(request.headers.items())
        call = ActionCall(at, tenant, entity_set, id, action, params, headers, reply.status)
        self._world.calls.append(call)
        return reply

    async def _once(
        self,
        request: web.Request,
        tenant: str,
        entity_set: str,
        id: str,
        namespace: str,
        action: str,
        params: dict[str, Any],
    ) -> Reply:
        """Replay the answer to a repeated ``Idempotency-Key``; else carry the action out and remember it."""
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return await self._dispatch(tenant, entity_set, id, namespace, action, params)
        fingerprint = json.dumps([entity_set, id, action, params], sort_keys=True)
        known = self._keys.get((tenant, key))
        if known is not None:
            if known[0] != fingerprint:
                raise Refused(problem(409, "IdempotencyConflict", "key was used with another request"))
            if known[1] is None:
                raise Refused(problem(409, "IdempotencyInProgress", "the original request is still running"))
            return known[1]
        self._keys[(tenant, key)] = (fingerprint, None)
        try:
            reply = await self._dispatch(tenant, entity_set, id, namespace, action, params)
        except BaseException:
            del self._keys[(tenant, key)]  # what failed may be tried again with the same key
            raise
        self._keys[(tenant, key)] = (fingerprint, reply)
        return reply

    async def _dispatch(
        self, tenant: str, entity_set: str, id: str, namespace: str, action: str, params: dict[str, Any]
    ) -> Reply:
        self._called[action] += 1
        nth = self._called[action]
        for fault in self._config.faults:
            if fault.action == action and fault.first <= nth <= fault.last:
                raise Refused(ANSWERS[fault.what])
        if action in self._config.denied:
            raise Refused(ANSWERS["denied"])
        machine = MACHINES[entity_set]
        if action not in machine.steps or namespace not in (machine.namespace, "Temper"):
            raise Refused(problem(404, "ActionNotFound", f"no action {namespace}.{action} on {entity_set}"))
        await self._clock.sleep(self._config.action_seconds)
        entity = self._entity(tenant, entity_set, id)
        try:
            self._world.dispatch(entity, action, params, self._clock.now())
        except Illegal as why:
            raise Refused(problem(409, "ActionFailed", str(why))) from why
        return Reply(200, entity.document())

    async def _value(self, method: str, entity: Entity, raw: bytes) -> Reply:
        """A file's content. Every failure of a write is a 409 ``ActionRejected``, whatever caused it."""
        if method == "GET":
            versions = self._world.versions.get(entity.id)
            if not versions:
                raise Refused(problem(404, "ResourceNotFound", "the file has no content"))
            return Reply(200, versions[-1].decode(errors="replace"), content_type="application/octet-stream")
        if self._world.refuse_contact(entity.id):
            raise Refused(ANSWERS["exhausted"])
        await self._clock.sleep(self._config.write_seconds)
        try:
            self._world.write(entity, raw, self._clock.now())
        except Illegal as why:
            raise Refused(problem(409, "ActionRejected", str(why))) from why
        return Reply(204)

    def _entity(self, tenant: str, entity_set: str, id: str) -> Entity:
        entity = self._world.find(tenant, entity_set, id)
        if entity is None:
            raise Refused(problem(404, "ResourceNotFound", f"{entity_set}('{id}') not found"))
        return entity

    def _authorise(self, request: web.Request) -> None:
        wanted = self._config.api_key
        if wanted is not None and request.headers.get("Authorization") != f"Bearer {wanted}":
            raise Refused(problem(401, "Unauthorized", "missing or wrong API key"))

    @staticmethod
    def _tenant(request: web.Request) -> str:
        """``X-Tenant-Id``; agents must send it, others are ``default`` without."""
        tenant = request.headers.get("X-Tenant-Id")
        if tenant is None and request.headers.get("x-temper-principal-kind", "").lower() == "agent":
            raise Refused(problem(400, "MissingTenant", "X-Tenant-Id is required for agent principals"))
        return tenant or DEFAULT_TENANT


def _object(raw: bytes) -> dict[str, Any]:
    try:
        said = json.loads(raw or b"{}")
    except ValueError as why:
        raise Refused(problem(400, "InvalidBody", str(why))) from why
    if not isinstance(said, dict):
        raise Refused(problem(400, "InvalidBody", "expected a JSON object"))
    return said
