"""The annotation `pulumi.com/waitFor`: JSONPath conditions of RFC 9535, of the forms that are in use here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = ["conditions", "holds"]

_CONDITION: Final = re.compile(r"jsonpath=\{(?P<path>\..+)\}(?:=(?P<value>.+))?")
_STEP: Final = re.compile(r"\.(?P<name>\w+)|\[\?\(@\.(?P<field>\w+)==(?P<quote>[\"'])(?P<wanted>[^\"']*)(?P=quote)\)\]")


def conditions(annotations: Mapping[str, str]) -> tuple[str, ...]:
    """All of them: the annotation holds one, or a JSON list."""
    given = annotations.get("pulumi.com/waitFor", "")
    return tuple(json.loads(given)) if given.startswith("[") else (given,) if given else ()


def holds(condition: str, value: Mapping[str, Any]) -> bool:
    """Whether the object is as the condition says; ValueError for one that the provider could not parse."""
    parts = _CONDITION.fullmatch(condition)
    if parts is None:
        raise ValueError(f"no condition that is known here: {condition}")
    selected = _selected(parts["path"], [value])
    if not selected:
        return False
    return parts["value"] is None or str(selected[0]) == parts["value"]


def _selected(path: str, nodes: Sequence[Any]) -> list[Any]:
    found, end = list(nodes), 0
    for step in _STEP.finditer(path):
        if step.start() != end:
            break
        end = step.end()
        if step["name"] is not None:
            found = [each[step["name"]] for each in found if isinstance(each, Mapping) and step["name"] in each]
        else:
            members = [each for held in found for each in (held.values() if isinstance(held, Mapping) else held)]
            found = [
                each for each in members if isinstance(each, Mapping) and each.get(step["field"]) == step["wanted"]
            ]
    if end != len(path):
        raise ValueError(f"no path that is known here: {path}")
    return found
