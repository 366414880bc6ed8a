"""A caller that is a real WASM guest, behind the host function that agent runtimes give their modules.

The guest (``guest.wat``) sends the provisioner's exact create call. The host gives it the status and the body and
nothing else, follows no policy of its own, and never tries again: connect timeout 10 s, and one total timeout that is
also all the patience the guest has. Not a test: ``Provisioner`` is used by tests.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, Literal

import aiohttp
import wasmtime

GUEST: Final = Path(__file__).with_name("guest.wat")
CONNECT_SECONDS: Final = 10.0
URL_AT, KEY_AT, RESULT_AT = 0x1000, 0x2000, 0x20000
TRANSPORT_ERROR, TOO_LARGE = -1, -2


@dataclass(frozen=True, slots=True)
class Provisioned:
    """How one run ended: with a sandbox id, with the guest's error text, or with a trap."""

    kind: Literal["sandbox", "error", "trap"]
    text: str


@cache
def _compiled() -> tuple[wasmtime.Engine, wasmtime.Module]:
    engine = wasmtime.Engine()
    return engine, wasmtime.Module(engine, bytes(wasmtime.wat2wasm(GUEST.read_text())))


@dataclass(frozen=True, slots=True)
class Provisioner:
    """One configured integration: where E2B is, the tenant's key, and the total timeout in seconds.

    ``host_headers`` are what the host adds to every outgoing call (``traceparent``, or a job's id).
    """

    url: str
    api_key: str
    timeout: float = 120.0
    host_headers: Mapping[str, str] = field(default_factory=dict)

    def run(self) -> Provisioned:
        """One run of a fresh guest. Blocks its thread, as the real host function does; call it in a thread."""
        engine, module = _compiled()
        store, linker = wasmtime.Store(engine), wasmtime.Linker(engine)
        number = wasmtime.ValType.i32()
        shape = wasmtime.FuncType([number] * 10, [number])
        linker.define_func("env", "host_http_call", shape, self._host_http_call, access_caller=True)
        exports = linker.instantiate(store, module).exports(store)
        memory, provision, failed = exports["memory"], exports["provision"], exports["failed"]
        assert isinstance(memory, wasmtime.Memory)
        assert isinstance(provision, wasmtime.Func)
        assert isinstance(failed, wasmtime.Global)
        memory.write(store, self.url.encode(), URL_AT)
        memory.write(store, self.api_key.encode(), KEY_AT)
        try:
            length = provision(store, len(self.url), len(self.api_key))
        except wasmtime.Trap as trap:
            return Provisioned("trap", trap.message.splitlines()[0])
        text = bytes(memory.read(store, RESULT_AT, RESULT_AT + length)).decode()
        return Provisioned("error" if failed.value(store) else "sandbox", text)

    def _host_http_call(self, caller: wasmtime.Caller, *numbers: int) -> int:
        memory = caller["memory"]
        assert isinstance(memory, wasmtime.Memory)
        pairs = zip(numbers[0:8:2], numbers[1:8:2], strict=True)
        method, url, headers, body = (bytes(memory.read(caller, at, at + size)) for at, size in pairs)
        out, room = numbers[8:]
        try:
            reply = asyncio.run(self._call(method.decode(), url.decode(), json.loads(headers), body))
        except (aiohttp.ClientError, TimeoutError, OSError):
            return TRANSPORT_ERROR  # which error it was is lost, as in the real host
        if len(reply) > room:
            return TOO_LARGE
        memory.write(caller, reply, out)
        return len(reply)

    async def _call(self, method: str, url: str, headers: list[list[str]], body: bytes) -> bytes:
        """``<status>\\n<body>``. No redirects, no second try."""
        timeout = aiohttp.ClientTimeout(total=self.timeout, connect=CONNECT_SECONDS)
        pairs = [(name, value) for name, value in headers] + list(self.host_headers.items())
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, url, headers=pairs, data=body, allow_redirects=False) as response,
        ):
            return f"{response.status}\n".encode() + await response.read()
