"""``auth: own``: the token that Headgate speaks with, followed as its file changes (kubernetes.md §8).

A service account's token is replaced about hourly, by a new file under the old name. The file is looked at no more
than once a second and read only when it has changed; both are a few microseconds on the volume where it lives.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from proxy.domain.errors import NoTokenOfOurOwn
from proxy.policy.origins import is_loopback
from proxy.policy.policyset import PolicySet
from proxy.ports import Destination

_LOOK_EVERY: Final = 1.0
"""Seconds."""
_LONGEST: Final = 64 * 1024
"""Bytes of a file that is read; tokens have two thousand."""
_TOKEN: Final = re.compile(rb"[\x21-\x7e]+")

_log: Final = logging.getLogger("headgate")


class OwnToken:
    """A destination with Headgate's own ``Authorization``. A token once read stays in use while its file is gone."""

    def __init__(self, path: str, destination: Destination, clock: Callable[[], float] = time.monotonic) -> None:
        """``destination`` is without the token, and drops callers' ``Authorization``."""
        self._path = path
        self._plain = destination
        self._clock = clock
        self._with_token: Destination | None = None
        self._version: tuple[int, int, int] | None = None
        self._looked: float | None = None
        self._trouble = ""

    def destination(self) -> Destination:
        """Where a request goes, with the token of now. NoTokenOfOurOwn where there has never been one."""
        self.look()
        if self._with_token is None:
            raise NoTokenOfOurOwn(self._plain.upstream.name, self._trouble)
        return self._with_token

    def look(self) -> None:
        """Read the file if it is time to. What is wrong with it is logged, once for each change."""
        now = self._clock()
        if self._looked is not None and now - self._looked < _LOOK_EVERY:
            return
        self._looked = now
        try:
            token = self._read_if_new()
        except (OSError, ValueError) as error:
            self._say(getattr(error, "strerror", None) or str(error))
            return
        self._say("")
        if token is not None:
            line = b"Authorization: Bearer %s\r\n" % token
            self._with_token = replace(self._plain, added=self._plain.added + line)

    def _read_if_new(self) -> bytes | None:
        """The token, or None where the file is the one that was read last."""
        found = os.stat(self._path)
        version = (found.st_mtime_ns, found.st_ino, found.st_size)
        if version == self._version:
            return None
        with open(self._path, "rb") as file:
            token = file.read(_LONGEST).strip()
        if not _TOKEN.fullmatch(token):
            raise ValueError("holds no token" if not token else "holds what no token holds")
        self._version = version
        return token

    def _say(self, trouble: str) -> None:
        if trouble and trouble != self._trouble:
            _log.error("upstream %s: token file %s: %s", self._plain.upstream.name, self._path, trouble)
        elif self._trouble and not trouble:
            _log.info("upstream %s: token file %s can be read again", self._plain.upstream.name, self._path)
        self._trouble = trouble


def open_doors(policies: PolicySet, main_host: str) -> Iterator[str]:
    """What an operator should know of upstreams with ``auth: own`` on a main listener that others can reach.

    Listeners of upstreams' own are checked with the policy; where the main one listens, no policy says.
    """
    if is_loopback(main_host):
        return
    for upstream in policies.upstreams.values():
        on_main = upstream.listen is None or upstream.prefix is not None or upstream.hosts
        if upstream.auth is not None and on_main:
            yield (
                f"upstream {upstream.name} has auth: own and is mounted on {main_host}: whoever reaches that address "
                "acts as Headgate towards it; listen on loopback, or keep others out"
            )
