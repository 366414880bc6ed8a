"""What the shapes of the schema have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict

from proxy.policy.schema_kinds import Text, as_list

ANYWHERE: Final = "http://stand-in.invalid"

Texts = Annotated[list[Text], BeforeValidator(as_list)]
"""A text or a list of texts."""


class Shape(BaseModel):
    """A map of the policy. Unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)

    LATER: ClassVar[Mapping[str, str]] = {}
    """Keys that come with a later version, and what to do until then."""
