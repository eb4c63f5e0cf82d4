"""The identity of an object in a datastore: kind, namespace, name."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Key"]


class Key(NamedTuple):
    """Identity of one object; `namespace` is None for cluster-scoped kinds.

    `kind` is the name as in manifests (`IPPool`). IPAM objects are kinds as well: `IPAMBlock`, `BlockAffinity`,
    `IPAMHandle`, `IPAMConfiguration`.
    """

    kind: str
    name: str
    namespace: str | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"
