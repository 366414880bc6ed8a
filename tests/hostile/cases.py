"""Requests that try to mean two things, as a table: the bytes, the verdict, and where the idea comes from.

Each was written down anew, with a valid Host and nothing else wrong, so that only its own point decides. Sources:
``gunicorn`` is its corpus tests/requests/invalid, ``garden`` the list of findings of http-garden (TROPHIES.md, server
or transducer bugs by number), ``RFC`` the sentence that forbids it; the rest names an advisory or another suite.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """Refused with ``status``, the connection closed, and nothing sent upstream."""

    name: str
    source: str
    data: bytes
    status: int = 400


def get(fields: bytes = b"", line: bytes = b"GET / HTTP/1.1") -> bytes:
    """A request without a body."""
    return line + b"\r\nHost: a\r\n" + fields + b"\r\n"


def post(fields: bytes, body: bytes = b"") -> bytes:
    """A request with a body."""
    return get(fields, b"POST / HTTP/1.1") + body


INNER = b"GET /inner HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"
TE = b"Transfer-Encoding: chunked\r\n"

FRAMING = [
    Case("both", "gunicorn rfc9112_smuggle_cl_te_chunked_01", post(b"Content-Length: 6\r\n" + TE, b"0\r\n\r\nX")),
    Case("both-other-order", "RFC 9112 §6.1", post(TE + b"Content-Length: 6\r\n", b"0\r\n\r\nX")),
    Case(
        "both-behind-a-tab",
        "gunicorn chunked_02",
        post(b"Content-Length: 12\r\nTransfer-Encoding: \tchunked\r\n", CHUNKS),
    ),
    Case("lengths-differ", "gunicorn 021", post(b"Content-Length: 3\r\nContent-Length: 2\r\n", b"xyz")),
    Case("lengths-agree", "RFC 9112 §6.3", post(b"Content-Length: 3\r\nContent-Length: 3\r\n", b"xyz")),
    Case("length-list", "gunicorn rfc9112_smuggle_cl_list_form_01", post(b"Content-Length: 5, 5\r\n", b"hello")),
    Case("length-minus", "gunicorn 014", post(b"CONTENT-LENGTH: -1\r\n", b"x")),
    Case("length-minus-zero", "gunicorn 022", post(b"Content-Length: -0\r\n")),
    Case("length-plus", "gunicorn 024", post(b"Content-Length: +1\r\n", b"x")),
    Case("length-underscore", "gunicorn 023; garden server 10", post(b"Content-Length: 0_1\r\n", b"x")),
    Case("length-words", "gunicorn 015", post(b"Content-Length: bla-bla-bla\r\n")),
    Case("length-two-numbers", "gunicorn prefix_03", post(b"Content-Length: 0 1\r\n", b"x")),
    Case("length-prefix", "garden server 29", post(b"Content-Length: 1Z\r\n", b"Z")),
    Case("length-hex", "garden server 29", post(b"Content-Length: 0x1\r\n", b"Z")),
    Case("length-empty", "garden server 16", post(b"Content-Length: \r\n")),
    Case("length-huge", "garden server 26", post(b"Content-Length: 99999999999999999999\r\n")),
    Case("length-64-bits", "design.md §2.2", post(b"Content-Length: 18446744073709551615\r\n"), 413),
    Case("length-63-bits", "design.md §2.2", post(b"Content-Length: 9223372036854775808\r\n"), 413),
    Case("length-behind-a-tab", "nginx 1.22 refuses it", post(b"Content-Length:\t0\r\n")),
    Case("length-before-a-tab", "nginx 1.22 refuses it", post(b"Content-Length: 1\t\r\n", b"x")),
    Case("length-twin", "gunicorn 040", post(b"Content-Length: 7\r\nContent_Length: -1E23\r\n", b"tricked")),
    Case("length-nel", "garden server 20", post(b"Content-Length\x85: 3\r\n", b"xyz")),
    Case("length-without-colon", "garden server 28", post(b"Content-Length 10\r\n", b"0123456789")),
    Case("coding-twin", "gunicorn chunked_07", post(b"Transfer_Encoding: gzip\r\n" + TE, CHUNKS)),
    Case("coding-old-version", "gunicorn chunked_05", b"POST / HTTP/1.0\r\nHost: a\r\n" + TE + b"\r\n" + CHUNKS),
    Case("coding-twice", "garden server 11", post(TE + TE, CHUNKS)),
    Case("coding-mixed", "gunicorn chunked_04", post(b"Transfer-Encoding: identity\r\n" + TE, CHUNKS)),
    Case("coding-not-last", "gunicorn chunked_06", post(TE + b"Transfer-Encoding: gzip\r\n", CHUNKS)),
    Case("coding-list", "gunicorn chunked_03", post(b"Transfer-Encoding: identity, chunked\r\n", CHUNKS)),
    Case("coding-chunked-list", "RFC 9112 §7.1", post(b"Transfer-Encoding: chunked, chunked\r\n", CHUNKS)),
    Case("coding-comma", "garden server 21", post(b"Transfer-Encoding: ,chunked\r\n", CHUNKS)),
    Case("coding-comma-behind", "garden transducer 9", post(b"Transfer-Encoding: chunked,\r\n", CHUNKS)),
    Case("coding-nbsp", "garden server 12", post(b"Transfer-Encoding: \xa0chunked\xa0\r\n", CHUNKS)),
    Case("coding-nel", "garden server 12", post(b"Transfer-Encoding: chunked\x85\r\n", CHUNKS)),
    Case("coding-behind-a-tab", "smuggler configs/default", post(b"Transfer-Encoding:\tchunked\r\n", CHUNKS)),
    Case("coding-before-a-tab", "smuggler configs/default", post(b"Transfer-Encoding: chunked\t\r\n", CHUNKS)),
    Case("coding-vt", "smuggler configs/exhaustive", post(b"Transfer-Encoding: \x0bchunked\r\n", CHUNKS)),
    Case("coding-nul", "smuggler configs/exhaustive", post(b"Transfer-Encoding: chunked\0\r\n", CHUNKS)),
    Case("coding-quoted", "smuggler configs/default", post(b'Transfer-Encoding: "chunked"\r\n', CHUNKS)),
    Case("coding-prefix", "smuggler configs/default", post(b"Transfer-Encoding: xchunked\r\n", CHUNKS)),
    Case("coding-parameter", "smuggler configs/default", post(b"Transfer-Encoding: chunked;q=1\r\n", CHUNKS)),
    Case("coding-identity", "RFC 9112 §7 (obsolete)", post(b"Transfer-Encoding: identity\r\n", CHUNKS)),
    Case("coding-empty", "smuggler configs/default", post(b"Transfer-Encoding:\r\n", CHUNKS)),
    Case("coding-space-name", "smuggler configs/default", post(b"Transfer-Encoding : chunked\r\n", CHUNKS)),
    Case("coding-folded", "smuggler configs/default", post(b"Transfer-Encoding:\r\n chunked\r\n", CHUNKS)),
    Case("coding-hidden-by-cr", "smuggler configs/default", post(b"X: y\rTransfer-Encoding: chunked\r\n", CHUNKS)),
    Case("coding-hidden-by-lf", "smuggler configs/default", post(b"X: y\nTransfer-Encoding: chunked\r\n", CHUNKS)),
    Case("coding-leading-space", "smuggler configs/default", post(b" Transfer-Encoding: chunked\r\n", CHUNKS)),
]

FIELDS = [
    Case("folded", "gunicorn obs_fold_01", get(b"Long: one\r\n two\r\n")),
    Case("folded-by-tab", "RFC 9112 §5.2", get(b"Long: one\r\n\ttwo\r\n")),
    Case("folded-value", "gunicorn 013", get(b"Accept:\r\n */*\r\n")),
    Case("first-line-indented", "garden server 4", b"GET / HTTP/1.1\r\n\tContent-Length: 1\r\nHost: a\r\n\r\nX"),
    Case("space-before-colon", "gunicorn 020; garden server 3", get(b"Content-Length : 3\r\n") + b"xyz"),
    Case("tab-before-colon", "garden server 3", get(b"X\t: 3\r\n")),
    Case("nul-in-name", "gunicorn 005", get(b"ba\0z: bar\r\n")),
    Case("nul-in-value", "garden server 2", get(b"X: v\0alue\r\n")),
    Case("cr-in-value", "garden server 13", get(b"X: :/\rSmuggled: :)\r\n")),
    Case("cr-before-crlf", "garden server 30", get(b"X: y\r\r\n")),
    Case("bell-in-value", "gunicorn rfc9110_field_value_ctl_bel_01", get(b"X: plain\x07injected\r\n")),
    Case("del-in-value", "gunicorn rfc9110_field_value_ctl_del_01", get(b"X: plain\x7finjected\r\n")),
    Case("lf-in-value", "gunicorn invalid_field_value_01", get(b"Newline: a\nContent-Length: 26\r\n")),
    Case("sharp-s-in-name", "gunicorn nonascii_03", get(b"Content-Length\xc3\x9f: 3\r\n")),
    Case("y-umlaut-in-name", "gunicorn nonascii_04", get(b"Content-Length\xff: 3\r\n")),
    Case("high-byte-in-name", "garden server 8", get(b"\xeffoo: bar\r\n")),
    Case("separators-in-name", "garden server 14", get(b'a"(),/;<=>?@[]{}: b\r\n')),
    Case("empty-name", "garden server 18", get(b": ignored\r\n")),
    Case("colon-alone", "garden server 27", get(b":\r\nI: am chopped off\r\n")),
    Case("no-colon", "garden server 28", get(b"Nothing\r\n")),
    Case("bare-lf-lines", "garden transducer 16", b"GET / HTTP/1.1\nHost: a\n\n"),
    Case("bare-lf-end", "http-garden", b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
    Case("bare-lf-request-line", "garden server 9", b"GET / HTTP/1.1\nHost: a\r\n\r\n"),
    Case("lf-then-request", "garden server 19", get(b"Useless:\n\n") + INNER),
    Case(
        "cr-x-ends-nothing",
        "garden server 30",
        b"GET / HTTP/1.1\r\nHost: a\r\n\rZGET /evil HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
]

LINES = [
    Case("no-target", "gunicorn 002", get(line=b"GET HTTP/1.1")),
    Case("lf-for-spaces", "gunicorn 003", get(line=b"GET\n/\nHTTP/1.1")),
    Case("colon-in-method", "gunicorn 003b", get(line=b"bla:rgh /foo HTTP/1.1")),
    Case("unknown-method", "gunicorn 003c", get(line=b"-bl /foo HTTP/1.1"), 501),
    Case("lower-case-method", "design.md §2.2", get(line=b"get / HTTP/1.1"), 501),
    Case("connect", "design.md §2.2", get(line=b"CONNECT a:443 HTTP/1.1"), 501),
    Case("method-prefix", "garden server 6", get(line=b'G=":<>(e),[T];?" /get HTTP/1.1')),
    Case("method-with-colon", "gunicorn prefix_05", get(line=b"GET: /stuff HTTP/1.1")),
    Case("method-nul", "gunicorn prefix_02", get(line=b"GET\0 /foo HTTP/1.1")),
    Case("method-non-ascii", "gunicorn nonascii_01", get(line=b"GET\xc3\x9f /germans.. HTTP/1.1")),
    Case("other-protocol", "gunicorn 004", get(line=b"GET /foo FTP/1.1")),
    Case("version-without-dot", "gunicorn 018", get(line=b"GET /test HTTP/111")),
    Case("version-too-long", "gunicorn prefix_06", get(line=b"GET /the/future HTTP/" + b"1" * 90 + b".1")),
    Case("version-two-digits", "garden server 5", get(line=b"GET /test HTTP/1.32")),
    Case("version-overflow", "garden server 24", get(line=b"GET / HTTP/4294967295.255")),
    Case("version-with-cr", "garden server 15", get(line=b"GET / HTTP/\r\r1.1")),
    Case("version-1.2", "RFC 9110 §2.5", get(line=b"GET / HTTP/1.2"), 505),
    Case("version-2", "gunicorn version_01", get(line=b"GET / HTTP/2.0"), 505),
    Case("version-0.9", "RFC 9112 §2.3", get(line=b"GET / HTTP/0.9"), 505),
    Case("no-version", "HTTP/0.9", b"GET /\r\n\r\n"),
    Case("h2-preface", "RFC 9113 §3.4", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    Case("proxy-line", "gunicorn pp_01", b"PROXY TCP4 192.0.2.1 192.0.2.2 65 80\r\n" + get()),
    Case("two-spaces", "RFC 9112 §3", get(line=b"GET  / HTTP/1.1")),
    Case("space-behind", "RFC 9112 §3", get(line=b"GET / HTTP/1.1 ")),
    Case("space-before", "RFC 9112 §3", get(line=b" GET / HTTP/1.1")),
    Case("tab-for-space", "RFC 9112 §3", get(line=b"GET\t/\tHTTP/1.1")),
    Case("space-in-target", "RFC 9112 §3.2", get(line=b"GET /a b HTTP/1.1")),
    Case("high-byte-in-target", "RFC 9112 §3.2", get(line=b"GET /caf\xc3\xa9 HTTP/1.1")),
    Case("control-in-target", "RFC 9112 §3.2", get(line=b"GET /a\x01b HTTP/1.1")),
    Case("fragment", "HAProxy h1_authority_fragment_char", get(line=b"GET /a#b HTTP/1.1")),
    Case("target-relative", "gunicorn rfc9112_target_relative_01", get(line=b"GET foo HTTP/1.1")),
    Case("target-mark", "garden server 7", get(line=b"GET ! HTTP/1.1")),
    Case("target-asterisk", "gunicorn rfc9112_target_asterisk_non_options_01", get(line=b"GET * HTTP/1.1")),
    Case("target-authority", "gunicorn rfc9112_target_authority_non_connect_01", get(line=b"GET a:80 HTTP/1.1")),
    Case("target-odd-scheme", "gunicorn 016", get(line=b"PUT s://]ufd/: HTTP/1.1")),
    Case("target-other-authority", "envoy absolute_url_*", get(line=b"GET http://b/ HTTP/1.1")),
    Case("target-userinfo", "RFC 9110 §4.2.4", get(line=b"GET http://x@a/ HTTP/1.1")),
    Case("path-nul", "design.md §2.3", get(line=b"GET /a%00b HTTP/1.1")),
    Case("path-leaves-root", "design.md §2.3", get(line=b"GET /a/../../b HTTP/1.1")),
    Case("path-leaves-root-encoded", "design.md §2.3", get(line=b"GET /%2e%2e/b HTTP/1.1")),
    Case("not-http-at-all", "TLS to a plain port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    Case("three-empty-lines", "RFC 9112 §2.2", b"\r\n\r\n\r\n" + get()),
]


def host(fields: bytes) -> bytes:
    """A request with these fields and no other."""
    return b"GET / HTTP/1.1\r\n" + fields + b"\r\n"


HOSTS = [
    Case("missing", "RFC 9112 §3.2", host(b"X: y\r\n")),
    Case("twice", "gunicorn 042", host(b"Host: a\r\nHost: evil.example.com\r\n")),
    Case("twice-alike", "RFC 9112 §3.2", host(b"Host: a\r\nhost: a\r\n")),
    Case("list", "nginx http_host", host(b"Host: a, b\r\n")),
    Case("userinfo", "nginx http_host", host(b"Host: user@a\r\n")),
    Case("bad-port", "nginx http_host", host(b"Host: a:8o\r\n")),
    Case("port-too-long", "nginx http_host", host(b"Host: a:123456\r\n")),
    Case("path", "nginx http_host", host(b"Host: a/b\r\n")),
    Case("space", "nginx http_host", host(b"Host: a b\r\n")),
    Case("fragment", "HAProxy h1_authority_fragment_char", host(b"Host: a#b\r\n")),
    Case("open-bracket", "nginx http_host", host(b"Host: [::1\r\n")),
    Case("underscore-equals", "gunicorn 011", host(b"Host: 0.0.0.0=5000\r\n")),
]

HOPS = [
    Case("names-content-length", "CVE-2025-48865", post(b"Connection: content-length\r\nContent-Length: 1\r\n", b"x")),
    Case("names-host", "CVE-2025-48865", get(b"Connection: close, HOST\r\n")),
    Case("names-authorization", "CVE-2025-48865", get(b"Connection: authorization\r\nAuthorization: x\r\n")),
    Case("names-coding", "CVE-2025-48865", post(b"Connection: transfer-encoding\r\n" + TE, CHUNKS)),
    Case("names-tenant", "design.md §2.2", get(b"Connection: x-tenant-id\r\nX-Tenant-Id: t\r\n")),
    Case("names-tenant-underscored", "CVE-2025-64484", get(b"Connection: X_Tenant_Id\r\n")),
    Case("tenant-twice", "distributed.md §11", get(b"X-Tenant-Id: a\r\nx-tenant-id: b\r\n")),
    Case(
        "h2c",
        "HAProxy h1_to_h2_upgrade",
        get(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"),
    ),
    Case("h2c-in-a-list", "HAProxy h1_to_h2_upgrade", get(b"Connection: upgrade\r\nUpgrade: websocket, H2C\r\n")),
    Case(
        "upgrade-with-body",
        "GHSA-mfx4-hv73-q22v",
        post(b"Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 1\r\n", b"x"),
    ),
    Case("upgrade-with-chunks", "GHSA-mfx4-hv73-q22v", post(b"Connection: upgrade\r\nUpgrade: x\r\n" + TE, CHUNKS)),
    Case("other-expectation", "RFC 9110 §10.1.1", post(b"Expect: 200-ok\r\nContent-Length: 1\r\n", b"x"), 417),
    Case(
        "two-expectations",
        "RFC 9110 §10.1.1",
        post(b"Expect: 100-continue\r\nExpect: x\r\nContent-Length: 1\r\n", b"x"),
    ),
]

SIZES = [
    Case("fields", "nginx http_max_headers", get(b"X: y\r\n" * 100), 431),
    Case("line", "gunicorn limit_line_default_01", get(b"X: " + b"a" * 9000 + b"\r\n"), 431),
    Case("name", "nginx http_header_buffers", get(b"a" * 9000 + b": x\r\n"), 431),
    Case("request-line", "gunicorn 006", get(line=b"GET /" + b"a" * 9000 + b" HTTP/1.1"), 431),
    Case("head", "gunicorn 007", get(b"".join(b"X-%d: %b\r\n" % (n, b"a" * 4000) for n in range(9))), 431),
    Case("endless-line", "gunicorn limit_header_default_01", b"GET / HTTP/1.1\r\nX: " + b"a" * 40_000, 431),
]

CHUNK_SIZES = [
    Case("underscore", "gunicorn chunked_01; garden server 1", post(TE, b"5\r\nhello\r\n6_0\r\n world\r\n0\r\n\r\n")),
    Case("plus", "gunicorn rfc9112_chunked_size_plus_sign_01", post(TE, b"+5\r\nhello\r\n0\r\n\r\n")),
    Case("minus", "gunicorn rfc9112_chunked_size_minus_sign_01", post(TE, b"-5\r\nhello\r\n0\r\n\r\n")),
    Case("hex-prefix", "garden server 25", post(TE, b"0x5\r\nhello\r\n0\r\n\r\n")),
    Case("space-behind", "gunicorn chunked_09", post(TE, b"5\r\nhello\r\n0 \r\n\r\n")),
    Case("space-before", "gunicorn chunked_10", post(TE, b"5\r\nhello\r\n 0\r\n\r\n")),
    Case("lf-in-extension", "gunicorn chunked_11", post(TE, b"5\n;\r\nhello\r\n0\r\n\r\n")),
    Case("extension-only", "gunicorn chunked_12", post(TE, b" ;foo=bar\r\nhello\r\n0\r\n\r\n")),
    Case("nothing", "gunicorn chunked_13; garden server 17", post(TE, b"\r\nhello\r\n0\r\n\r\n")),
    Case("cr-in-extension", "gunicorn chunked_14", post(TE, b"5;ext=val\rue\r\nhello\r\n0\r\n\r\n")),
    Case("extension-empty", "aiohttp refuses it", post(TE, b"5;\r\nhello\r\n0\r\n\r\n")),
    Case("extension-comma", "aiohttp refuses it", post(TE, b"5;a=b,\r\nhello\r\n0\r\n\r\n")),
    Case("extension-behind-a-space", "aiohttp refuses it", post(TE, b"5 ;a\r\nhello\r\n0\r\n\r\n")),
    Case("extension-open-quote", "RFC 9112 §7.1.1", post(TE, b'5;a="b\r\nhello\r\n0\r\n\r\n')),
    Case("bare-lf", "http-garden", post(TE, b"5\nhello\n0\n\n")),
    Case("prefix-of-a-number", "garden server 22", post(TE, b"0_2e\r\n\r\n" + INNER)),
    Case("seventeen-digits", "distributed.md §11", post(TE, b"00000000000000005\r\nhello\r\n0\r\n\r\n")),
    Case("64-bits", "garden transducer", post(TE, b"FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n")),
    Case("wraps-around", "HAProxy CVE-2021-40346's kind", post(TE, b"10000000000000005\r\nhello\r\n0\r\n\r\n")),
    Case("data-too-long", "RFC 9112 §7.1", post(TE, b"5\r\nhelloo\r\n0\r\n\r\n")),
    Case("data-too-short", "RFC 9112 §7.1", post(TE, b"6\r\nhello\r\n0\r\n\r\n")),
    Case("two-bytes-for-crlf", "garden: terminator not checked", post(TE, b"5\r\nhelloXX0\r\n\r\n")),
    Case("extension-too-long", "distributed.md §11", post(TE, b"5;" + b"a" * 300 + b"\r\nhello\r\n0\r\n\r\n")),
    Case(
        "trailer-length",
        "gunicorn rfc9110_trailer_forbidden_cl_01",
        post(TE, b"5\r\nhello\r\n0\r\nContent-Length: 99\r\n\r\n"),
    ),
    Case(
        "trailer-host", "gunicorn rfc9110_trailer_forbidden_host_01", post(TE, b"5\r\nhello\r\n0\r\nHost: evil\r\n\r\n")
    ),
    Case(
        "trailer-coding",
        "gunicorn rfc9110_trailer_forbidden_te_01",
        post(TE, b"0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ),
    Case("trailer-authorization", "distributed.md §11", post(TE, b"0\r\nAuthorization: Bearer x\r\n\r\n")),
    Case("trailer-tenant", "distributed.md §11", post(TE, b"0\r\nX-Tenant-Id: t\r\n\r\n")),
    Case("trailer-tenant-underscored", "CVE-2025-64484", post(TE, b"0\r\nX_TENANT_ID: t\r\n\r\n")),
    Case("trailer-folded", "RFC 9112 §5.2", post(TE, b"0\r\nX: y\r\n z\r\n\r\n")),
    Case("trailer-bare-lf", "http-garden", post(TE, b"0\r\nX: y\nZ: w\r\n\r\n")),
    Case("trailer-no-colon", "http-garden", post(TE, b"0\r\nGET /inner HTTP/1.1\r\n\r\n")),
]
"""What is wrong stands in the body: also sent behind a head that went on already."""

HEADS = {
    "framing": FRAMING,
    "fields": FIELDS,
    "lines": LINES,
    "hosts": HOSTS,
    "hops": HOPS,
    "sizes": SIZES,
}
