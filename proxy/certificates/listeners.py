"""The TLS contexts of a process's own listeners; their certificates are replaced under them, without a restart."""

from __future__ import annotations

import asyncio
import datetime
import logging
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from proxy.certificates.authority import Shown

_LOOK_EVERY: Final = 6 * 3600.0
"""Seconds between two looks at how old the certificates are; they live for a year."""

_log: Final = logging.getLogger("headgate")


class TlsListeners:
    """Contexts by the address listened on. Callers' certificates are not asked for (kubernetes.md §8)."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is the state folder; nothing is read or made before it is needed."""
        self._folder = folder
        self._contexts: dict[str, tuple[ssl.SSLContext, Shown]] = {}

    async def context(self, host: str) -> ssl.SSLContext:
        """The context for a listener on this address. StateError where no certificate can be had."""
        if host not in self._contexts:
            shown = await asyncio.to_thread(self._shown, host, _now())
            self._contexts[host] = _context(shown.file), shown
        return self._contexts[host][0]

    async def keep_fresh(self) -> None:
        """Renew whatever is due, again and again. Cancelled: what is shown stays."""
        while self._contexts:
            await asyncio.sleep(_LOOK_EVERY)
            await self.renew(_now())

    async def renew(self, now: datetime.datetime) -> None:
        """Show new certificates to those who connect from now on, where they are due; what fails is logged."""
        for host, (context, before) in list(self._contexts.items()):
            try:
                shown = await asyncio.to_thread(self._shown, host, now)
                if shown.serial != before.serial:
                    context.load_cert_chain(shown.file)
            except OSError as error:  # StateError and SSLError are such
                _log.error("the certificate of the listener on %s was not renewed: %s", host, error)
            else:
                self._contexts[host] = context, shown

    def _shown(self, host: str, now: datetime.datetime) -> Shown:
        from proxy.certificates.authority import Authority  # cryptography is 9 MiB, and most processes need none of it

        return Authority(self._folder, now).server(host, now)


def _context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(certificate)
    return context


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
