"""What a schema says of a field where the field's type does not tell: a mark beside the type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Shape"]


@dataclass(frozen=True, eq=False)
class Shape:
    """Stands in `Annotated[...]`; checks nothing by itself.

    Attributes:
        schema: keywords of a structural OpenAPI schema, laid over what the type gives.
        alone: nothing of the type's own schema stays.
    """

    schema: Mapping[str, Any]
    alone: bool = False
