"""Images without a registry: docker archives made here, of files that are on the machine.

One image of busybox and its links serves every test. The same files, asked to do nothing, are the sandbox image
("pause"), whose only purpose is to keep a pod's namespaces.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

BUSYBOX: Final = "headgate.test/busybox:1"
PAUSE: Final = "headgate.test/pause:1"
ORDERS: Final = "/orders"
"""A named pipe. It is part of the image, so that nobody can come before it is there."""
_MACHINES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


def busybox_layer() -> bytes:
    """A root file system in a tar: busybox under all its names, and the folders that programs expect."""
    program = shutil.which("busybox", path="/bin:/usr/bin")
    assert program is not None
    names = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout.split()
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for folder, mode in {"bin": 0o755, "etc": 0o755, "root": 0o700, "tmp": 0o1777}.items():
            tar.addfile(_member(folder, mode=mode, kind=tarfile.DIRTYPE))
        tar.addfile(_member(ORDERS.strip("/"), mode=0o666, kind=tarfile.FIFOTYPE))
        _add(tar, "bin/busybox", Path(program).read_bytes(), mode=0o755)
        _add(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n")
        _add(tar, "etc/group", b"root:x:0:\nnogroup:x:65534:\n")
        for name in names:
            if name != "busybox":
                tar.addfile(_member(f"bin/{name}", kind=tarfile.SYMTYPE, link="busybox"))
    return written.getvalue()


def archive(path: Path, layer: bytes, commands: Mapping[str, Sequence[str]]) -> Path:
    """A docker archive at ``path``: for each name an image of this one layer that runs that command."""
    digest = hashlib.sha256(layer).hexdigest()
    manifest = []
    with tarfile.open(path, mode="w") as tar:
        _add(tar, f"{digest}.tar", layer)
        for name, command in commands.items():
            config = {
                "architecture": _MACHINES.get(platform.machine(), platform.machine()),
                "os": "linux",
                "config": {"Env": ["PATH=/bin"], "Cmd": list(command)},
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
                "history": [{"created_by": "headgate"}],
            }
            text = json.dumps(config).encode()
            place = f"{hashlib.sha256(text).hexdigest()}.json"
            _add(tar, place, text)
            manifest.append({"Config": place, "RepoTags": [name], "Layers": [f"{digest}.tar"]})
        _add(tar, "manifest.json", json.dumps(manifest).encode())
    return path


def standard(path: Path) -> Path:
    """The archive with the two images that every node has."""
    return archive(path, busybox_layer(), {BUSYBOX: ["sh"], PAUSE: ["sleep", "infinity"]})


def _member(
    name: str, size: int = 0, mode: int = 0o755, kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.type, member.linkname = size, mode, kind, link
    return member


def _add(tar: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    tar.addfile(_member(name, len(data), mode), io.BytesIO(data))
