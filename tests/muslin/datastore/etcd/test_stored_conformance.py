"""The reference's own examples, created on a real etcd: keys, JSON there, and what is read back."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest

from muslin.datastore.initialize import ensure_initialized
from muslin.datastore.protocol import AlreadyExists
from muslin.errors import BadInput
from muslin.resources import KINDS, as_stored, load
from muslin.resources.keys import Key
from tests.muslin.datastore.etcd.members import opened
from tests.support.etcd_server import EtcdServer

pytestmark = [pytest.mark.engines("etcd"), pytest.mark.conformance]


def _rows() -> list[dict[str, Any]]:
    folder = os.environ.get("MUSLIN_CONFORMANCE")
    if not folder:
        pytest.skip("MUSLIN_CONFORMANCE names no folder")
    return [json.loads(line) for line in (Path(folder) / "stored.jsonl").read_text("utf-8").splitlines()]


def _there(server: EtcdServer) -> dict[str, Any]:
    found = server.call("/v3/kv/range", {"key": "AA==", "range_end": "AA=="}).get("kvs", [])
    return {base64.b64decode(kv["key"]).decode(): json.loads(base64.b64decode(kv["value"])) for kv in found}


def _without_times(value: dict[str, Any]) -> dict[str, Any]:
    """The store's own fields as the rows show them."""
    known = {"uid": "<uid>", "creationTimestamp": "<time>", "resourceVersion": "<revision>"}
    metadata = {name: known.get(name, part) for name, part in value["metadata"].items()}
    return {**value, "metadata": metadata}


async def _created(store: Any, row: dict[str, Any]) -> tuple[Key, dict[str, Any]] | None:
    """As the reference's client creates it; None if it is refused."""
    given = copy.deepcopy(row["resource"])
    if KINDS[given["kind"]].namespaced:
        given["metadata"].setdefault("namespace", "default")
    key = Key(given["kind"], given["metadata"]["name"], given["metadata"].get("namespace"))
    try:
        await store.create(key, as_stored(load(given)))
    except (AlreadyExists, BadInput):
        return None
    return key, dict((await store.get(key)).value)


def test_what_the_reference_stores_is_at_its_keys_and_read_as_it_reads_it() -> None:
    """Every row: created or refused alike, the same keys, the same JSON in etcd, the same object back."""
    rows = _rows()

    async def main(server: EtcdServer) -> list[str]:
        differing = []
        async with opened(server.endpoint) as store:
            for row in rows:
                await asyncio.to_thread(server.call, "/v3/kv/deleterange", {"key": "AA==", "range_end": "AA=="})
                await ensure_initialized(store)
                found = await _created(store, row)
                if (found is not None) != row["created"]:
                    differing.append(f"{row['id']}: created {found is not None}")
                    continue
                if found is None:
                    continue
                there = await asyncio.to_thread(_there, server)
                if set(there) != {row["key"], *row["other_keys"]}:
                    differing.append(f"{row['id']}: keys {sorted(there)}")
                elif _without_times(there[row["key"]]) != row["value"]:
                    differing.append(f"{row['id']}: etcd has {there[row['key']]}")
                elif _without_times(found[1]) != row["get"]:
                    differing.append(f"{row['id']}: read {found[1]}")
        return differing

    with EtcdServer() as server:
        differing = asyncio.run(main(server))
    print(f"stored.jsonl on etcd: {len(rows) - len(differing)} of {len(rows)}")

    assert rows
    assert differing == []
