"""Ids of sets are those that the reference computes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from muslin.selectors import parse
from runtime.calc.sets import SetRequests


def _asked() -> list[dict[str, Any]]:
    folder = os.environ.get("MUSLIN_CONFORMANCE")
    if not folder:
        return []
    lines = (Path(folder) / "calcgraph_ipsets.jsonl").read_text().splitlines()
    return [case for case in map(json.loads, lines) if "selector" in case]


@pytest.mark.conformance
@pytest.mark.skipif(not os.environ.get("MUSLIN_CONFORMANCE"), reason="MUSLIN_CONFORMANCE names no folder")
def test_ids_are_the_references() -> None:
    """Selectors and named ports give the ids that another implementation would look for."""
    requests = SetRequests()
    numbers = {"tcp": 6, "udp": 17, "sctp": 132}

    actual = [
        requests.listening(case["selector"], numbers[case["protocol"]], case["named_port"])
        if "named_port" in case
        else requests.selected(parse(case["selector"]))
        for case in _asked()
    ]

    assert actual
    assert actual == [case["id"] for case in _asked()]
