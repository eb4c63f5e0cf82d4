"""`muslin crds` and `muslin schema` print what Kubernetes and editors read."""

from __future__ import annotations

import json

import pytest

from muslin.datastore.kubernetes.own_kinds import own_definitions
from muslin.resources.admission import admission_objects
from muslin.resources.crds import definition, definitions
from muslin.resources.json_schema import json_schema
from muslin.yaml import load
from tests.muslin.cli.running import Run


def test_all_definitions_and_admission_policies_are_printed(run: Run) -> None:
    """Without arguments everything that a cluster needs comes out, as YAML that reads back alike."""
    ran = run("crds")

    assert (ran.status, ran.err) == (0, "")
    assert [document.value for document in load(ran.out)] == [*definitions(), *own_definitions(), *admission_objects()]


@pytest.mark.slow
def test_older_clusters_get_what_they_understand(run: Run) -> None:
    """The admission policies come in the version asked for, or not at all."""
    beta = [document.value for document in load(run("crds", "--admission", "v1beta1").out)]
    versions = {each["apiVersion"] for each in beta if each["kind"].startswith("Mutating")}

    assert versions == {"admissionregistration.k8s.io/v1beta1"}
    assert [document.value for document in load(run("crds", "--admission", "none").out)] == [
        *definitions(),
        *own_definitions(),
    ]


@pytest.mark.parametrize("word", ["ippool", "IPPools", "pool"])
def test_one_kind_is_printed_by_any_of_its_names(run: Run, word: str) -> None:
    """People name kinds as they do elsewhere."""
    ran = run("crds", word, "-o", "json")

    assert json.loads(ran.out)["items"] == [definition("IPPool")]


@pytest.mark.parametrize(("verb", "word"), [("crds", "node"), ("crds", "pol1cy"), ("schema", "pol1cy")])
def test_a_kind_that_is_not_there_is_refused(run: Run, verb: str, word: str) -> None:
    """A kind that nobody knows, or that has no definition, is a wrong argument; those that there are get named."""
    ran = run(verb, word)

    assert (ran.status, ran.out) == (2, "")
    assert "IPPool" in ran.err


def test_a_schema_for_editors_is_printed(run: Run) -> None:
    """All kinds by default, or those named, also such without a definition."""
    assert json.loads(run("schema").out) == json_schema()
    assert json.loads(run("schema", "node", "tier").out) == json_schema(["Node", "Tier"])
