"""URLs, addresses and host names as a policy writes them. Refusals never repeat the text they refuse."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from proxy.domain.paths import PathError, normalise
from proxy.policy.policyset import Listen, Origin

_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-fA-F:.]+\]|[^/?#@:\[\]\s\\]+)(?::(?P<port>[0-9]{1,5}))?(?P<path>/[!-~]*)?",
    re.IGNORECASE,
)
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?\.?")
_HOLES: Final = re.compile(r"\{(?:port|sandbox)\}")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class OriginError(ValueError):
    """A URL or an address that cannot be used."""

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


def parse_origin(url: str) -> Origin:
    """Where ``http[s]://host[:port][/path]`` points; OriginError otherwise. ``{port}`` and ``{sandbox}`` may
    stand in the host."""
    hint = "write for example https://api.e2b.app"
    if "@" in url.split("//", 1)[-1].split("/", 1)[0]:
        raise OriginError("the URL holds a user or a password", "callers' own credentials pass through: leave it out")
    if "?" in url or "#" in url:
        raise OriginError("the URL holds a query or a fragment", "end it after the path")
    found = _URL.fullmatch(url)
    if found is None:
        scheme = re.match(r"https?://", url, re.IGNORECASE)
        raise OriginError("is not a URL" if scheme else "is not an http:// or https:// URL", hint)
    host = _checked_host(_HOLES.sub("x", found["host"]), found["host"])
    scheme_name = found["scheme"].lower()
    port = int(found["port"]) if found["port"] else _DEFAULT_PORTS[scheme_name]
    if not 1 <= port <= 65535:
        raise OriginError("the URL's port is not from 1 to 65535", hint)
    return Origin(scheme_name, host, port, _base(found["path"] or ""))


def _checked_host(plain: str, host: str) -> str:
    if host.startswith("["):
        try:
            return str(ipaddress.IPv6Address(host[1:-1]))
        except ValueError:
            raise OriginError("the URL's host is not an IPv6 address", "write for example http://[::1]:8080") from None
    if "{" in plain or "}" in plain:
        raise OriginError("the URL's host holds braces", "only {port} and {sandbox} may stand there")
    if _HOST.fullmatch(plain) is None:
        raise OriginError("the URL's host is not a host's name", "write for example https://api.e2b.app")
    return host.lower()


def _base(path: str) -> str:
    if "{" in path or "}" in path:
        raise OriginError("the URL's path holds braces", "{port} and {sandbox} stand in the host")
    base = path.rstrip("/")
    try:
        plain = normalise(base.encode("ascii")) if base else b"/"
    except PathError:
        plain = b""
    if base and plain != base.encode("ascii"):
        raise OriginError("the URL's path is not in normal form", "no dot-segments and no doubled slashes")
    return base


def parse_listen(address: str) -> Listen:
    """The address of a listener: ``host:port`` or ``[v6]:port``; port 0 lets the system choose one."""
    host, colon, port = address.rpartition(":")
    if not colon or re.fullmatch(r"[0-9]{1,5}", port) is None or int(port) > 65535:
        raise OriginError("is not host:port", "write for example 127.0.0.1:6443")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        try:
            return Listen(str(ipaddress.IPv6Address(host)), int(port))
        except ValueError:
            raise OriginError("holds no IPv6 address", "write for example [::1]:6443") from None
    if _HOST.fullmatch(host) is None:
        raise OriginError("is not host:port", "write for example 127.0.0.1:6443, or [::1]:6443 for IPv6")
    return Listen(host, int(port))


def is_loopback(host: str) -> bool:
    """Whether a host, without its port, is this machine's own by its name or address alone."""
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def parse_host(text: str) -> str:
    """A name that a Host header may hold, lower-case: ``api.e2b.app`` or ``api.e2b.app:8443``."""
    name, colon, port = text.partition(":")
    if text.startswith("["):
        name, colon, port = (
            text.partition("]")[0] + "]",
            text.partition("]")[2][:1],
            text.partition("]")[2][1:],
        )
        try:
            ipaddress.IPv6Address(name[1:-1])
        except ValueError:
            raise OriginError("is not a host's name", "write for example api.e2b.app") from None
        name_fits = colon in ("", ":")
    else:
        name_fits = _HOST.fullmatch(name) is not None
    if not name_fits or (colon and re.fullmatch(r"[0-9]{1,5}", port) is None):
        raise OriginError("is not a host's name", "write for example api.e2b.app, without a scheme or a path")
    return text.lower()
