"""Names of workloads are the ones that Calico computes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from muslin.conversion.endpoint_name import EndpointName, interface_of

_PARTS = ("node", "orchestrator", "pod", "endpoint", "container_id", "workload")


def _rows(function: str) -> list[Any]:
    folder = os.environ.get("MUSLIN_CONFORMANCE")
    if not folder:
        return [pytest.param(None, marks=pytest.mark.skip(reason="MUSLIN_CONFORMANCE names no folder"))]
    with (Path(folder) / "names.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines if f'"fn": "{function}"' in line]
    return [pytest.param(row, id=row["id"]) for row in rows]


@pytest.mark.conformance
@pytest.mark.parametrize("row", _rows("veth_name"))
def test_host_interface_is_the_reference_s(row: dict[str, Any]) -> None:
    """A pod's host interface has the name that Calico gives it."""
    args = row["args"]

    assert interface_of(args["namespace"], args["pod"], args["FELIX_INTERFACEPREFIX"]) == row["result"]


@pytest.mark.conformance
@pytest.mark.parametrize("row", _rows("wep_name"))
def test_endpoint_name_is_the_reference_s(row: dict[str, Any]) -> None:
    """A WorkloadEndpoint has the name that Calico gives it, and parts that Calico refuses are refused."""
    args = dict(row["args"])
    name = EndpointName(**{part: args[part] for part in _PARTS})
    if "error" in row:
        with pytest.raises(ValueError, match=row["error"].split()[3]):
            name.text(prefix=args["allow_prefix"])
        return

    assert name.text(prefix=args["allow_prefix"]) == row["result"]


@pytest.mark.conformance
@pytest.mark.parametrize("row", _rows("wep_name_parse"))
def test_endpoint_name_reads_back_as_the_reference_s(row: dict[str, Any]) -> None:
    """A WorkloadEndpoint's name has the parts that Calico reads in it."""
    if "error" in row:
        with pytest.raises(ValueError, match="is not the name"):
            EndpointName.parse(row["args"]["name"])
        return

    assert EndpointName.parse(row["args"]["name"]) == EndpointName(**row["result"])


def test_endpoint_name_doubles_hyphens() -> None:
    """Hyphens inside parts are doubled, so that a name splits in one way only."""
    assert str(EndpointName("node-1", pod="web-0", endpoint="eth0")) == "node--1-k8s-web--0-eth0"
