"""JSON Schema of our kinds for editors: completion, hover texts, and a mark under a mistake while it is written.

Draft 7, which every editor knows. It is made of the same schemas as the definitions for Kubernetes; what only these
understand is said in JSON Schema's words, or, for rules over several fields, in the hover text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from muslin.resources.base import API_VERSION
from muslin.resources.openapi import Schema, schema_of
from muslin.resources.part import Part
from muslin.resources.registry import KINDS

__all__ = ["DRAFT", "json_schema", "schema_of_part"]

DRAFT: Final = "http://json-schema.org/draft-07/schema#"
_CIDR: Final = r"^[0-9a-fA-F:.]+/[0-9]{1,3}$"
_KEPT: Final = (
    "type", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "minProperties",
    "maxProperties", "required", "default", "description", "format",
)  # fmt: skip


def json_schema(kinds: Iterable[str] | None = None) -> Schema:
    """One schema for manifests of these kinds, or of all; a file may hold several kinds."""
    chosen = list(kinds or KINDS)
    return {
        "$schema": DRAFT,
        "title": API_VERSION,
        "type": "object",
        "required": ["apiVersion", "kind", "metadata"],
        "properties": {"apiVersion": {"enum": [API_VERSION]}, "kind": {"enum": chosen}},
        "allOf": [
            {
                "if": {"required": ["kind"], "properties": {"kind": {"const": kind}}},
                "then": {"$ref": f"#/definitions/{kind}"},
            }
            for kind in chosen
        ],
        "definitions": {kind: _translated(schema_of(KINDS[kind].model)) for kind in chosen},
    }


def schema_of_part(model: type[Part]) -> Schema:
    """The schema of one model's objects, without `$schema`: for those that are no kinds of Calico's."""
    return _translated(schema_of(model))


def _translated(schema: Schema) -> Schema:
    written: Schema = {key: value for key, value in schema.items() if key in _KEPT}
    if rules := schema.get("x-kubernetes-validations"):
        told = "\n".join(f"- {rule['message']}" for rule in rules)
        written["description"] = f"{schema.get('description', '')}\n\nRules:\n{told}"
    if "pattern" in written:
        written["pattern"] = _without_flags(written["pattern"])
    for bound in ("Minimum", "Maximum"):
        if schema.get(f"exclusive{bound}"):
            written[f"exclusive{bound}"] = written.pop(bound.lower())
    if written.get("format") == "cidr":
        del written["format"]
        written["allOf"] = [{"pattern": _CIDR}]
    if schema.get("x-kubernetes-list-type") == "set":
        written["uniqueItems"] = True
    if "anyOf" in schema:
        written["anyOf"] = [_translated(each) for each in schema["anyOf"]]
    if "items" in schema:
        written["items"] = _translated(schema["items"])
    if "properties" in schema:
        written["properties"] = {name: _translated(each) for name, each in schema["properties"].items()}
        written["additionalProperties"] = False
    elif isinstance(values := schema.get("additionalProperties"), dict):
        written["additionalProperties"] = _translated(values)
    if schema.get("nullable"):
        written["type"] = [written["type"], "null"]
    return written


def _without_flags(pattern: str) -> str:
    """The same pattern for engines that have no flags inside of patterns: any case is written out."""
    if "(?i)" not in pattern:
        return pattern
    return re.sub(r"[A-Za-z]", lambda letter: f"[{letter[0].upper()}{letter[0].lower()}]", pattern.replace("(?i)", ""))
