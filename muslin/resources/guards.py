"""Objects that are not everybody's to write or delete, and objects that others need: rules over single objects.

Rules that need to see the store (a tier with policies, pools that overlap) are the writer's; the keys that it must ask
for are told here. `refused_changes` in `muslin.resources.loading` says what an update may not change.
"""

from __future__ import annotations

from typing import Any, Final

from muslin.errors import Problem
from muslin.resources.base import Resource
from muslin.resources.keys import Key
from muslin.resources.places import Places, place_of

__all__ = ["BUILT_IN_TIERS", "DEFAULT_ALLOW_PROFILE", "refused_deletion", "refused_write", "required_keys"]

BUILT_IN_TIERS: Final = ("default", "kube-admin", "kube-baseline")
"""Tiers that every cluster has."""
DEFAULT_ALLOW_PROFILE: Final = "projectcalico-default-allow"
"""The profile that lets everything pass; every cluster has it, no store holds it."""

_POLICIES: Final = frozenset(
    {"NetworkPolicy", "GlobalNetworkPolicy", "StagedNetworkPolicy", "StagedGlobalNetworkPolicy"}
)


def refused_write(resource: Resource, places: Places | None = None, file: str | None = None) -> tuple[Problem, ...]:
    """What forbids creating or updating this object, whatever it says; empty if nothing does."""
    if resource.key == Key("Profile", DEFAULT_ALLOW_PROFILE):
        what = f'The profile "{DEFAULT_ALLOW_PROFILE}" is a default provided by Calico and cannot be updated'
        where = str(place_of(("metadata", "name"), places, file))
        return (Problem(what, where, "write a profile of another name, and name that in the endpoints"),)
    if resource.kind == "BlockAffinity" and resource.spec.deleted:
        where = str(place_of(("spec", "deleted"), places, file))
        return (Problem('spec.Deleted cannot be set to "true"', where, "delete the object instead"),)
    return ()


def refused_deletion(key: Key) -> tuple[Problem, ...]:
    """What forbids deleting the object of this key, whatever it says; empty if nothing does."""
    if key.kind == "Tier" and key.name in BUILT_IN_TIERS:
        what = f"The built-in tier {key.name} cannot be deleted"
        return (Problem(what, str(key), "leave it; a tier without policies does nothing"),)
    if key == Key("Profile", DEFAULT_ALLOW_PROFILE):
        what = f'The profile "{DEFAULT_ALLOW_PROFILE}" is a default provided by Calico and cannot be deleted'
        return (Problem(what, str(key), "leave it; a profile that no endpoint names does nothing"),)
    return ()


def required_keys(resource: Resource) -> tuple[Key, ...]:
    """Objects that must be there before this one may be created: a policy's tier, a peer's filters."""
    spec: Any = resource.spec
    if resource.kind in _POLICIES:
        return (Key("Tier", spec.effective_tier),)
    if resource.kind == "BGPPeer":
        return tuple(Key("BGPFilter", name) for name in dict.fromkeys(spec.filters))
    return ()
