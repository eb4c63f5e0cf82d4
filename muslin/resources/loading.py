"""From JSON-like objects to resources and back: `load` collects all problems, `dump` prints canonically."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from muslin.errors import BadInput, Problem
from muslin.resources.base import API_VERSION, Resource
from muslin.resources.places import FieldPath, Places, place_of
from muslin.resources.problems import nearest, problems_of
from muslin.resources.registry import KINDS, OF_KUBERNETES

__all__ = ["dump", "load", "refused_changes"]


def load(obj: Any, places: Places | None = None, file: str | None = None) -> Resource:
    """The resource that an object describes.

    Args:
        obj: JSON-like value, as a YAML or JSON parser gives it.
        places: where its values stand in their text, if that is known.
        file: name of the file to show if `places` knows none.

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
    try:
        return model.model_validate(dict(obj), by_alias=True, by_name=False)
    except ValidationError as error:
        raise BadInput(problems_of(error, model, places, file)) from None
    except RecursionError:
        raise refuse((), "the object is nested too deeply", "flatten it") from None


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
