"""Small changes to messages that were in order: the stuff that two readers of one message come apart over."""

from __future__ import annotations

from hypothesis import strategies as st

Mutation = tuple[str, int, int, bytes]
"""What is done, at which byte or line, to how many bytes, and with which part."""

ODD_BYTES = [b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b"\0", b"\x0b", b"\x85", b"\xa0", b"\xff"]
ODD_WORDS = [b":", b";", b",", b'"', b"_", b"%", b"+", b"-", b"x", b"0", b"1", b"5", b"A", b"0x", b"00000000000000"]
ODD_LINES = [
    b"\r\nTransfer-Encoding: chunked\r\n",
    b"\r\nContent-Length: 3\r\n",
    b"\r\nContent-Length: 5\r\n",
    b"\r\nConnection: close\r\n",
    b"\r\nConnection: upgrade\r\nUpgrade: x\r\n",
    b"\r\nContent_Length: 3\r\n",
    b"\r\n folded\r\n",
    b"chunked",
    b"5\r\nhello\r\n0\r\n\r\n",
]


def mutate(data: bytes, mutation: Mutation) -> bytes:
    """One change: at a byte, or to the line behind ``at`` lines."""
    kind, at, size, part = mutation
    lines = data.split(b"\r\n")
    line, at = at % len(lines), at % (len(data) + 1)
    match kind:
        case "insert":
            return data[:at] + part + data[at:]
        case "delete":
            return data[:at] + data[at + size :]
        case "replace":
            return data[:at] + part + data[at + len(part) :]
        case "repeat":
            return b"\r\n".join([*lines[:line], lines[line], *lines[line:]])
        case "prepend":
            return b"\r\n".join([*lines[:line], part + lines[line], *lines[line + 1 :]])
        case "append":
            return b"\r\n".join([*lines[:line], lines[line] + part, *lines[line + 1 :]])
        case _:
            return b"\r\n".join([*lines[: line + 1], part.strip(b"\r\n"), *lines[line + 1 :]])


def mutations(*parts: bytes) -> st.SearchStrategy[list[Mutation]]:
    """One or two changes, also with these parts."""
    return st.lists(
        st.tuples(
            st.sampled_from(["insert", "delete", "replace", "repeat", "prepend", "append", "line"]),
            st.integers(0, 400),
            st.integers(1, 12),
            st.sampled_from([*ODD_BYTES, *ODD_WORDS, *ODD_LINES, *parts]) | st.binary(min_size=1, max_size=3),
        ),
        min_size=1,
        max_size=2,
    )
