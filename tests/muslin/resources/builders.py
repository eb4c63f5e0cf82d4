"""Objects for tests of resources, as a parser would give them."""

from __future__ import annotations

from typing import Any


def manifest(kind: str, spec: dict[str, Any], name: str = "example", **metadata: Any) -> dict[str, Any]:
    """A JSON-like object of a kind with this spec."""
    return {
        "apiVersion": "projectcalico.org/v3",
        "kind": kind,
        "metadata": {"name": name, **metadata},
        "spec": spec,
    }
