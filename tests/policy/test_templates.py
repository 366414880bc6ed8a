"""Templates: placeholders, escaping for their place, and texts of the environment, which stay as they are."""

from __future__ import annotations

import pytest

from proxy.policy.environment import substitute
from proxy.policy.templates import JsonTemplate, Missing, TextTemplate, escape_header, escape_url


def test_placeholders_are_filled_and_escaped() -> None:
    template = TextTemplate("/Jobs('{header:X-Job-Id}')/{waited}")
    assert template.names == {"header:x-job-id", "waited"}
    assert template.fill({"header:x-job-id": "a'/b", "waited": "3"}, escape_url) == "/Jobs('a%27%27%2Fb')/3"


def test_what_the_request_lacks_is_missing() -> None:
    with pytest.raises(Missing):
        TextTemplate("{ticket}").fill({})
    with pytest.raises(Missing):
        JsonTemplate({"a": ["{ticket}"]}).fill({})


@pytest.mark.parametrize("text", ["{nope}", "{waited:x}", "{header}", "{header:}"])
def test_unknown_placeholders_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"placeholder|wants a header"):
        TextTemplate(text)


def test_a_header_value_cannot_end_its_line() -> None:
    assert escape_header("a\r\nb: cé") == "a??b: c?"


def test_json_keeps_everything_but_texts() -> None:
    template = JsonTemplate({"a": [1, None, True, "{waited}s"], "b": TextTemplate("x{tenant}")})
    assert template.names() == {"waited", "tenant"}
    assert template.fill({"waited": "3", "tenant": '"'}) == {"a": [1, None, True, "3s"], "b": 'x"'}


def test_texts_of_the_environment_are_literal_and_not_shown() -> None:
    text, faults = substitute("a ${S} {waited} ${T:-{}", {"S": "{waited}"})
    assert faults == [('"${T:-" is not a reference', "write ${NAME} or ${NAME:-default}")]
    text, faults = substitute("a ${S} {waited} ${T:-d}", {"S": "{waited}"})
    template = TextTemplate(text)
    assert faults == []
    assert template.fill({"waited": "3"}) == "a {waited} 3 d"
    assert repr(template) == "TextTemplate('a ${S} {waited} ${T:-d}')"
    assert template.text == "a ${S} {waited} ${T:-d}"


def test_templates_that_say_the_same_are_equal() -> None:
    same, _ = substitute("${A}{waited}", {"A": "x"})
    assert TextTemplate(same) == TextTemplate("x{waited}")
    assert hash(TextTemplate(same)) == hash(TextTemplate("x{waited}"))
    assert TextTemplate("x{waited}") != TextTemplate("x{eta}")
