"""Whether an object of a program differs from what it was left as: as Pulumi's Kubernetes provider finds it.

What the API answered to the last write is cut to the shape of what was asked for then, lists by index, and compared
with what is asked for now. So a field that the server takes out or writes otherwise differs for ever, and so does an
entry that the server puts elsewhere in a list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.stacks.engine.values import UNKNOWN

__all__ = ["cut", "differs"]

_OF_THE_SERVER: Final = (
    "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields",
    "resourceVersion", "uid",
)  # fmt: skip


def differs(live: Mapping[str, Any], former: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether there is something to update: `live` as last answered, `former` as asked for then, `wanted` now."""
    if "stringData" in wanted or "data" in wanted:  # the provider compares these encoded: the same in the end
        return former != wanted
    return _normal(cut(live, former)) != _normal(wanted)


def cut(live: Any, shape: Any) -> Any:
    """The live value without what the shape does not have."""
    if isinstance(live, Mapping) and isinstance(shape, Mapping):
        return {name: cut(each, shape[name]) for name, each in live.items() if name in shape}
    if isinstance(live, list) and isinstance(shape, list):
        if live and shape and type(live[0]) is not type(shape[0]):
            return live
        return [cut(each, asked) for each, asked in zip(live, shape, strict=False)]
    return live


def _normal(value: Mapping[str, Any]) -> dict[str, Any]:
    metadata = value.get("metadata")
    if not isinstance(metadata, Mapping):
        return {**value, "metadata": UNKNOWN}
    kept = {name: each for name, each in metadata.items() if name not in _OF_THE_SERVER}
    return {name: each for name, each in {**value, "metadata": kept}.items() if not name.startswith("__")}
