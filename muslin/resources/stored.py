"""Reading what somebody else stored: fields that a newer version knows do not make an object unreadable.

In a file an unknown field is a mistake and refused (`load`). In a datastore it is mostly a newer version's, and whoever
leaves the whole object out does more harm than whoever leaves out the field. The one exception is a rule: there an
unknown field may narrow what the rule is about. A rule that denies then denies more; every other rule with such a
field is left out, so that nothing is allowed which its author did not mean. A status of a kind that has none with us
is a report of somebody else's: nothing is to be said of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from muslin.errors import BadInput, Problem
from muslin.resources.base import API_VERSION, Resource
from muslin.resources.loading import load
from muslin.resources.places import FieldPath, place_of
from muslin.resources.registry import KINDS, OF_KUBERNETES

__all__ = ["has_status", "load_stored"]

_STATUS: Final = ("status",)
_DIRECTIONS: Final = {"ingress": "Ingress", "egress": "Egress"}


def load_stored(value: Mapping[str, Any], file: str) -> tuple[Resource, tuple[Problem, ...]]:
    """The resource that a stored object describes, and what was left out of it.

    Args:
        value: the object as JSON.
        file: name of the place to show, such as its key.

    Raises:
        BadInput: with every problem of an object that can't be read even so.
    """
    try:
        return load(value, file=file), ()
    except BadInput as error:
        unknown = _unknown(value)
        if not unknown:
            raise
        pruned, problems = _pruned(value, unknown, file, {problem.where: problem.fix for problem in error.problems})
        return load(pruned, file=file), problems


def has_status(kind: str) -> bool:
    """Whether objects of this kind have a status that we know."""
    info = KINDS.get(kind)
    return info is not None and "status" in info.model.model_fields


def _unknown(value: Mapping[str, Any]) -> tuple[FieldPath, ...]:
    """Where fields stand that the model does not have."""
    info = KINDS.get(str(value.get("kind"))) or OF_KUBERNETES.get(str(value.get("kind")))
    if info is None or value.get("apiVersion") != API_VERSION:
        return ()
    try:
        info.model.model_validate(dict(value), by_alias=True, by_name=False)
    except ValidationError as error:
        return tuple(each["loc"] for each in error.errors(include_url=False) if each["type"] == "extra_forbidden")
    except RecursionError:
        pass
    return ()


def _pruned(
    value: Mapping[str, Any], unknown: tuple[FieldPath, ...], file: str, fixes: Mapping[str, str]
) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    """The object without these fields, and without the rules that are not to be trusted without them."""
    left_out: set[FieldPath] = set()
    problems = []
    for path in unknown:
        if path == _STATUS:
            left_out.add(path)
            continue
        rule = path[:3]
        in_rule = len(path) > 3 and path[0] == "spec" and path[1] in _DIRECTIONS
        drop = in_rule and _action(value, rule) != "Deny"
        left_out.add(rule if drop else path)
        what = f"unknown field {path[-1]!r}: " + ("the rule that has it is left out" if drop else "it is left out")
        where = str(place_of(path, None, file))
        problems.append(
            Problem(what, where, f"{fixes.get(where, 'remove it')}; or upgrade this program, which may know it")
        )
    pruned = _without((), dict(value), left_out)
    if any(len(path) == 3 and path[1] in _DIRECTIONS for path in left_out):
        _keep_directions(value, pruned)
    return pruned, tuple(problems)


def _action(value: Mapping[str, Any], rule: FieldPath) -> Any:
    found: Any = value
    for step in (*rule, "action"):
        found = found[step]
    return found


def _without(at: FieldPath, value: Any, left_out: set[FieldPath]) -> Any:
    if isinstance(value, Mapping):
        return {key: _without((*at, key), it, left_out) for key, it in value.items() if (*at, key) not in left_out}
    if isinstance(value, (list, tuple)):
        return [_without((*at, i), it, left_out) for i, it in enumerate(value) if (*at, i) not in left_out]
    return value


def _keep_directions(value: Mapping[str, Any], pruned: dict[str, Any]) -> None:
    """A policy without types is about the directions it has rules for: that must not change with a rule left out."""
    spec = value["spec"]
    if value["kind"] == "Profile" or spec.get("types"):
        return
    had = [word for field, word in _DIRECTIONS.items() if spec.get(field)]
    pruned["spec"]["types"] = had
