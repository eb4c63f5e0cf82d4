"""A real API server with our definitions takes what our models take, and refuses what they refuse."""

from __future__ import annotations

import copy
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from muslin.resources.crd_kinds import CUSTOM_KINDS
from muslin.resources.crds import GROUP, definitions
from muslin.resources.registry import KINDS
from tests.engines.verdicts import CASES, RULES, Case, compared, path_of
from tests.support.kube_apiserver import Answer, KubeApiserver

pytestmark = pytest.mark.engines

_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_TABLES = ("crd.jsonl", "validator.jsonl", "stored.jsonl")


@pytest.fixture(scope="module")
def server(kube_apiserver: KubeApiserver) -> KubeApiserver:
    """The API server with all definitions."""
    for each in definitions():
        kube_apiserver.install(each)
    return kube_apiserver


def _tried(server: KubeApiserver, obj: dict[str, Any]) -> Answer:
    """What a create would come to; nothing is written."""
    path = path_of(obj["kind"], obj["metadata"].get("namespace", "default"))
    answer = server.request("POST", f"{path}?dryRun=All&fieldValidation=Strict", obj)
    assert answer.status in {201, 400, 422}, answer
    return answer


def _namespaced(obj: dict[str, Any]) -> dict[str, Any]:
    given = copy.deepcopy(obj)
    if KINDS[given["kind"]].namespaced:
        given["metadata"]["namespace"] = "default"
    for field in ("uid", "resourceVersion", "creationTimestamp"):
        given["metadata"].pop(field, None)
    return given


def test_every_definition_is_established_and_structural(server: KubeApiserver) -> None:
    """All kinds are served, no name is taken, and no schema is refused as not structural."""
    found = {each["metadata"]["name"]: each for each in server.request("GET", _CRDS)["items"]}
    conditions = {
        name: {each["type"]: each["status"] for each in definition["status"]["conditions"]}
        for name, definition in found.items()
        if definition["spec"]["group"] == GROUP
    }

    assert set(conditions) == {f"{KINDS[kind].plural}.{GROUP}" for kind in CUSTOM_KINDS}
    assert all(each == {"NamesAccepted": "True", "Established": "True"} for each in conditions.values()), conditions


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_servers_verdict(server: KubeApiserver, case: Case) -> None:
    """A case is accepted or refused as the table says; a broken rule is told in the rule's own words."""
    answer = _tried(server, _namespaced(case.obj))

    assert (answer.status == 201) == case.server_accepts, answer.get("message")
    if case.what in RULES and RULES[case.what].cel is not None and not case.server_accepts:
        assert RULES[case.what].message in answer["message"]


@pytest.mark.conformance
@pytest.mark.slow
@pytest.mark.parametrize("table", _TABLES)
def test_the_references_own_cases(server: KubeApiserver, table: str, record_property: Any) -> None:
    """Whatever the models accept the server accepts; what it accepts alone breaks only what CEL doesn't say."""
    folder = os.environ.get("MUSLIN_CONFORMANCE")
    if not folder:
        pytest.skip("MUSLIN_CONFORMANCE names no folder")
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    for line in (Path(folder) / table).read_text("utf-8").splitlines():
        row = json.loads(line)
        if row["resource"].get("kind") not in CUSTOM_KINDS:
            counts["kinds without definition"] += 1
            continue
        obj = _namespaced(row["resource"])
        answer = _tried(server, obj)
        verdict = compared(obj, accepted=answer.status == 201)
        counts[verdict or "different"] += 1
        if verdict is None:
            wrong.append(f"{row['id']}: {answer.get('message')}")

    print(f"{table}: {dict(counts)}")
    record_property("counts", dict(counts))
    assert wrong == []
