"""The kinds that `get` shows: Calico's, and what the reconciler keeps in the same datastore."""

from __future__ import annotations

from dataclasses import dataclass

from muslin.errors import BadInput, Problem
from muslin.resources import API_VERSION, KINDS, kind_by_alias

__all__ = ["ShownKind", "kind_named"]


@dataclass(frozen=True, slots=True)
class ShownKind:
    """A kind to look at: its name in manifests, its API, and whether its objects live in a namespace."""

    name: str
    api_version: str
    namespaced: bool


_RECONCILER = "reconciler.muslin/v1alpha1"
_OUR_ALIASES = {
    "reconcilerstatus": "ReconcilerStatus",
    "reconcilerstatuses": "ReconcilerStatus",
    "reconcilerledger": "ReconcilerLedger",
    "reconcilerledgers": "ReconcilerLedger",
}
_MORE_ALIASES = {"bgpps": "BGPPeer", "bps": "BGPPeer"}
"""Calicoctl takes these as well."""


def kind_named(alias: str) -> ShownKind:
    """The kind that people mean by this word, in any case. Raises BadInput."""
    word = alias.lower()
    if word in _OUR_ALIASES:
        return ShownKind(_OUR_ALIASES[word], _RECONCILER, namespaced=False)
    name = kind_by_alias(word) or _MORE_ALIASES.get(word)
    if name is None:
        raise BadInput(Problem(f"{alias!r} is not a kind of resource", "KIND", _suggestion(word)))
    return ShownKind(name, API_VERSION, KINDS[name].namespaced)


def _suggestion(word: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only for mistakes

    singular = sorted([*(name.lower() for name in KINDS), "reconcilerstatus", "reconcilerledger"])
    aliases = {alias for info in KINDS.values() for alias in info.aliases}
    meant = get_close_matches(word, [*singular, *sorted(aliases - set(singular))], 1)
    return f"did you mean {meant[0]}?" if meant else f"use one of {', '.join(singular)}"
