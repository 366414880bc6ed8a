"""TLS ends as Go programs make them: the end is told and the socket closed in the same moment, nothing is awaited."""

from __future__ import annotations

import socket
import ssl
import threading


def serve_once(listener: socket.socket, context: ssl.SSLContext, go: threading.Event, answer: bytes) -> None:
    """Accept a connection, read a head, and on a word answer, tell the end and close. Blocking."""
    plain, _ = listener.accept()
    plain.settimeout(30)
    with context.wrap_socket(plain, server_side=True) as own:
        _read_head(own)
        go.wait(30)
        own.sendall(answer)
        _tell_the_end(own)


def call_once(port: int, context: ssl.SSLContext, go: threading.Event, request: bytes, rest: bytes) -> None:
    """Connect, send a request, read a head, and on a word send the rest, tell the end and close. Blocking."""
    with (
        socket.create_connection(("127.0.0.1", port), 30) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as own,
    ):
        own.sendall(request)
        _read_head(own)
        go.wait(30)
        own.sendall(rest)
        _tell_the_end(own)


def _read_head(own: ssl.SSLSocket) -> None:
    seen = b""
    while not seen.endswith(b"\r\n\r\n"):
        data = own.recv(65536)
        if not data:
            raise EOFError(seen)
        seen += data


def _tell_the_end(own: ssl.SSLSocket) -> None:
    own.setblocking(False)
    try:
        own.unwrap()
    except ssl.SSLWantReadError:
        return
