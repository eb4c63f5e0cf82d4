"""JSON Schema of the facts, so that an editor completes, explains and marks them while they are written."""

from __future__ import annotations

from blueprints.facts import API_VERSION, Facts
from muslin.resources.json_schema import DRAFT, schema_of_part
from muslin.resources.openapi import Schema

__all__ = ["facts_schema"]


def facts_schema() -> Schema:
    """The schema of a cluster's file, draft 7. A subnet may be written as its prefix alone."""
    schema = schema_of_part(Facts)
    subnets = schema["properties"]["subnets"]
    subnets["items"] = {"anyOf": [subnets["items"]["properties"]["cidr"], subnets["items"]]}
    return {"$schema": DRAFT, "title": API_VERSION, **schema}
