"""The kinds of values a policy holds: how each is checked, and what it is called in the reference.

A kind takes the plain value of the YAML and gives the value the compiled policy wants, or says what is
wrong with a hint. What came from the environment is a text in YAML's eyes; a kind reads the number in it
where a number is wanted, and never shows it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from proxy.domain.ids import Seconds
from proxy.domain.labels import SelectorError, parse_labels
from proxy.domain.pods import LabelTerm
from proxy.domain.quantities import QuantityError, Rate, parse_duration, parse_rate, parse_share
from proxy.policy.environment import FromEnvironment
from proxy.policy.mistakes import did_you_mean, shown


def fault(problem: str, hint: str = "") -> PydanticCustomError:
    """A mistake as pydantic carries it; :mod:`proxy.policy.schema_validate` takes it out again."""
    return PydanticCustomError("policy", "wrong", {"problem": problem, "hint": hint})


LATER: Final = "{} is not available in this version"
"""What is said of everything that the contract describes and this version does not do."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value: its name in the reference and its check."""

    label: str
    check: Callable[[object], Any]

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)


@dataclass(frozen=True, slots=True)
class StandIn:
    """What takes the place of a required value that is missing or wrong, so that the rest is still checked."""

    value: object


def _quantity(label: str, parse: Callable[[object], Any], example: str, *, above_zero: bool = False) -> Kind:
    def check(value: object) -> Any:
        try:
            found = parse(value)
        except QuantityError as error:
            if isinstance(value, FromEnvironment):
                raise fault(f"what {shown(value)} holds is not a {label}", f"it must read like {example}") from None
            if not isinstance(value, str | int | float) or isinstance(value, bool):
                raise fault(f"wants a {label}, got {shown(value)}", f"write for example {example}") from None
            if isinstance(value, int | float) and value < 0:
                raise fault(f"a {label} is not negative, got {shown(value)}", f"write for example {example}") from None
            raise fault(error.problem, error.hint) from None
        size = found.per_second if isinstance(found, Rate) else found
        if not math.isfinite(size):
            raise fault(f"{shown(value)} is too large", f"write for example {example}")
        if above_zero and not size > 0:
            raise fault("must be above zero", f"write for example {example}")
        return found

    return Kind(label, check)


def whole_number(least: int, most: int = 1_000_000_000) -> Kind:
    """An integer within bounds."""

    def check(value: object) -> int:
        if isinstance(value, FromEnvironment):
            if not re.fullmatch(r"[0-9]{1,10}", value) or not least <= int(value) <= most:
                raise fault(f"what {shown(value)} holds is not a whole number from {least} to {most}")
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            hint = "leave the quotes out" if isinstance(value, str) and value.isdigit() else f"write {max(least, 4)}"
            raise fault(f"wants a whole number, got {shown(value)}", hint)
        if value < least:
            raise fault(
                f"must be at least {least}, got {value}",
                "numbers here are never negative" if least == 0 else "",
            )
        if value > most:
            raise fault(f"must be at most {most}, got {value}")
        return value

    return Kind(f"whole number, at least {least}", check)


def _seats(value: object) -> int:
    if value == "auto":
        raise fault(LATER.format('"auto"'), "write how many seats there are")
    number: int = _SEATS.check(value)
    return number


def _version(value: object) -> int:
    if isinstance(value, bool) or value != 1:
        raise fault(f"this version reads policies of version 1, got {shown(value)}", "write: version: 1")
    return 1


def _weight(value: object) -> float:
    hint = "a weight is a share: 2 gets twice what 1 gets"
    if isinstance(value, FromEnvironment):
        try:
            number = float(value)
        except ValueError:
            raise fault(f"what {shown(value)} holds is not a number", hint) from None
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise fault(f"wants a number, got {shown(value)}", hint)
    else:
        number = float(value)
    if not (number > 0 and math.isfinite(number) and number <= 1e9):
        raise fault(f"must be above 0 and at most 1000000000, got {shown(value)}", hint)
    return number


def _flag(value: object) -> bool:
    if isinstance(value, FromEnvironment) and value in ("true", "false"):
        return value == "true"
    if not isinstance(value, bool):
        raise fault(f"wants true or false, got {shown(value)}", "write true or false; yes, no, on and off are texts")
    return value


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    hint = "put it into quotes" if isinstance(value, bool | int | float) else ""
    raise fault(f"wants a text, got {shown(value)}", hint)


def _secret(value: object) -> str:
    """A text that may be a credential: what stands there instead is not shown either."""
    if not isinstance(value, str):
        raise fault("wants a text", "put it into quotes")
    return value


def choice(*names: str, later: tuple[str, ...] = ()) -> Kind:
    """One of a few words; those in ``later`` are told apart from mistakes."""

    def check(value: object) -> str:
        text = _text(value)
        if text in names:
            return str(text)
        if text in later:
            raise fault(LATER.format(shown(value)), "this version has: " + ", ".join(names))
        raise fault(f"{shown(value)} is none of the choices", did_you_mean(text, names))

    return Kind(" or ".join(f"`{name}`" for name in names), check)


def _backoff(value: object) -> tuple[Seconds, Seconds]:
    hint = "write for example 500ms..30s: the first pause and the longest"
    text = _text(value)
    first, dots, cap = text.partition("..")
    if not dots:
        raise fault(f"{shown(value)} is not a range of durations", hint)
    try:
        found = parse_duration(str(first)), parse_duration(str(cap))
    except QuantityError as error:
        if isinstance(value, FromEnvironment):
            raise fault(f"what {shown(value)} holds is not a range of durations", hint) from None
        raise fault(error.problem, error.hint) from None
    if not math.isfinite(found[1]) or found[0] > found[1]:
        raise fault("the first pause is longer than the longest", hint)
    return found


def _status(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 100 <= value <= 599:
        raise fault(f"{shown(value)} is not an HTTP status", "a status is a number from 100 to 599")
    return value


def as_list(value: object) -> object:
    """A single text where a list may stand: the list of it."""
    return [value] if isinstance(value, str) else value


def as_names(value: object) -> object:
    """A single text where a list of names may stand: the names in it, divided by commas. So the environment can name
    several."""
    if not isinstance(value, str):
        return value
    names = [name.strip() for name in value.split(",")]
    if isinstance(value, FromEnvironment):
        return [FromEnvironment.of(((name, True),), value.written) for name in names]
    return names


def _labels(value: object) -> tuple[LabelTerm, ...]:
    try:
        return parse_labels(str(_text(value)))
    except SelectorError as error:
        if isinstance(value, FromEnvironment):
            raise fault(f"what {shown(value)} holds is not a label selector", error.hint) from None
        raise fault(f"{shown(value)} is not a label selector: {error.problem}", error.hint) from None


def _per(value: object) -> tuple[str, str]:
    names = ("tenant", "credential", "upstream", "namespace")
    hint = "per is tenant, credential, upstream, namespace or {header: Name}"
    if isinstance(value, Mapping):
        header = value.get("header")
        if set(value) != {"header"} or not isinstance(header, str):
            raise fault("a map here has the key header and nothing else", hint)
        return "header", header
    if isinstance(value, list) or value == "model_group":
        raise fault(LATER.format("a list" if isinstance(value, list) else shown(value)), hint)
    if not isinstance(value, str):
        raise fault(f"wants a text or a map, got {shown(value)}", hint)
    if value not in names:
        raise fault(f"{shown(value)} is none of the choices", did_you_mean(value, names))
    return str(value), ""


def _json(value: object) -> object:
    return value


def _rate(value: object) -> Any:
    if isinstance(value, Mapping):
        raise fault(LATER.format("a rate of several dimensions"), "write one rate: 5/s")
    return _RATE.check(value)


_RATE: Final = _quantity("rate", parse_rate, '"5/s" or "600/m"')

_SEATS: Final = whole_number(0)

Version = Annotated[int, Kind("`1`", _version)]
Text = Annotated[str, Kind("text", _text)]
SecretText = Annotated[str, Kind("text", _secret)]
Flag = Annotated[bool, Kind("`true` or `false`", _flag)]
Duration = Annotated[Seconds, _quantity("duration", parse_duration, '"500ms", "45s" or "30m"')]
PositiveDuration = Annotated[Seconds, _quantity("duration", parse_duration, '"500ms", "45s" or "30m"', above_zero=True)]
RateText = Annotated[Rate, Kind("rate", _rate)]
Share = Annotated[float, _quantity("share", parse_share, '"20%"')]
Backoff = Annotated[tuple[Seconds, Seconds], Kind("duration`..`duration", _backoff)]
Weight = Annotated[float, Kind("number above 0", _weight)]
Seats = Annotated[int, Kind(_SEATS.label, _seats)]
Bound = Annotated[int, _SEATS]
Count = Annotated[int, whole_number(1)]
Status = Annotated[int, Kind("HTTP status", _status)]
PerText = Annotated[tuple[str, str], Kind("`tenant`, `credential`, `upstream`, `namespace` or `{header: Name}`", _per)]
NameTexts = Annotated[list[Text], BeforeValidator(as_names)]
"""A list of names, or a text of names divided by commas."""
LabelsText = Annotated[tuple[LabelTerm, ...], Kind("label selector", _labels)]
Json = Annotated[object, Kind("any JSON", _json)]
