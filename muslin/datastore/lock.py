"""The lock of a whole datastore: ClusterInformation's `datastoreReady`. While it is false agents take on no new work.

It does not keep anybody from writing. Source: calico.md sections 2.18 and 10.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from muslin.datastore.initialize import CLUSTER_INFORMATION
from muslin.datastore.protocol import Conflict, Datastore, Entry, Json
from muslin.errors import Problem, Unavailable

__all__ = ["change_information", "is_ready", "set_ready", "spec_of"]

_TRIES: Final = 20
"""Each further one means that another process wrote ClusterInformation in between."""


def spec_of(value: Json) -> dict[str, Any]:
    """An object's spec, a new dictionary; empty where there is none."""
    spec = value.get("spec")
    return dict(spec) if isinstance(spec, Mapping) else {}


def is_ready(information: Json) -> bool:
    """Whether agents may work: only a plain `false` locks, as Calico reads it."""
    return spec_of(information).get("datastoreReady") is not False


async def set_ready(store: Datastore, *, ready: bool) -> None:
    """Lock or unlock. Raises NotFound without a ClusterInformation, Unavailable where others always win."""

    def changed(value: Json) -> Json | None:
        spec = spec_of(value)
        return None if spec.get("datastoreReady") is ready else {**value, "spec": spec | {"datastoreReady": ready}}

    await change_information(store, changed)


async def change_information(store: Datastore, change: Callable[[Json], Json | None]) -> Entry:
    """Change ClusterInformation from what it is now, by compare-and-swap; gives what is there then.

    Args:
        store: where.
        change: gives the new object from the present one, None to leave it. May be called several times.

    Raises:
        NotFound: there is none.
        Unavailable: others write it all the time.
    """
    for _ in range(_TRIES):
        found = await store.get(CLUSTER_INFORMATION)
        wanted = change(found.value)
        if wanted is None:
            return found
        try:
            return await store.update(CLUSTER_INFORMATION, wanted, found.revision)
        except Conflict:
            continue
    raise Unavailable(Problem("ClusterInformation changes all the time", str(CLUSTER_INFORMATION), "try again"))
