"""What every cluster has before anything else: its identity and the built-in tiers.

Safe to run at every start and by several processes at once; what people have changed stays as they made it.
Source: clientv3 `EnsureInitialized` of the reference implementation.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from muslin.datastore.protocol import AlreadyExists, Conflict, Datastore, Json, NotFound
from muslin.errors import Problem, Unavailable
from muslin.resources.keys import Key

__all__ = ["BUILT_IN_TIERS", "CLUSTER_INFORMATION", "ensure_initialized"]

CLUSTER_INFORMATION: Final = Key("ClusterInformation", "default")

BUILT_IN_TIERS: Final[Mapping[str, Json]] = {
    "kube-admin": {"order": 1000, "defaultAction": "Pass"},
    "default": {"order": 1_000_000, "defaultAction": "Deny"},
    "kube-baseline": {"order": 10_000_000, "defaultAction": "Pass"},
}

_API = "projectcalico.org/v3"
_ATTEMPTS = 100
"""As many conflicts in a row as the reference's IPAM bears; here each means that another process got on."""


def _new_guid() -> str:
    return uuid.uuid4().hex


async def ensure_initialized(
    datastore: Datastore,
    *,
    version: str | None = None,
    cluster_type: Sequence[str] = (),
    new_guid: Callable[[], str] = _new_guid,
) -> None:
    """Make ClusterInformation `default` and the built-in tiers, or complete them.

    Args:
        datastore: where.
        version: for `calicoVersion`; None leaves it as it is.
        cluster_type: words to add to `clusterType`, such as `muslin`, `bgp`; `kdd` always stands last.
        new_guid: makes a cluster's GUID, 32 hexadecimal digits.

    Raises:
        Unavailable: the datastore does not answer, or others write all the time.
    """
    for name, spec in BUILT_IN_TIERS.items():
        await _create_missing(datastore, Key("Tier", name), spec)
    for _ in range(_ATTEMPTS):
        try:
            found = await datastore.get(CLUSTER_INFORMATION)
        except NotFound:
            spec = _completed({}, version, cluster_type, new_guid)
            if await _create_missing(datastore, CLUSTER_INFORMATION, spec):
                return
            continue
        given = found.value.get("spec")
        former = dict(given) if isinstance(given, Mapping) else {}
        spec = _completed(former, version, cluster_type, new_guid)
        if spec == former:
            return
        try:
            await datastore.update(CLUSTER_INFORMATION, {**found.value, "spec": spec}, found.revision)
        except (Conflict, NotFound):
            continue
        return
    raise Unavailable(
        Problem(
            "ClusterInformation changes all the time", str(CLUSTER_INFORMATION), "look for who writes it, try again"
        )
    )


async def _create_missing(datastore: Datastore, key: Key, spec: Json) -> bool:
    try:
        await datastore.get(key)
    except NotFound:
        pass
    else:
        return False
    value = {"apiVersion": _API, "kind": key.kind, "metadata": {"name": key.name}, "spec": dict(spec)}
    try:
        await datastore.create(key, value)
    except AlreadyExists:
        return False
    return True


def _completed(
    spec: Json, version: str | None, cluster_type: Sequence[str], new_guid: Callable[[], str]
) -> dict[str, Any]:
    done = dict(spec)
    if not done.get("clusterGUID"):
        done["clusterGUID"] = new_guid()
    if done.get("datastoreReady") is None:
        done["datastoreReady"] = True
    if version is not None:
        done["calicoVersion"] = version
    words = [word for word in str(done.get("clusterType") or "").split(",") if word]
    words += [word for word in dict.fromkeys(cluster_type) if word not in words]
    if "kdd" in words:
        words = [word for word in words if word != "kdd"] + ["kdd"]
    if words:
        done["clusterType"] = ",".join(words)
    return done
