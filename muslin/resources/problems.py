"""From pydantic's errors to problems in the user's words: the only place that knows pydantic's vocabulary."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from muslin.errors import Problem
from muslin.resources.part import BROKEN_RULES, Part
from muslin.resources.places import FieldPath, Places, place_of
from muslin.resources.secrecy import HIDDEN, within_secret

__all__ = ["misspelt_case", "nearest", "problems_of"]

_SHOWN = 60


def nearest(word: str, known: typing.Iterable[str]) -> str | None:
    """The known word that somebody who wrote this one probably meant."""
    folded = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def problems_of(
    error: ValidationError, model: type[Part], places: Places | None, file: str | None
) -> tuple[Problem, ...]:
    """Every problem that pydantic found in an object, in the order of the fields, each once."""
    found: dict[Problem, None] = {}
    for details in error.errors(include_url=False):
        if details["type"] == BROKEN_RULES:
            for breach in details["ctx"]["breaches"]:
                where = str(place_of((*details["loc"], *breach.path), places, file))
                found[Problem(breach.what, where, breach.fix, breach.source)] = None
            continue
        if details["type"] == "too_short" and len(details["input"]) >= details["ctx"]["min_length"]:
            continue  # pydantic counts only the entries that are right; what is wrong with the others is told
        path, what, fix = _translate(details, model)
        place = place_of(path, places, file, of_name=details["type"] == "extra_forbidden")
        found[Problem(what, str(place), fix)] = None
    return tuple(found)


def misspelt_case(error: ValidationError, model: type[Part]) -> dict[FieldPath, str]:
    """Mapping[place of an unknown field, name of the field that it is but for capitals], which Go takes it for."""
    found: dict[FieldPath, str] = {}
    for details in error.errors(include_url=False):
        if details["type"] == "extra_forbidden":
            path: FieldPath = details["loc"]
            wanted = str(path[-1]).lower()
            if meant := next((known for known in _fields_at(model, path[:-1]) if known.lower() == wanted), None):
                found[path] = meant
    return found


def _translate(details: ErrorDetails, model: type[Part]) -> tuple[FieldPath, str, str]:
    path: FieldPath = details["loc"]
    context: Mapping[str, Any] = details.get("ctx", {})
    given, name = HIDDEN if within_secret(path) else _show(details["input"]), _name(path)
    match details["type"]:
        case "extra_forbidden":
            return path, f"unknown field {name!r}", _fix_unknown(str(path[-1]), model, path[:-1])
        case "missing":
            return path, f"{name!r} is missing", f"set {name}"
        case "enum" | "literal_error" | "word":
            allowed = _allowed(context)
            meant = nearest(str(details["input"]), allowed)
            listed = ", ".join(f'"{word}"' for word in allowed)
            fix = f"did you mean {meant}?" if meant else f"use one of {', '.join(allowed)}"
            return path, f"{given} is not allowed for {name!r}; supported values: {listed}", fix
        case "value_error":
            return path, str(context["error"]), f"correct {name}"
        case "string_type" | "string_sub_type" | "string_unicode":
            return path, f"{name!r} must be text, not {given}", "write it in quotes"
        case "bool_type":
            return path, f"{name!r} must be true or false, not {given}", "write true or false, without quotes"
        case "int_type" | "int_from_float" | "int_parsing" | "int_parsing_size":
            return path, f"{name!r} must be a whole number, not {given}", "write a whole number, without quotes"
        case "float_type" | "float_parsing" | "finite_number":
            return path, f"{name!r} must be a number, not {given}", "write a number, without quotes"
        case "tuple_type" | "list_type" | "iterable_type":
            return (
                path,
                f"{name!r} must be a list, not {given}",
                "write a list, each entry on a line beginning with '-'",
            )
        case "model_type" | "model_attributes_type" | "dict_type" | "mapping_type" | "dict_attributes_type":
            return path, f"{name!r} must be a mapping of fields, not {given}", "write fields and values below it"
        case "greater_than_equal" | "greater_than" | "less_than_equal" | "less_than":
            return (
                path,
                f"{given} is out of range for {name!r}",
                f"{name} must be {_BOUNDS[details['type']]} {_bound(context)}",
            )
        case "string_too_long":
            return path, f"{name!r} is too long", f"use at most {context['max_length']} characters"
        case "string_pattern_mismatch":
            return path, f"{given} has not the form of {name!r}", f"it must match {context['pattern']}"
        case "too_short" | "string_too_short":
            return path, f"{name!r} must not be empty", f"set {name}"
        case "too_long":
            return path, f"{name!r} must have at most {context['max_length']} items", "remove entries"
        case _:
            return path, f"{given} is not allowed for {name!r}", f"correct {name}"


_BOUNDS = {"greater_than_equal": "at least", "greater_than": "over", "less_than_equal": "at most", "less_than": "under"}


def _bound(context: Mapping[str, Any]) -> Any:
    return next(context[key] for key in ("ge", "gt", "le", "lt") if key in context)


def _allowed(context: Mapping[str, Any]) -> tuple[str, ...]:
    if "allowed" in context:
        return tuple(context["allowed"])
    return tuple(word.strip("' ") for word in context["expected"].replace(" or ", ", ").split(", "))


def _name(path: FieldPath) -> str:
    if not path:
        return "the object"
    last = path[-1]
    if isinstance(last, int):
        return f"{_name(path[:-1])}[{last}]"
    return last


def _show(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case list() | tuple():
            return "a list"
        case dict():
            return "a mapping"
    shown = repr(value)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."


def _fix_unknown(field: str, model: type[Part], path: FieldPath) -> str:
    known = _fields_at(model, path)
    meant = nearest(field, known)
    if meant is not None:
        return f"did you mean {meant}?"
    return f"remove it; known fields here: {', '.join(sorted(known))}" if 0 < len(known) <= 20 else "remove it"


def _fields_at(model: type[Part], path: FieldPath) -> tuple[str, ...]:
    current: Any = model
    for step in path:
        part = _part_in(current)
        if part is not None and isinstance(step, str):
            current = next((field.annotation for field in part.model_fields.values() if field.alias == step), None)
    part = _part_in(current)
    return tuple(field.alias or name for name, field in part.model_fields.items()) if part is not None else ()


def _part_in(annotation: Any) -> type[Part] | None:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias) and issubclass(annotation, Part):
        return annotation
    for argument in typing.get_args(annotation):
        found = _part_in(argument)
        if found is not None:
            return found
    return None
