"""Patches on JSON values: strategic merge as Kubernetes defines it for Calico's kinds, merge patch, JSON patch.

Calico's types carry no merge keys, so a list in a strategic patch replaces the whole list, but for what the patch says
by `$patch`, `$retainKeys` and `$deleteFromPrimitiveList/...`. Lists of the metadata have their own keys.
Sources: RFC 7386 (merge), RFC 6902 (JSON); Kubernetes' API conventions (strategic).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["PatchRefused", "json_patch", "merge_patch", "strategic_merge"]

_MERGE_KEYS = {"ownerReferences": "uid"}
_PRIMITIVE_LISTS = frozenset({"finalizers"})
_DELETE_FROM = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


class PatchRefused(ValueError):
    """A patch that makes no sense, or does not fit what it is for; `path` is where in the patch."""

    def __init__(self, what: str, path: str = "") -> None:
        super().__init__(what)
        self.path = path


def merge_patch(value: Any, patch: Any) -> Any:
    """The value with a merge patch applied: null removes, mappings merge, all else replaces."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    merged = dict(value) if isinstance(value, Mapping) else {}
    for name, wanted in patch.items():
        if wanted is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), wanted)
    return merged


def strategic_merge(
    value: Mapping[str, Any], patch: Mapping[str, Any], keys: Mapping[str, str] = _MERGE_KEYS
) -> dict[str, Any]:
    """The value with a strategic merge patch applied. Raises PatchRefused.

    Args:
        value: what is changed; it stays as it is.
        patch: what is said of it.
        keys: Mapping[name of a list of objects, the field that tells these apart], by default those of Calico's kinds.
    """
    directive = patch.get("$patch")
    if directive == "replace":
        return {name: copy.deepcopy(held) for name, held in patch.items() if name != "$patch"}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise PatchRefused(f"unknown $patch: {directive}", "$patch")
    retained = patch.get("$retainKeys")
    kept = value if not isinstance(retained, list) else {name: value[name] for name in value if name in retained}
    merged = dict(kept)
    for name, wanted in patch.items():
        if name.startswith(_DELETE_FROM):
            target = name.removeprefix(_DELETE_FROM)
            held = merged.get(target)
            if isinstance(held, list) and isinstance(wanted, list):
                merged[target] = [each for each in held if each not in wanted]
        elif name in ("$patch", "$retainKeys") or name.startswith(_ORDER):
            continue
        elif wanted is None:
            merged.pop(name, None)
        elif isinstance(wanted, Mapping):
            held = merged.get(name)
            merged[name] = strategic_merge(held if isinstance(held, Mapping) else {}, wanted, keys)
        elif isinstance(wanted, list):
            merged[name] = _lists(name, merged.get(name), wanted, keys)
        else:
            merged[name] = wanted
    return merged


def _lists(name: str, held: Any, wanted: list[Any], keys: Mapping[str, str]) -> list[Any]:
    plain = [each for each in wanted if not (isinstance(each, Mapping) and set(each) == {"$patch"})]
    replaced = len(plain) != len(wanted)
    key = keys.get(name)
    if replaced or not isinstance(held, list) or (key is None and name not in _PRIMITIVE_LISTS):
        return copy.deepcopy([each for each in plain if not (isinstance(each, Mapping) and "$patch" in each)])
    if key is None:
        return [*held, *(each for each in plain if each not in held)]
    merged = list(held)
    for each in plain:
        if not isinstance(each, Mapping) or key not in each:
            raise PatchRefused(f"map: {each} does not contain declared merge key: {key}", name)
        place = next((index for index, old in enumerate(merged) if old.get(key) == each[key]), None)
        if each.get("$patch") == "delete":
            merged = [old for old in merged if old.get(key) != each[key]]
        elif place is None:
            merged.append(copy.deepcopy(each))
        else:
            merged[place] = strategic_merge(merged[place], each, keys)
    return merged


def json_patch(value: Any, patch: Any) -> Any:
    """The value with a JSON patch applied: all of it, or PatchRefused."""
    if not isinstance(patch, Sequence) or isinstance(patch, str):
        raise PatchRefused("a JSON patch is a list of operations")
    changed = copy.deepcopy(value)
    for index, operation in enumerate(patch):
        try:
            changed = _operated(changed, operation)
        except PatchRefused as error:
            raise PatchRefused(str(error), f"[{index}]{error.path}") from None
    return changed


def _operated(value: Any, operation: Any) -> Any:
    if not isinstance(operation, Mapping):
        raise PatchRefused("an operation is an object with op and path")
    known: Mapping[str, Callable[[Any, Mapping[str, Any]], Any]] = {
        "add": lambda whole, each: _put(whole, _steps(each, "path"), _wanted(each), insert=True),
        "replace": lambda whole, each: _put(whole, _steps(each, "path"), _wanted(each), insert=False),
        "remove": lambda whole, each: _removed(whole, _steps(each, "path")),
        "test": _tested,
        "copy": lambda whole, each: _put(
            whole, _steps(each, "path"), copy.deepcopy(_at(whole, _steps(each, "from"))), insert=True
        ),
        "move": _moved,
    }
    name = operation.get("op")
    if not isinstance(name, str) or name not in known:
        raise PatchRefused(f"unknown operation {name!r}", ".op")
    return known[name](value, operation)


def _wanted(operation: Mapping[str, Any]) -> Any:
    if "value" not in operation:
        raise PatchRefused("the operation has no value", ".value")
    return copy.deepcopy(operation["value"])


def _tested(value: Any, operation: Mapping[str, Any]) -> Any:
    if _at(value, _steps(operation, "path")) != _wanted(operation):
        raise PatchRefused(f"the value at {operation['path']} is another", ".value")
    return value


def _moved(value: Any, operation: Mapping[str, Any]) -> Any:
    source, target = _steps(operation, "from"), _steps(operation, "path")
    if source == target[: len(source)] and source != target:
        raise PatchRefused("a value can't be moved into itself", ".path")
    held = _at(value, source)
    return _put(_removed(value, source), target, held, insert=True)


def _steps(operation: Mapping[str, Any], field: str) -> list[str]:
    path = operation.get(field)
    if not isinstance(path, str) or (path and not path.startswith("/")):
        raise PatchRefused(f"{field} is not a JSON pointer such as /spec/order", f".{field}")
    return [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]


def _at(value: Any, steps: list[str]) -> Any:
    for step in steps:
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, list):
            value = value[_index(step, len(value) - 1)]
        else:
            raise PatchRefused(f"there is no /{'/'.join(steps)}", ".path")
    return value


def _index(step: str, last: int) -> int:
    if not (step.isascii() and step.isdigit() and len(step) < 10) or int(step) > last:
        raise PatchRefused(f"{step!r} is no position in the list", ".path")
    return int(step)


def _put(value: Any, steps: list[str], wanted: Any, *, insert: bool) -> Any:
    if not steps:
        return wanted
    parent, name = _at(value, steps[:-1]), steps[-1]
    if isinstance(parent, dict):
        if not insert and name not in parent:
            raise PatchRefused(f"there is no /{'/'.join(steps)}", ".path")
        parent[name] = wanted
    elif isinstance(parent, list):
        if insert:
            parent.insert(len(parent) if name == "-" else _index(name, len(parent)), wanted)
        else:
            parent[_index(name, len(parent) - 1)] = wanted
    else:
        raise PatchRefused(f"/{'/'.join(steps[:-1])} holds nothing", ".path")
    return value


def _removed(value: Any, steps: list[str]) -> Any:
    if not steps:
        raise PatchRefused("the whole object can't be removed", ".path")
    _at(value, steps)
    parent, name = _at(value, steps[:-1]), steps[-1]
    if isinstance(parent, list):
        del parent[_index(name, len(parent) - 1)]
    else:
        del parent[name]
    return value
