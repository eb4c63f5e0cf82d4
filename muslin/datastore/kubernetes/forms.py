"""The two forms that Calico's kinds have as CRDs: as they are (`projectcalico.org/v3`), and the older wrapped one."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, Final, Protocol

from muslin.conversion.kinds import CRD_KINDS, NAMED_POLICIES, ApiGroup, api_path
from muslin.conversion.reading import Converted, as_list, as_mapping, as_text, metadata_of
from muslin.conversion.v1 import from_v1, to_v1, v1_names
from muslin.datastore.kubernetes.own_kinds import OWN_KINDS, PACKED
from muslin.datastore.kubernetes.views import readable
from muslin.datastore.protocol import Json
from muslin.resources.keys import Key

__all__ = ["AsIs", "Form", "Packed", "Wrapped", "form_of"]

_OF_THE_STORE = frozenset(
    {
        "uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink", "deletionTimestamp",
        "deletionGracePeriodSeconds",
    }
)  # fmt: skip
"""Metadata that only the API server writes; whatever a caller puts there is not sent."""

_PULUMI: Final = "pulumi-kubernetes"


class Form(Protocol):
    """How a kind's objects stand in the API.

    Attributes:
        kind: as in manifests.
        path: of all its objects.
        namespaced: whether they live in namespaces.
        needs_current: whether what stands there must be known before it can be written over.
    """

    kind: str
    path: str
    namespaced: bool
    needs_current: bool

    def names(self, key: Key) -> tuple[str, ...]:
        """Names under which the object of a key may be stored, the one that is written first."""
        ...

    def is_of(self, raw: dict[str, Any], key: Key) -> bool:
        """Whether what was found under one of the names is the object of the key."""
        ...

    def shown(self, raw: dict[str, Any]) -> Converted:
        """The object as Calico's clients see it; may take `raw` over. Never raises."""
        ...

    def stored(self, value: dict[str, Any], current: Json | None) -> dict[str, Any]:
        """The object to send. `current` is what stands there in the API, None to create it."""
        ...

    def marked(self, raw: dict[str, Any]) -> dict[str, Any]:
        """The object in the API marked as deleted: the first step of removing one of IPAM's."""
        ...


class AsIs:
    """A kind whose objects are stored as Calico's clients see them. With `managers` who writes which field is shown."""

    needs_current = False

    def __init__(
        self, kind: str, api_version: str, path: str, *, namespaced: bool = False, managers: bool = False
    ) -> None:
        self.kind, self.path, self.namespaced = kind, path, namespaced
        self._api_version, self._managers = api_version, managers

    def names(self, key: Key) -> tuple[str, ...]:
        """See `Form.names`."""
        return (key.name,)

    def is_of(self, raw: dict[str, Any], key: Key) -> bool:  # noqa: ARG002 - of the protocol
        """See `Form.is_of`: the name is the name."""
        return True

    def shown(self, raw: dict[str, Any]) -> Converted:
        """The object without the record of who manages which field, which no client of Calico looks at, unless asked.

        What Pulumi manages stays: the reconciler tells by it whose the object is.
        """
        metadata = raw.get("metadata")
        if isinstance(metadata, dict) and not self._managers:
            managed = as_list(metadata.pop("managedFields", None))
            if pulumis := [each for each in managed if as_text(as_mapping(each).get("manager")).startswith(_PULUMI)]:
                metadata["managedFields"] = pulumis
        raw["apiVersion"], raw["kind"] = self._api_version, self.kind
        return Converted(raw)

    def stored(self, value: dict[str, Any], current: Json | None) -> dict[str, Any]:
        """See `Form.stored`."""
        metadata = _sent(value)
        if current is not None:
            metadata["resourceVersion"] = metadata_of(current).get("resourceVersion")
        return {**value, "apiVersion": self._api_version, "kind": self.kind, "metadata": metadata}

    def marked(self, raw: dict[str, Any]) -> dict[str, Any]:
        """See `Form.marked`."""
        return {**raw, "spec": {**as_mapping(raw.get("spec")), "deleted": True}}


class Packed(AsIs):
    """One of our own kinds with a large mapping in its spec, which nobody else reads: it is stored as text.

    For each field of an object the server keeps a record of who manages it, and works it out anew at every write: for
    the thousands of fields of a ledger's part that takes it ten times as long as the rest.
    """

    def __init__(self, kind: str, api_version: str, path: str, packed: str) -> None:
        super().__init__(kind, api_version, path)
        self._packed = packed

    def shown(self, raw: dict[str, Any]) -> Converted:
        """See `Form.shown`. What an earlier version stored as a mapping is one; what can't be read stays text."""
        spec = raw.get("spec")
        if isinstance(spec, dict) and isinstance(text := spec.get(self._packed), str):
            with suppress(ValueError, RecursionError):
                raw["spec"] = {**spec, self._packed: json.loads(text)}
        return super().shown(raw)

    def stored(self, value: dict[str, Any], current: Json | None) -> dict[str, Any]:
        """See `Form.stored`."""
        sent = super().stored(value, current)
        spec = sent.get("spec")
        if isinstance(spec, dict) and self._packed in spec:
            sent["spec"] = {**spec, self._packed: json.dumps(spec[self._packed], separators=(",", ":"))}
        return sent


class Wrapped:
    """A kind in the older CRDs, where an annotation holds the metadata."""

    needs_current = True

    def __init__(self, kind: str) -> None:
        self.kind, self.path, self.namespaced = kind, api_path(ApiGroup.V1, kind), CRD_KINDS[kind].namespaced

    def names(self, key: Key) -> tuple[str, ...]:
        """See `Form.names`."""
        return v1_names(key)

    def is_of(self, raw: dict[str, Any], key: Key) -> bool:
        """See `Form.is_of`: a policy's own name is in its annotation, or follows from its tier."""
        return metadata_of(self.shown(raw).value).get("name") == key.name

    def shown(self, raw: dict[str, Any]) -> Converted:
        """See `Form.shown`."""
        return readable(self.kind, raw, from_v1)

    def stored(self, value: dict[str, Any], current: Json | None) -> dict[str, Any]:
        """See `Form.stored`. A policy stays under the name that an old release stored it under."""
        metadata = _sent(value)
        name = None
        if current is not None:
            was = metadata_of(self.shown(dict(current)).value)
            metadata |= {part: was[part] for part in ("uid", "creationTimestamp") if part in was}
            metadata["resourceVersion"] = metadata_of(current).get("resourceVersion")
            name = as_text(metadata_of(current).get("name")) if self.kind in NAMED_POLICIES else None
        return to_v1({**value, "kind": self.kind, "metadata": metadata}, stored_as=name)

    def marked(self, raw: dict[str, Any]) -> dict[str, Any]:
        """See `Form.marked`. Affinities keep the mark as text here."""
        mark = "true" if self.kind == "BlockAffinity" else True
        return {**raw, "spec": {**as_mapping(raw.get("spec")), "deleted": mark}}


def _sent(value: Json) -> dict[str, Any]:
    return {name: part for name, part in as_mapping(value.get("metadata")).items() if name not in _OF_THE_STORE}


def form_of(kind: str, group: ApiGroup, *, managers: bool = False) -> Form | None:
    """How a kind is stored where this group is in use, None if it is no CRD. `managers`: see `AsIs`."""
    if kind in OWN_KINDS:
        api_version, plural = OWN_KINDS[kind]
        path = f"/apis/{api_version}/{plural}"
        return Packed(kind, api_version, path, PACKED[kind]) if kind in PACKED else AsIs(kind, api_version, path)
    stored = CRD_KINDS.get(kind)
    if stored is None:
        return None
    if group is ApiGroup.V1:
        return Wrapped(kind)
    path = api_path(ApiGroup.V3, kind)
    return AsIs(kind, ApiGroup.V3.value, path, namespaced=stored.namespaced, managers=managers)
