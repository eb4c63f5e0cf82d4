"""Rules between objects that Calico's client keeps: tiers and their policies, peers and filters, pools, nodes.

In Kubernetes the API server and the controllers keep some of them; then they are theirs.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from ipaddress import ip_interface, ip_network
from typing import TYPE_CHECKING, Any, Final

from muslin.cli.stored import mapping_at, text_at, value_at
from muslin.cli.wording import Unsupported
from muslin.datastore.initialize import BUILT_IN_TIERS
from muslin.datastore.protocol import Conflict, Datastore, Json, NotFound, Revision
from muslin.errors import BadInput, Problem
from muslin.resources.keys import Key
from muslin.yaml.places import field_path

if TYPE_CHECKING:
    from muslin.cli.documents import Given

__all__ = ["check_create", "check_delete", "check_update", "delete_with_dependents"]

_POLICIES: Final = ("NetworkPolicy", "GlobalNetworkPolicy", "StagedNetworkPolicy", "StagedGlobalNetworkPolicy")


class _Missing(NotFound):
    """What another object needs is not there: told at the place that needs it."""

    def __init__(self, missing: Key, key: Key, path: tuple[str | int, ...], given: Given | None) -> None:
        super().__init__(missing)
        places = given.places if given is not None else None
        where = str(places.at(path)) if places is not None else f"{key}  {field_path(path)}"
        fix = "create it first, or check its name"
        self.problems = (Problem(f"{missing} does not exist, and {key} needs it", where, fix),)


async def check_create(
    store: Datastore, key: Key, value: Json, *, given: Given | None = None, native: bool = False
) -> None:
    """What an object needs to be there before it. Raises NotFound of that, BadInput."""
    if key.kind in _POLICIES:
        tier = Key("Tier", text_at(value, "spec", "tier") or "default")
        try:
            await store.get(tier)
        except NotFound:
            raise _Missing(tier, key, ("spec", "tier"), given) from None
    if key.kind == "BGPPeer":
        await _filters_exist(store, key, value, given)
    if key.kind == "IPPool" and not native:
        await _no_overlap(store, key, value)


async def check_update(store: Datastore, key: Key, live: Json, value: Json, given: Given | None = None) -> None:
    """What may not change, and what the new form needs. Raises BadInput, NotFound."""
    if key.kind == "BGPPeer":
        await _filters_exist(store, key, value, given)
    problems = _refused(live, value, given)
    if problems:
        raise BadInput(problems)


async def check_delete(store: Datastore, key: Key) -> None:
    """Whether something else needs the object. Raises Unsupported."""
    if key.kind != "Tier":
        return
    if key.name in BUILT_IN_TIERS:
        reason = f"The built-in tier {key.name} cannot be deleted"
        raise Unsupported("delete", key, reason, "leave it; a tier without policies does nothing")
    for kind in _POLICIES:
        for entry in (await store.list(kind)).entries:
            if (text_at(entry.value, "spec", "tier") or "default") == key.name:
                fix = f"delete its policies first, or put them into another tier; {entry.key} is one of them"
                raise Unsupported("delete", key, "Tier is not empty", fix)


async def delete_with_dependents(
    store: Datastore, key: Key, revision: Revision | None, *, kubernetes: bool, native: bool
) -> Json:
    """Remove an object and what is only its own. Raises NotFound, Conflict."""
    if key.kind == "Node" and not kubernetes:
        found = await store.get(key)
        if revision is not None and found.revision != revision:
            raise Conflict(found)
        await _release_addresses(store, key, found.value)
        for dependent in await _of_node(store, key.name):
            try:
                await store.delete(dependent)
            except NotFound:
                continue
    elif key.kind == "IPPool" and not native:
        pool = await _disabled(store, key, revision)
        await _release_blocks(store, pool)
        revision = None
    return (await store.delete(key, revision)).value


async def _filters_exist(store: Datastore, key: Key, peer: Json, given: Given | None) -> None:
    filters = value_at(peer, "spec", "filters")
    for position, name in enumerate(filters if isinstance(filters, list | tuple) else ()):
        needed = Key("BGPFilter", str(name))
        try:
            await store.get(needed)
        except NotFound:
            raise _Missing(needed, key, ("spec", "filters", position), given) from None


async def _no_overlap(store: Datastore, key: Key, value: Json) -> None:
    mine = _network(value)
    for entry in (await store.list("IPPool")).entries:
        other = _network(entry.value)
        if entry.key != key and mine and other and mine.version == other.version and mine.overlaps(other):
            what = f"IPPool({key.name}) CIDR overlaps with IPPool({entry.key.name}) CIDR {other}"
            raise BadInput(Problem(what, "IPPool.Spec.CIDR", "choose addresses that no other pool has"))


def _network(pool: Json) -> Any:
    """The prefix of a pool or a block; None for text that is none."""
    try:
        return ip_network(text_at(pool, "spec", "cidr"))
    except ValueError:
        return None


def _refused(live: Json, value: Json, given: Given | None) -> tuple[Problem, ...]:
    from muslin import resources  # noqa: PLC0415 - the models are loaded where something is written

    try:
        old, new = resources.load(live), resources.load(value)
    except BadInput:  # what somebody wrote wrongly must still be possible to put right
        return ()
    places, file = (given.places, given.file) if given else (None, None)
    return resources.refused_changes(old, new, places, file)


async def _disabled(store: Datastore, key: Key, revision: Revision | None) -> Json:
    """The pool, disabled: no new block may be claimed of one that is about to go."""
    found = await store.get(key)
    if revision is not None and found.revision != revision:
        raise Conflict(found)
    spec = mapping_at(found.value, "spec")
    if spec.get("disabled") is True:
        return found.value
    try:
        return (await store.update(key, {**found.value, "spec": {**spec, "disabled": True}}, found.revision)).value
    except BadInput:  # what somebody wrote so wrongly that it can't be written again must still be possible to remove
        return found.value


async def _release_blocks(store: Datastore, pool: Json) -> None:
    """Give up every node's claim on blocks of a pool; blocks with addresses in use stay, as nobody's."""
    from muslin.datastore.ipam import run  # noqa: PLC0415 - only this deletion pays for it
    from muslin.ipam.affinities import Owner, release_affinity  # noqa: PLC0415

    network = _network(pool)
    for entry in (await store.list("BlockAffinity")).entries if network else ():
        block = _network(entry.value)
        if block and block.version == network.version and block.subnet_of(network):
            owner = Owner(text_at(entry.value, "spec", "node"), text_at(entry.value, "spec", "type") or "host")
            await run(store, release_affinity(owner, block))


async def _release_addresses(store: Datastore, key: Key, node: Json) -> None:
    """Give back the addresses of a node's tunnels and of its endpoints."""
    from muslin.datastore.ipam import run  # noqa: PLC0415 - only this deletion pays for it
    from muslin.ipam.release import Claim, release_ips  # noqa: PLC0415

    tunnels = (("bgp", "ipv4IPIPTunnelAddr"), ("ipv4VXLANTunnelAddr",), ("ipv6VXLANTunnelAddr",))
    wireguard = (("wireguard", "interfaceIPv4Address"), ("wireguard", "interfaceIPv6Address"))
    texts = [text_at(node, "spec", *path) for path in (*tunnels, *wireguard)]
    for entry in (await store.list("WorkloadEndpoint")).entries:
        networks = value_at(entry.value, "spec", "ipNetworks")
        if text_at(entry.value, "spec", "node") == key.name and isinstance(networks, list | tuple):
            texts += [str(network) for network in networks]
    claims = []
    for text in texts:
        with contextlib.suppress(ValueError):
            claims.append(Claim(ip_interface(text).ip))
    if claims:
        await run(store, release_ips(claims, datetime.now(UTC)))


async def _of_node(store: Datastore, name: str) -> list[Key]:
    """What is only the node's: endpoints, configurations, peers, reports."""
    found: list[Key] = []
    for kind, path in (("WorkloadEndpoint", "node"), ("HostEndpoint", "node"), ("BGPPeer", "node")):
        found += [entry.key for entry in (await store.list(kind)).entries if text_at(entry.value, "spec", path) == name]
    for kind, own in (("FelixConfiguration", f"node.{name}"), ("BGPConfiguration", f"node.{name}")):
        found += [entry.key for entry in (await store.list(kind)).entries if entry.key.name == own]
    return found
