"""From JSON-like objects to resources and back: `load` collects all problems, `dump` prints canonically."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from muslin.errors import BadInput, Problem
from muslin.resources.base import API_VERSION, Resource
from muslin.resources.places import FieldPath, Places, place_of
from muslin.resources.problems import misspelt_case, nearest, problems_of
from muslin.resources.registry import KINDS, OF_KUBERNETES

__all__ = ["dump", "load", "refused_changes"]


def load(obj: Any, places: Places | None = None, file: str | None = None, *, as_calicoctl: bool = False) -> Resource:
    """The resource that an object describes.

    Args:
        obj: JSON-like value, as a YAML or JSON parser gives it.
        places: where its values stand in their text, if that is known.
        file: name of the file to show if `places` knows none.
        as_calicoctl: bear what calicoctl's reading of YAML bears: a number, true or false where text belongs is taken
            as the text, null as an empty one, and the name of a field may be written in any case.

    Raises:
        BadInput: with every problem of the object.
    """

    def refuse(path: FieldPath, what: str, fix: str) -> BadInput:
        return BadInput(Problem(what, str(place_of(path, places, file)), fix))

    if not isinstance(obj, Mapping):
        raise refuse((), "this is not an object with kind and metadata", "begin with apiVersion, kind, metadata")
    kind, version = obj.get("kind"), obj.get("apiVersion")
    if not isinstance(kind, str):
        raise refuse(("kind",), "the object has no kind", f"set kind to one of {', '.join(KINDS)}")
    info = KINDS.get(kind) or OF_KUBERNETES.get(kind)
    if info is None:
        meant = nearest(kind, KINDS)
        raise refuse(
            ("kind",), f"unknown kind {kind!r}", f"did you mean {meant}?" if meant else f"use one of {', '.join(KINDS)}"
        )
    if version != API_VERSION:
        raise refuse(("apiVersion",), f"{kind} has apiVersion {version!r}", f"set apiVersion to {API_VERSION}")
    model = info.model
    given = dict(obj)
    try:
        while True:
            try:
                return model.model_validate(given, by_alias=True, by_name=False)
            except ValidationError as error:
                texts = _scalars_for_text(error) if as_calicoctl else ()
                names = misspelt_case(error, model) if as_calicoctl else {}
                meant = _with(_renamed(given, names), texts)
                if meant == given:  # what is below a field of another name is looked at in the next round
                    raise
                given = meant
    except ValidationError as error:
        raise BadInput(problems_of(error, model, places, file)) from None
    except RecursionError:
        raise refuse((), "the object is nested too deeply", "flatten it") from None


def _renamed(value: Any, names: Mapping[FieldPath, str]) -> Any:
    """The same value with fields called as they are meant; one that is there under both names stays."""
    if not names:
        return value
    steps: dict[str | int, dict[FieldPath, str]] = {}
    for path, name in names.items():
        steps.setdefault(path[0], {})[path[1:]] = name
    if isinstance(value, Mapping):
        found: dict[Any, Any] = {}
        for key, item in value.items():
            below = dict(steps.get(key, {}))
            meant = below.pop((), key)
            known = key if meant in value or meant in found else meant
            found[known] = _renamed(item, below)
        return found
    return [_renamed(item, steps.get(index, {})) for index, item in enumerate(value)]


def _scalars_for_text(error: ValidationError) -> tuple[tuple[FieldPath, str], ...]:
    """Where a scalar stands that should be text, and the text that Go makes of it."""
    return tuple(
        (details["loc"], _go_text(details["input"]))
        for details in error.errors(include_url=False)
        if details["type"] in _NOT_TEXT and isinstance(details["input"], (bool, int, float, types.NoneType))
    )


_NOT_TEXT = frozenset({"string_type", "string_sub_type"})


def _go_text(value: float | None) -> str:
    """A scalar of YAML in Go's words: `true`, `80`, `1.5`, `1e+21`; null leaves a text as it was, which is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    mantissa, e, exponent = repr(value).partition("e")
    mantissa = mantissa.removesuffix(".0")
    return f"{mantissa}e{int(exponent):+03d}" if e else mantissa


def _with(value: Any, texts: tuple[tuple[FieldPath, str], ...]) -> Any:
    """The same value with texts at these places; what is on the way there is copied, nothing else."""
    here = [text for path, text in texts if not path]
    if here:
        return here[0]
    steps: dict[str | int, list[tuple[FieldPath, str]]] = {}
    for path, text in texts:
        steps.setdefault(path[0], []).append((path[1:], text))
    if isinstance(value, Mapping):
        return {key: _with(item, tuple(steps[key])) if key in steps else item for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with(item, tuple(steps[i])) if i in steps else item for i, item in enumerate(value)]
    return value


def dump(resource: Resource) -> dict[str, Any]:
    """The canonical JSON value of a resource: what was not set is left out.

    Keys stand in the order apiVersion, kind, metadata, spec, status. A new value each time; the caller may change it.
    """
    return resource.to_json()


def refused_changes(
    old: Resource, new: Resource, places: Places | None = None, file: str | None = None
) -> tuple[Problem, ...]:
    """What forbids replacing one resource by another of the same key; empty if nothing does."""
    return tuple(
        Problem(
            rule.message, str(place_of(("spec",), places, file)), rule.fix, f"{type(new.spec).__name__} {rule.name}"
        )
        for rule in type(new.spec).CHANGE_RULES
        if not rule.holds(old.spec, new.spec)
    )
