"""LiveMigration: a virtual machine on its way from one node to another. Read and kept; nothing here acts on it."""

from __future__ import annotations

from typing import ClassVar, Literal

from muslin.resources.base import Resource
from muslin.resources.fields import AnyJson

__all__ = ["LiveMigration"]


class LiveMigration(Resource):
    """A migration that an orchestrator has begun; namespaced. Its content is kept as it is."""

    NAMESPACED: ClassVar[bool] = True

    kind: Literal["LiveMigration"] = "LiveMigration"
    spec: AnyJson = None
    status: AnyJson = None
