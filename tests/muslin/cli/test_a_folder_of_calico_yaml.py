"""Folders of Calico's own YAML through validate, apply and get: the content is what the reference stored from them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from muslin.conversion.etcd_keys import key_of
from tests.muslin.cli.calico import Calico
from tests.muslin.cli.running import Run
from tests.support.etcd_server import EtcdServer

_FOLDER = os.environ.get("MUSLIN_CONFORMANCE", "")
_CASES = sorted(path.parent for path in Path(_FOLDER, "confd").glob("*/etcd.json")) if _FOLDER else []
_STORES_OWN = ("uid", "creationTimestamp", "resourceVersion", "generation", "managedFields")
_RECORD = "projectcalico.org/metadata"
"""In etcd a policy's name is recorded so; clients do not show it."""

pytestmark = [
    pytest.mark.conformance,
    pytest.mark.skipif(not _CASES, reason="MUSLIN_CONFORMANCE names no folder with the reference's answers"),
]


def _content(value: dict[str, Any]) -> dict[str, Any]:
    """What a person wrote, and the defaults: without what a store adds, and a status that says nothing."""
    value = {name: it for name, it in value.items() if name != "status" or it}
    metadata = {name: it for name, it in value["metadata"].items() if name not in _STORES_OWN}
    annotations = {name: it for name, it in metadata.pop("annotations", {}).items() if name != _RECORD}
    return {**value, "metadata": {**metadata, **({"annotations": annotations} if annotations else {})}}


def _expected(case: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """What the reference had in its etcd after applying the same file."""
    for entry in json.loads((case / "etcd.json").read_text("utf-8")):
        key = key_of(entry["key"])
        if key is not None and "/resources/v3/" in entry["key"] and key.kind != "ClusterInformation":
            yield key, _content(entry["value"])


def _goes_through(calico: Calico, case: Path) -> None:
    file = case / "input.yaml"
    assert calico.ctl("validate", "-f", file).status == 0
    applied = calico.ctl("apply", "-f", file)
    assert applied.status == 0, applied.err
    found = {}
    wanted = dict(_expected(case))
    for key in wanted:
        where = ("-n", key.namespace) if key.namespace else ()
        found[key] = _content(json.loads(calico.ctl("get", key.kind, key.name, *where, "-o", "json").out))
    assert found == wanted
    again = calico.ctl("apply", "-f", file)
    assert (again.status, again.out) == (0, applied.out)


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.name)
def test_content_is_the_references(calico: Calico, case: Path) -> None:
    """Accepted as there, stored as there, and applied a second time with the same words."""
    _goes_through(calico, case)


@pytest.mark.engines("etcd")
@pytest.mark.parametrize("case", _CASES[::4], ids=lambda case: case.name)
def test_content_in_etcd_is_the_references(
    case: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same on a real etcd, for every fourth folder."""
    with EtcdServer(tls=True) as server:
        environment = {
            "DATASTORE_TYPE": "etcdv3", "ETCD_ENDPOINTS": server.endpoint, "ETCD_CA_CERT_FILE": str(server.ca_file),
        }  # fmt: skip
        _goes_through(Calico(run, tmp_path, environment, monkeypatch), case)
