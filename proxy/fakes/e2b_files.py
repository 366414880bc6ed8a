"""Files of the fake E2B: ``/files`` and the filesystem RPCs, over a dictionary in the sandbox."""

from __future__ import annotations

import posixpath
import re
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from aiohttp import BodyPartReader, web

from proxy.fakes.e2b_connect import ConnectError
from proxy.fakes.e2b_faults import error
from proxy.fakes.e2b_model import Sandbox
from proxy.fakes.server import Refused, Reply

HOME: Final = "/home/user"
OCTETS: Final = "application/octet-stream"
FILENAME: Final = re.compile(r'filename="([^"]*)"')
"""Read here because aiohttp takes the leading slash off a part's file name, which is a full path in E2B."""


def resolve(path: str) -> str:
    """An absolute path; relative ones start at the user's home."""
    return posixpath.normpath(posixpath.join(HOME, path))


def read(sandbox: Sandbox, request: web.Request) -> web.Response:
    """``GET /files``: the bytes; raises a JSON 404."""
    path = resolve(request.query.get("path", ""))
    content = sandbox.files.get(path)
    if content is None:
        raise Refused(error(404, f"path '{path}' does not exist"))
    return web.Response(body=content, headers={"Content-Type": OCTETS})


async def write(sandbox: Sandbox, request: web.Request) -> Reply:
    """``POST /files``: multipart (a part's file name is its path, unless ``path`` is given) or octets."""
    path = request.query.get("path")
    if request.content_type == OCTETS:
        if path is None:
            raise Refused(error(400, "path is required"))
        return Reply(200, [_store(sandbox, path, await request.read())])
    if not request.content_type.startswith("multipart/"):
        raise Refused(error(400, f"unsupported content type: {request.content_type}"))
    return Reply(200, [_store(sandbox, path or name, content) async for name, content in _parts(request)])


async def _parts(request: web.Request) -> AsyncIterator[tuple[str, bytes]]:
    """File name and content of every part called ``file``, read in turn."""
    async for part in await request.multipart():
        if isinstance(part, BodyPartReader) and part.name == "file":
            found = FILENAME.search(part.headers.get("Content-Disposition", ""))
            yield found[1] if found else "", bytes(await part.read())


def _store(sandbox: Sandbox, path: str, content: bytes) -> dict[str, str]:
    full = resolve(path)
    if full in sandbox.folders:
        raise Refused(error(400, f"path is a directory: {full}"))
    _make_folders(sandbox, posixpath.dirname(full))
    sandbox.files[full] = content
    return {"name": posixpath.basename(full), "type": "file", "path": full}


def _make_folders(sandbox: Sandbox, folder: str) -> None:
    while folder not in sandbox.folders:
        sandbox.folders.add(folder)
        folder = posixpath.dirname(folder)


def _info(sandbox: Sandbox, path: str) -> dict[str, Any]:
    """``EntryInfo``: 64-bit numbers are strings, enums go by name."""
    content = sandbox.files.get(path)
    if content is None and path not in sandbox.folders:
        raise ConnectError("not_found", f"file not found: {path}")
    folder = content is None
    return {
        "name": posixpath.basename(path),
        "type": "FILE_TYPE_DIRECTORY" if folder else "FILE_TYPE_FILE",
        "path": path,
        "size": str(len(content or b"")),
        "mode": 0o755 if folder else 0o644,
        "permissions": "drwxr-xr-x" if folder else "-rw-r--r--",
        "owner": "user",
        "group": "user",
        "modifiedTime": "2026-01-01T00:00:00Z",
    }


def stat(sandbox: Sandbox, request: dict[str, Any]) -> dict[str, Any]:
    """``Stat``."""
    return {"entry": _info(sandbox, resolve(request.get("path", "")))}


def list_folder(sandbox: Sandbox, request: dict[str, Any]) -> dict[str, Any]:
    """``ListDir``, to the depth asked for (1 unless said)."""
    top = resolve(request.get("path", ""))
    if top not in sandbox.folders:
        raise ConnectError("not_found", f"directory not found: {top}")
    base = top.rstrip("/") + "/"
    depth = int(request.get("depth") or 1)
    below = [p for p in sorted({*sandbox.files, *sandbox.folders}) if p.startswith(base) and p != base]
    return {"entries": [_info(sandbox, p) for p in below if p[len(base) :].count("/") < depth]}


def make_folder(sandbox: Sandbox, request: dict[str, Any]) -> dict[str, Any]:
    """``MakeDir``; one that is there is an error."""
    path = resolve(request.get("path", ""))
    if path in sandbox.folders or path in sandbox.files:
        raise ConnectError("already_exists", f"directory already exists: {path}")
    _make_folders(sandbox, path)
    return {"entry": _info(sandbox, path)}


def move(sandbox: Sandbox, request: dict[str, Any]) -> dict[str, Any]:
    """``Move``, of a file or a folder with what is in it."""
    source, target = resolve(request.get("source", "")), resolve(request.get("destination", ""))
    _info(sandbox, source)
    for path in [p for p in sandbox.files if p == source or p.startswith(source + "/")]:
        sandbox.files[target + path[len(source) :]] = sandbox.files.pop(path)
    for path in [p for p in sandbox.folders if p == source or p.startswith(source + "/")]:
        sandbox.folders.remove(path)
        sandbox.folders.add(target + path[len(source) :])
    _make_folders(sandbox, posixpath.dirname(target))
    return {"entry": _info(sandbox, target)}


def remove(sandbox: Sandbox, request: dict[str, Any]) -> dict[str, Any]:
    """``Remove``, of a file or a folder with what is in it."""
    path = resolve(request.get("path", ""))
    _info(sandbox, path)
    for gone in [p for p in sandbox.files if p == path or p.startswith(path + "/")]:
        del sandbox.files[gone]
    sandbox.folders -= {p for p in sandbox.folders if p == path or p.startswith(path + "/")}
    return {}


RPCS: Final[dict[str, Callable[[Sandbox, dict[str, Any]], dict[str, Any]]]] = {
    "Stat": stat,
    "ListDir": list_folder,
    "MakeDir": make_folder,
    "Move": move,
    "Remove": remove,
}
