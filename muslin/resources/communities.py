"""BGP communities in writing: `aa:nn` of 16 bits each, or `aa:nn:mm` of 32 bits each."""

from __future__ import annotations

import re
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, Field

from muslin.resources.fields import Text
from muslin.resources.shape import Shape

__all__ = ["CommunityText", "community_problem"]

_STANDARD = re.compile(r"(\d+):(\d+)", re.ASCII)
_LARGE = re.compile(r"(\d+):(\d+):(\d+)", re.ASCII)
_MOST_DIGITS: Final = 40


def community_problem(text: str) -> str | None:
    """What is wrong with the value of a community; None if it is right, empty if it is no community at all."""
    for form, most, bits in ((_STANDARD, 0xFFFF, 16), (_LARGE, 0xFFFFFFFF, 32)):
        match = form.fullmatch(text)
        if match:
            right = all(len(number) <= _MOST_DIGITS and int(number) <= most for number in match.groups())
            return None if right else f"invalid community value, expected {bits} bit value"
    return ""


def _strict(value: str) -> str:
    problem = community_problem(value)
    if problem is not None:
        raise ValueError(f"{value!r}: {problem or 'it is not a community such as 64496:100 or 64496:100:200'}")
    if any(len(number) > 1 and number.startswith("0") for number in value.split(":")):
        raise ValueError(f"{value!r} is not a community such as 64496:100: a number begins with 0")
    return value


_NUMBER: Final = r"(0|[1-9][0-9]*)"

CommunityText: TypeAlias = Annotated[
    Text,
    Field(max_length=32),
    AfterValidator(_strict),
    Shape({"pattern": rf"^{_NUMBER}:{_NUMBER}(:{_NUMBER})?$"}),
]
"""A community in a filter; numbers have no leading zero."""
