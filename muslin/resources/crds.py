"""CustomResourceDefinitions of every kind that has one, from the models.

A definition must be structural and its rules within the API server's budget; `tests/engines` loads all of them.
"""

from __future__ import annotations

from typing import Any, Final

from muslin.resources.base import API_VERSION, SUBDOMAIN_NAME, NameForm
from muslin.resources.crd_kinds import CUSTOM_KINDS, Column, CustomKind
from muslin.resources.openapi import Schema, schema_of
from muslin.resources.registry import KINDS, KindInfo

__all__ = ["GROUP", "VERSION", "definition", "definitions"]

GROUP, VERSION = API_VERSION.split("/")
_TEXT: Final = {"type": "string"}


def definitions() -> list[dict[str, Any]]:
    """All definitions, in the order of their kinds; new values each time."""
    return [definition(kind) for kind in CUSTOM_KINDS]


def definition(kind: str) -> dict[str, Any]:
    """The definition of one kind. Raises KeyError for a kind without one."""
    custom, info = CUSTOM_KINDS[kind], KINDS[kind]
    names: dict[str, Any] = {
        "kind": kind,
        "listKind": f"{kind}List",
        "plural": info.plural,
        "singular": kind.lower(),
    }
    if custom.short_names:
        names["shortNames"] = list(custom.short_names)
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [_column(column) for column in custom.columns],
        "schema": {"openAPIV3Schema": _object_schema(custom, info)},
    }
    if custom.status:
        version["subresources"] = {"status": {}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{info.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": names,
            "scope": "Namespaced" if info.namespaced else "Cluster",
            "versions": [version],
        },
    }


def _column(column: Column) -> dict[str, Any]:
    written: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.path}
    if column.wide:
        written["priority"] = 1
    return written


def _object_schema(custom: CustomKind, info: KindInfo) -> Schema:
    schema = schema_of(info.model)
    fields: dict[str, Schema] = schema["properties"]
    fields["apiVersion"], fields["kind"] = dict(_TEXT), dict(_TEXT)
    fields["metadata"] = _metadata(info.model.NAME_FORM)
    required = [name for name in schema.get("required", ()) if name != "metadata"]
    schema.pop("required", None)
    if required:
        schema["required"] = required
    if "spec" not in required:
        fields["spec"]["default"] = {}
    for path, value in custom.defaults.items():
        _field_at(schema, path)["default"] = value
    _hold_to_types(schema)
    return schema


def _hold_to_types(schema: Schema) -> None:
    """Move formats aside: beside a format the API server takes a list for any type (seen with 1.36)."""
    if "format" in schema:
        schema["allOf"] = [{"format": schema.pop("format")}]
    for inner in schema.get("properties", {}).values():
        _hold_to_types(inner)
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            _hold_to_types(schema[keyword])


def _metadata(form: NameForm) -> Schema:
    """What the API server does not know of names by itself."""
    if form is SUBDOMAIN_NAME:
        return {"type": "object"}
    name: Schema = {"type": "string", "maxLength": form.longest, "pattern": f"^({form.pattern.pattern})$"}
    return {"type": "object", "properties": {"name": name}}


def _field_at(schema: Schema, path: str) -> Schema:
    for step in path.split("."):
        schema = schema["properties"][step]
    return schema
