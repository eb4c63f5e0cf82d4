"""The reconciler over 10,000 objects on the embedded datastore: the first time, changed, at rest, memory, pushes."""

from __future__ import annotations

import tempfile
from pathlib import Path

from muslin.datastore.configuration import EMBEDDED_VARIABLE
from tests.bench.figures import Line
from tests.bench.reconcile_push import pushes
from tests.bench.reconciling import figures, looks

__all__ = ["measure"]


def measure() -> list[Line]:
    """One repository, one file; then both processes as they run."""
    with tempfile.TemporaryDirectory(prefix="muslin-bench-") as folder:
        store = {EMBEDDED_VARIABLE: str(Path(folder) / "store.db")}
        with looks(store) as (repository, reconciler):
            return [*figures(repository, reconciler), *pushes(repository, store)]
