"""Kubernetes' objects and kustomize's files with the reasons above their fields, and the text of both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from blueprints.emit import read_back
from muslin.resources.places import FieldPath
from muslin.yaml.write import Comments, dump_documents

__all__ = ["Emitted", "text_of"]


@dataclass(frozen=True, slots=True)
class Emitted:
    """One object and why it is so.

    Attributes:
        value: as JSON has it.
        header: what stands above it.
        why: Mapping[path, text above that field]; an empty text is left out.
    """

    value: dict[str, Any]
    header: str = ""
    why: Mapping[FieldPath, str] = field(default_factory=dict)


def text_of(objects: Iterable[Emitted]) -> str:
    """The objects as one YAML text, read back. Raises ValueError for a reason whose field is not there."""
    given = tuple(objects)
    comments = [Comments(each.header, {path: text for path, text in each.why.items() if text}) for each in given]
    values = [each.value for each in given]
    return read_back(dump_documents(values, comments), values, str(values[0].get("kind", "")) if values else "")
