"""Metadata of every object: what Kubernetes calls ObjectMeta."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from muslin.resources.fields import AnyJson, Bool, Int, StringMap, Text
from muslin.resources.frozen import FrozenDict
from muslin.resources.names import annotation_problems, label_problems
from muslin.resources.part import Part
from muslin.resources.validation import Breach, ValidationRule, go

__all__ = ["ObjectMeta", "OwnerReference"]


class OwnerReference(Part):
    """Another object whose end is the end of this one."""

    api_version: Text
    kind: Text
    name: Text
    uid: Text
    controller: Bool | None = None
    block_owner_deletion: Bool | None = None


def _bad_labels(metadata: ObjectMeta) -> Iterator[Breach]:
    for key, problem in label_problems(metadata.labels):
        yield Breach(f"label {key!r} = {metadata.labels[key]!r}: {problem}", ("labels", key))


def _bad_annotations(metadata: ObjectMeta) -> Iterator[Breach]:
    for key, problem in annotation_problems(metadata.annotations):
        yield Breach(
            problem if key is None else f"annotation {key!r}: {problem}", ("annotations", *((key,) if key else ()))
        )


class ObjectMeta(Part):
    """Identity, labels and bookkeeping of an object; `namespace` is None for cluster-scoped kinds."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = (
        go(
            "labels",
            "labels have qualified keys and short values",
            _bad_labels,
            fix="use a key such as example.org/role",
        ),
        go(
            "annotations", "annotations have qualified keys", _bad_annotations, fix="use a key such as example.org/note"
        ),
    )

    name: Text = ""
    namespace: Text | None = None
    labels: StringMap = FrozenDict()
    annotations: StringMap = FrozenDict()
    uid: Text | None = None
    resource_version: Text | None = None
    generation: Int | None = None
    creation_timestamp: Text | None = None
    deletion_timestamp: Text | None = None
    deletion_grace_period_seconds: Int | None = None
    generate_name: Text | None = None
    finalizers: tuple[Text, ...] = ()
    owner_references: tuple[OwnerReference, ...] = ()
    managed_fields: AnyJson = None
    self_link: Text | None = None
