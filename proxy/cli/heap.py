"""Keeps memory that was freed a moment ago: the next piece of a stream wants as much again.

glibc's malloc gives the end of its heap back to the kernel as soon as a few big pieces of it are free. Each read of a
stream then has its pages made, zeroed and charged anew, which costs more than all that is done with the bytes.
"""

from __future__ import annotations

import ctypes
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
"""Parameters of mallopt(3), from glibc's malloc.h."""
_KEPT: Final = 4 * 1024 * 1024
"""Bytes at the heap's end that are kept though nobody uses them; pieces smaller than this are taken from the heap."""


def keep_freed_memory() -> bool:
    """Tell the allocator of this process, for good. False where it cannot be told: it is not glibc's."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _KEPT)) and bool(mallopt(_M_TRIM_THRESHOLD, _KEPT))
