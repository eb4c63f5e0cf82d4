"""A writer in a process of its own: `python -m tests.muslin.datastore.suite.writer JSON`, its notes on standard output.

The JSON has `address` (see `places.open_at`), `process`, `seed`, `names`, `kind` and `pace_s`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from random import Random
from typing import Any

from tests.muslin.datastore.suite.places import open_at
from tests.support.histories import Client, Note


def _say(note: Note) -> None:
    """One line, written at once and whole: what was begun is known even if we are killed in the next moment."""
    os.write(1, (json.dumps(note) + "\n").encode())


async def main(given: dict[str, Any]) -> None:
    """Write until killed."""
    store = await open_at(given["address"])
    client = Client(store, given["process"], _say, given["kind"])
    await client.wander(given["names"], Random(given["seed"]), pace_s=given["pace_s"])


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
