"""TLS towards upstreams: whom to trust, who we are. Files are read when a context is first needed."""

from __future__ import annotations

import ssl

from proxy.policy.policyset import UpstreamTls


def client_context(tls: UpstreamTls) -> ssl.SSLContext:
    """The context for an upstream. OSError or SSLError where a file cannot be used."""
    context = ssl.create_default_context(cafile=tls.ca_file)
    context.set_alpn_protocols(["http/1.1"])
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.client_cert_file is not None:
        context.load_cert_chain(tls.client_cert_file, tls.client_key_file)
    return context
