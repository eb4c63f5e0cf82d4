"""The reference's own examples through our verbs: acceptance, first lines and what `get` shows afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from muslin.cli.client import Client
from muslin.cli.documents import Given
from muslin.cli.outcome import Outcome, report_written
from muslin.cli.scope import key_of
from muslin.cli.wording import Ended
from muslin.datastore.initialize import ensure_initialized
from muslin.datastore.memory import MemoryDatastore
from muslin.errors import MuslinError

pytestmark = pytest.mark.conformance


def _rows(name: str) -> Iterator[dict[str, Any]]:
    folder = os.environ.get("MUSLIN_CONFORMANCE")
    if not folder:
        pytest.skip("MUSLIN_CONFORMANCE names no folder with the reference's answers")
    with Path(folder, name).open(encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines)


async def _created(resource: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """What is there after `create` into a new datastore, or calicoctl's line."""
    store = MemoryDatastore()
    await ensure_initialized(store)
    given, outcome = Given(resource, "case"), Outcome([str(resource.get("kind"))])
    try:
        key = key_of(given, None)
        await Client(store).create(given, key)
    except MuslinError as error:
        outcome.errors.append(error)
    try:
        report_written("create", outcome)
    except Ended as ended:
        return None, ended.line
    return dict((await store.get(key)).value), ""


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """Without what each store says for itself; an empty status is none."""
    metadata = {
        name: held
        for name, held in value["metadata"].items()
        if name not in ("uid", "resourceVersion", "creationTimestamp")
    }
    rest = {name: held for name, held in value.items() if name != "status" or held}
    return {**rest, "metadata": metadata}


def test_what_is_created_is_what_calicoctl_shows(capsys: pytest.CaptureFixture[str]) -> None:
    """Every stored example comes to the same object, or is refused in the same way."""
    other: list[str] = []
    count = 0
    for row in _rows("stored.jsonl"):
        count += 1
        found, line = asyncio.run(_created(row["resource"]))
        if row["created"] != (found is not None):
            other.append(f"{row['id']}: created {row['created']}, ours: {line or 'created'}")
        elif found is not None and _plain(found) != _plain(row["get"]):
            other.append(f"{row['id']}: {_plain(found)} and not {_plain(row['get'])}")
        elif found is None and line.partition("[")[0] != row["error"].partition("[")[0]:
            other.append(f"{row['id']}: {line}")
    with capsys.disabled():
        print(f"\nstored.jsonl through the verbs: {count - len(other)} of {count} rows")

    assert other == []


def test_refusals_begin_with_calicoctls_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Where both refuse, the line up to the bracket is the same: the verb's own words, or that of a file."""
    same = both = 0
    other: list[str] = []
    for row in (*_rows("validator.jsonl"), *_rows("crd.jsonl")):
        if row["calicoctl_valid"]:
            continue
        _, line = asyncio.run(_created(row["resource"]))
        theirs = row["calicoctl_error"].replace("failed to validate", "failed to create")
        if not line or theirs.startswith("failed to execute command"):
            continue  # acceptance is the business of the models' own test; types that do not fit are told with fields
        both += 1
        head = re.match(r"[^\[]*\[(error with (field|the following fields)|.)", theirs)
        if head and line.startswith(theirs.partition("[")[0]):
            same += 1
        else:
            other.append(f"{row['id']}: {line[:90]} / {theirs[:90]}")
    with capsys.disabled():
        print(f"\nfirst lines of refusals: {same} of {both}")

    assert other == []
