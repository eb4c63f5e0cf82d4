"""What a migration writes into ClusterInformation of both sides, so that its repetition knows what it meets.

Both carry the migration's number in an annotation, the destination also which cluster's objects it is getting and
whether they are all there. A source that somebody unlocked is another start: it gets a new number.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from muslin.datastore.initialize import CLUSTER_INFORMATION, ensure_initialized
from muslin.datastore.lock import change_information, is_ready, spec_of
from muslin.datastore.protocol import AlreadyExists, Conflict, Datastore, Entry, Json, NotFound
from muslin.errors import BadInput, Problem

__all__ = [
    "ANNOTATION", "Cluster", "State", "check_claim", "claim", "finish", "lock_source", "number_of", "state_of",
    "unlock_source",
]  # fmt: skip

ANNOTATION: Final = "muslin/migration"
_API: Final = "projectcalico.org/v3"


class State(enum.Enum):
    """What a destination is to a migration; the values of MINE and DONE stand in the annotation."""

    FREE = "free"
    MINE = "copying"
    DONE = "done"
    ANOTHERS = "another's"


@dataclass(frozen=True, slots=True)
class Cluster:
    """Who is moved: the migration's number, the cluster's GUID, and its ClusterInformation."""

    number: str
    guid: str
    information: Json
    was_ready: bool = True


def _marker(information: Json) -> Mapping[str, Any]:
    metadata = information.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    text = annotations.get(ANNOTATION) if isinstance(annotations, Mapping) else None
    try:
        found = json.loads(text) if isinstance(text, str) else {}
    except (ValueError, RecursionError):
        found = {}
    return found if isinstance(found, Mapping) else {}


def _marked(information: Json, marker: Mapping[str, str] | None, **spec: Any) -> dict[str, Any]:
    given = information.get("metadata")
    metadata = dict(given) if isinstance(given, Mapping) else {"name": CLUSTER_INFORMATION.name}
    held = metadata.get("annotations")
    annotations = {
        name: text for name, text in (held if isinstance(held, Mapping) else {}).items() if name != ANNOTATION
    }
    if marker is not None:
        annotations[ANNOTATION] = json.dumps(marker, sort_keys=True)
    metadata["annotations"] = annotations
    return {**information, "metadata": metadata, "spec": spec_of(information) | spec}


def number_of(information: Json) -> str:
    """The number of the migration that this source began; empty if it began none, or was unlocked since."""
    return "" if is_ready(information) else str(_marker(information).get("to") or "")


async def lock_source(store: Datastore, new_number: Callable[[], str]) -> Cluster:
    """Lock the source and number the migration: the number of the one that locked it before, else a new one."""
    try:
        await store.get(CLUSTER_INFORMATION)
    except NotFound:
        await ensure_initialized(store)
    ready = True

    def changed(information: Json) -> Json | None:
        nonlocal ready
        ready = is_ready(information)
        if not ready and _marker(information).get("to"):
            return None
        return _marked(information, {"to": new_number()}, datastoreReady=False)

    found = (await change_information(store, changed)).value
    return Cluster(str(_marker(found)["to"]), str(spec_of(found).get("clusterGUID") or ""), found, ready)


async def unlock_source(store: Datastore) -> None:
    """Take back what `lock_source` did, where nothing was moved."""

    def changed(information: Json) -> Json:
        return _marked(information, None, datastoreReady=True)

    await change_information(store, changed)


def state_of(information: Json | None, cluster: Cluster) -> State:
    """What a destination with this ClusterInformation is to the cluster's migration."""
    marker = _marker(information or {})
    if not marker.get("from"):
        return State.FREE
    if marker.get("state") == State.MINE.value:
        return State.MINE if marker["from"] == cluster.guid else State.ANOTHERS
    return State.DONE if marker.get("number") == cluster.number else State.FREE


async def claim(store: Datastore, cluster: Cluster, found: Entry | None, *, kubernetes: bool) -> None:
    """Make the destination ours and lock it, at what was found there. Raises BadInput if somebody was faster."""
    marker = {"from": cluster.guid, "number": cluster.number, "state": State.MINE.value}
    information: Json = {"apiVersion": _API, "kind": CLUSTER_INFORMATION.kind} if found is None else found.value
    spec = spec_of(cluster.information) | {"datastoreReady": False}
    words = [word for word in str(spec.pop("clusterType", None) or "").split(",") if word and word != "kdd"]
    words += ["kdd"] if kubernetes else []
    if words:
        spec["clusterType"] = ",".join(words)
    wanted = _marked(information, marker, **spec)
    try:
        if found is None:
            await store.create(CLUSTER_INFORMATION, wanted)
        else:
            await store.update(CLUSTER_INFORMATION, wanted, found.revision)
    except (AlreadyExists, Conflict, NotFound) as error:
        what = "somebody else began to use the destination just now"
        raise BadInput(Problem(what, str(CLUSTER_INFORMATION), "see who it is, then repeat the command")) from error


async def check_claim(store: Datastore, cluster: Cluster) -> None:
    """Raises BadInput where the destination is no longer ours: another run has finished, or somebody unlocked it.

    From then on agents write there, and what they write must not be put back to what the source says.
    """
    information = (await store.get(CLUSTER_INFORMATION)).value
    if is_ready(information) or state_of(information, cluster) is not State.MINE:
        what = "the destination was unlocked meanwhile: another run of this migration has finished, or somebody did it"
        raise BadInput(Problem(what, str(CLUSTER_INFORMATION), "repeat the command: it tells whether all is done"))


async def finish(store: Datastore, cluster: Cluster) -> None:
    """Say at the destination that all is there, and unlock it: one write."""
    marker = {"from": cluster.guid, "number": cluster.number, "state": State.DONE.value}

    def changed(information: Json) -> Json:
        return _marked(information, marker, datastoreReady=True)

    await change_information(store, changed)
