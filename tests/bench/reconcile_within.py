"""One reconciler over many objects, in a process of its own: prints its figures as JSON. Called by `reconcile.py`."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from muslin.datastore.configuration import Asked, settings_of
from muslin.datastore.opening import open_store
from muslin.datastore.protocol import Datastore
from reconciler.controller import Controller, Settings
from tests.support.memory_git import MemorySource

_A_FILE = 10
_ROUNDS = 20
_POLICY = """\
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {{name: p{number}, namespace: shop}}
spec:
  order: {order}
  selector: app == 'a{number}'
  types: [Ingress]
  ingress:
  - {{action: Allow, source: {{selector: app == 'client'}}}}
"""


def _files(count: int, changed: Collection[int] = (), order: int = 100) -> dict[str, str]:
    return {
        f"f{first // _A_FILE}.yaml": "---\n".join(
            _POLICY.format(number=number, order=order if number in changed else 100)
            for number in range(first, first + _A_FILE)
        )
        for first in range(0, count, _A_FILE)
    }


async def _figures(store: Datastore, count: int) -> dict[str, Any]:
    source = MemorySource()
    controller = Controller(
        store, source, Settings(), random=Random(1), now=lambda: datetime.now(UTC), tell=lambda _: None
    )
    found: dict[str, Any] = {}

    async def timed(files: dict[str, str] | None) -> tuple[float, float]:
        if files is not None:
            source.push(files)
        began, cpu = time.perf_counter(), time.process_time()
        await controller.look()
        return time.perf_counter() - began, time.process_time() - cpu

    source.push(_files(count))
    began, cpu = time.perf_counter(), time.process_time()
    await controller.once()
    found["first"] = (time.perf_counter() - began, time.process_time() - cpu)
    await controller.look()
    found["one"] = [await timed(_files(count, {number * 7}, 200 + number)) for number in range(_ROUNDS)]
    found["thousand"] = await timed(_files(count, range(1000), 300))
    await controller.look()
    parses = source.parses
    found["nothing"] = [await timed(None) for _ in range(_ROUNDS)]
    found["parses"] = source.parses - parses
    found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return found


async def _main(count: int, config: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asked = Asked(None if config else str(Path(folder) / "store.db"), config, None)
        store = await open_store(settings_of(asked, {}), make=True)
        try:
            print(json.dumps(await _figures(store, count)))
        finally:
            await store.close()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None))
