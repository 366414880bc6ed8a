"""Memory that a stream's pieces take again and again is made once."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
from proxy.cli.heap import keep_freed_memory
assert sys.argv[1] == "as-it-is" or keep_freed_memory()
faults = []
for _ in range(200):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    pieces = [bytes(200_000) for _ in range(5)]
    del pieces
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sorted(faults)[100])
"""


def page_faults(how: str) -> int:
    """Usual page faults of taking a megabyte in pieces once more."""
    ran = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, timeout=60, check=True)
    return int(ran.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator is told")
def test_freed_memory_is_kept() -> None:
    assert page_faults("as-it-is") > 100, "the habit is there"
    assert page_faults("told") == 0
