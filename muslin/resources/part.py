"""A part of a resource: a frozen model whose fields carry Calico's names, and its canonical JSON."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from muslin.resources.ports import NamedPort, PortRange, print_port
from muslin.resources.protocols import Protocol, print_protocol
from muslin.resources.spelling import calico_name
from muslin.resources.validation import ChangeRule, ValidationRule
from muslin.resources.written import written_text

__all__ = ["BROKEN_RULES", "Part", "rules_of"]

BROKEN_RULES: Final = "broken_rules"
"""Type of the pydantic error that carries every breach of a model's rules, as `ctx["breaches"]`."""


class Part(BaseModel):
    """One JSON object with known fields.

    Subclasses list rules over several fields in `RULES`, rules about replacement in `CHANGE_RULES`, and in
    `ALWAYS_WRITTEN` the Python names of fields that stand in JSON even when they have their zero value.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=calico_name,
        validate_by_name=True,
        validate_by_alias=True,
        arbitrary_types_allowed=True,
        defer_build=True,
    )

    RULES: ClassVar[tuple[ValidationRule, ...]] = ()
    CHANGE_RULES: ClassVar[tuple[ChangeRule, ...]] = ()
    ALWAYS_WRITTEN: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _null_is_unset(cls, given: Any) -> Any:
        if type(given) is not dict and not isinstance(given, Mapping):
            return given
        if None not in given.values():
            return given
        known = _known(cls)
        return {key: value for key, value in given.items() if value is not None or key not in known}

    @model_validator(mode="after")
    def _keep_rules(self) -> Self:
        breaches = tuple(
            replace(breach, fix=breach.fix or rule.fix, source=f"{type(self).__name__} {rule.name}")
            for rule in rules_of(type(self))
            if rule.holds is None or not rule.holds(self)
            for breach in rule.find(self)
        )
        if breaches:
            message = "; ".join(breach.what for breach in breaches)
            raise PydanticCustomError(BROKEN_RULES, "{message}", {"message": message, "breaches": breaches})
        given = self.__pydantic_fields_set__
        shared = _GIVEN.get(frozenset(given), given)
        if shared is not given:
            object.__setattr__(self, "__pydantic_fields_set__", shared)
        elif len(_GIVEN) < _MOST_GIVEN:
            _GIVEN[frozenset(given)] = given
        return self

    def to_json(self) -> dict[str, Any]:
        """Canonical JSON value: Calico's names in the model's order, unset fields and zero values left out."""
        written: dict[str, Any] = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if value is None or (
                name not in self.ALWAYS_WRITTEN and not field.is_required() and _same(value, field.default)
            ):
                continue
            written[field.alias or name] = _print(value)
        return written


_GIVEN: Final[dict[frozenset[str], set[str]]] = {}
"""Sets of fields that some object gives, each once: pydantic keeps one for every model, and most are alike."""
_MOST_GIVEN: Final = 4096


@cache
def _known(model: type[Part]) -> frozenset[str]:
    return frozenset(spelt for name, field in model.model_fields.items() for spelt in (name, field.alias or name))


@cache
def rules_of(model: type[Part]) -> tuple[ValidationRule, ...]:
    """Every rule over values of this model, those of its base classes first."""
    own = model.__dict__.get("RULES", ())
    inherited = [rule for parent in reversed(model.__mro__[1:]) for rule in parent.__dict__.get("RULES", ())]
    return (*inherited, *own)


def _same(value: Any, default: Any) -> bool:
    return (type(value) is type(default) and bool(value == default)) or (value == default == {})


def _print(value: Any) -> Any:
    match value:
        case Part():
            return value.to_json()
        case tuple():
            return [_print(item) for item in value]
        case dict():
            return {key: _print(item) for key, item in value.items()}
        case enum.Enum():
            return value.value
        case PortRange() | NamedPort():
            return print_port(value)
        case Protocol():
            return print_protocol(value)
        case bool() | None:
            return value
        case int():
            return int(value)
        case float():
            return int(value) if value.is_integer() else value
        case _:  # text, and every value of the field that is written as text
            return written_text(value)
