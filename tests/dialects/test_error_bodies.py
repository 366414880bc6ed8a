"""What holds for errors of every dialect: ASCII, below 500 bytes, ``code`` and ``message``, the end of the message."""

from __future__ import annotations

import json
from typing import Final

import pytest

from proxy.dialects.base import MAX_BODY, Dialect, error_body
from proxy.dialects.registry import DIALECTS
from proxy.domain.messages import RequestHead
from proxy.domain.problem import Problem
from tests.dialects.heads import request

CALLERS: Final = {
    "nobody known": None,
    "plain": request(method="GET"),
    "unary": request("Content-Type: application/json", "Connect-Protocol-Version: 1"),
    "stream": request("Content-Type: application/connect+json"),
}
LONG: Final = {
    "short": "x",
    "long": "y" * 5000,
    "quotes": '"' * 3000,
    "backslashes": "\\" * 3000,
}
END: Final = "; the place is kept, try again in 2 s"


@pytest.mark.parametrize("middle", LONG.values(), ids=LONG)
@pytest.mark.parametrize("caller", CALLERS.values(), ids=CALLERS)
@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_every_error_fits(dialect: Dialect, caller: RequestHead | None, middle: str) -> None:
    problem = Problem(429, "queue_timeout", f"waited for {middle}{END}", "x", 2)
    body = dialect.render(problem, caller).body
    assert len(body) < 500
    text = body[5:] if body[:1] == b"\x02" else body  # a stream's envelope
    assert text.isascii()
    document = json.loads(text)
    document = document.get("error", document)
    assert document["code"]
    assert document["message"].startswith("waited")
    assert document["message"].endswith(END), "callers without headers read here when to come back"


def test_a_body_that_fits_is_not_touched() -> None:
    text = "z" * (MAX_BODY - len('{"message": "", "n": 1}'))
    body = error_body({"message": text, "n": 1}, "message")
    assert len(body) == MAX_BODY
    assert json.loads(body) == {"message": text, "n": 1}
    shorter = json.loads(error_body({"message": text + "z", "n": 1}, "message"))["message"]
    assert "..." in shorter


def test_texts_give_way_together_down_to_nothing() -> None:
    document = {"a": "a" * 400, "b": '"' * 400, "c": "stays"}
    told = json.loads(error_body(document, "a", "b"))
    assert len(told["a"]) == len(told["b"]) > 100
    assert json.loads(error_body(document, "a", "b", most=30)) == {"a": "", "b": "", "c": "stays"}
    assert document["a"] == "a" * 400, "the caller's document stays"


def test_non_ascii_is_escaped() -> None:
    assert error_body({"message": "schön"}, "message") == b'{"message": "sch\\u00f6n"}'
