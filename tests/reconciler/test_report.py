"""What a plan shows: the published form, whose each field is, nothing secret, nothing that acts in a review."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from muslin.datastore.protocol import Entry, Revision
from muslin.errors import Place
from muslin.resources.keys import Key
from reconciler.compare import FieldChange
from reconciler.drift import Drifted, Mode
from reconciler.hidden import HIDDEN, without_secrets
from reconciler.ledger import Owned
from reconciler.manifests import Declared
from reconciler.plan import Action, Cause, Owner, Plan, Step
from reconciler.planning import plan
from reconciler.report import Report
from reconciler.report_fields import WhyField, fields
from reconciler.report_markdown import markdown
from reconciler.report_schema import PlanReport, schema

_PUBLISHED = Path(__file__).parents[2] / "docs/reference/plan.schema.json"
_KEY = Key("NetworkPolicy", "web", "shop")


def _policy(order: int, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "projectcalico.org/v3", "kind": "NetworkPolicy",
        "metadata": {"name": "web", "namespace": "shop", **metadata}, "spec": {"order": order},
    }  # fmt: skip


def _planned(desired: dict[str, Any] | None, live: dict[str, Any] | None, owned: dict[str, Any] | None) -> Plan:
    return plan(
        "c1",
        {} if desired is None else {_KEY: Declared(_KEY, desired, Place("web.yaml", 1, 1))},
        {} if live is None else {_KEY: Entry(_KEY, live, Revision("7"))},
        {} if owned is None else {_KEY: Owned(owned)},
        canonical=lambda entry: entry.value,
    )


def test_the_schema_is_published() -> None:
    """The file in the documentation is what the models say; write it anew where they change."""
    assert json.loads(_PUBLISHED.read_text("utf-8")) == schema()


@pytest.mark.parametrize(
    ("desired", "live", "owned", "expected"),
    [
        (_policy(5), None, None, ("metadata", "nobody", WhyField.DECLARED)),
        (_policy(5), _policy(4), _policy(4), ("spec.order", "us", WhyField.DECLARED)),
        (_policy(5), _policy(4), _policy(5), ("spec.order", "somebody else", WhyField.CHANGED_BY_OTHERS)),
        (_policy(5), _policy(3), _policy(4), ("spec.order", "somebody else", WhyField.DECLARED)),
        (_policy(5), _policy(4), None, ("spec.order", "somebody else", WhyField.TAKEN_OVER)),
        (
            _policy(5), _policy(5, labels={"a": "b"}), _policy(5, labels={"a": "b"}),
            ("metadata.labels", "us", WhyField.NO_LONGER_DECLARED),
        ),
    ],
    ids=["new", "ours", "drift", "ours and changed by others", "a stranger's", "no longer declared"],
)  # fmt: skip
def test_every_field_says_whose_it_is_and_why_it_changes(
    desired: dict[str, Any], live: dict[str, Any], owned: dict[str, Any], expected: tuple[str, str, WhyField]
) -> None:
    """By the ledger: what stands there is ours if it is what we applied."""
    (step,) = _planned(desired, live, owned).steps

    assert expected in [(each.path, each.owner, each.why) for each in fields(step)]


def test_a_server_that_keeps_books_is_believed() -> None:
    """The manager that has a field there is named, for a field of its own and for one in a list that it has."""
    books = [
        {"manager": "kubectl", "fieldsV1": {"f:spec": {"f:order": {}}}},
        {"manager": "operator", "fieldsV1": {"f:spec": {"f:types": {}}}},
    ]
    live = _policy(4, managedFields=books)
    live["spec"]["types"] = ["Ingress"]
    wanted = _policy(5)
    wanted["spec"]["types"] = ["Egress"]
    (step,) = _planned(wanted, live, None).steps

    owners = {each.path: each.owner for each in fields(step)}
    assert (owners["spec.order"], owners["spec.types[0]"]) == ("kubectl", "operator")


def test_what_we_wrote_is_ours_in_a_servers_books_too() -> None:
    """Our manager, with the set or without, is us where the ledger says so; of a stranger's object it is a name."""
    books = [
        {"manager": "muslin/default", "fieldsV1": {"f:spec": {"f:order": {}}}},
        {"manager": "argocd", "fieldsV1": {"f:spec": {"f:order": {}}}},
    ]
    live = _policy(4, managedFields=books)
    (ours,) = _planned(_policy(5), live, _policy(4)).steps
    (strangers,) = _planned(_policy(5), live, None).steps

    assert ("spec.order", "us, argocd") in [(each.path, each.owner) for each in fields(ours)]
    assert ("spec.order", "muslin/default, argocd") in [(each.path, each.owner) for each in fields(strangers)]


@pytest.mark.parametrize(
    ("path", "value", "shown"),
    [
        (("spec", "password"), "hush", HIDDEN),
        (
            ("spec", "password"),
            {"secretKeyRef": {"name": "s", "key": "k"}},
            {"secretKeyRef": {"name": "s", "key": "k"}},
        ),
        (("spec", "password"), {"value": "hush"}, HIDDEN),
        (("spec",), {"nodeMeshPassword": "hush", "asNumber": 64500}, {"nodeMeshPassword": HIDDEN, "asNumber": 64500}),
        (("metadata", "annotations"), {"example/api-key": "hush"}, {"example/api-key": HIDDEN}),
        (("spec", "headers"), [{"name": "Authorization", "value": "Bearer abcdefgh123"}], None),
        (("spec",), {"headers": [{"name": "X-Api-Key", "value": "hush"}]}, None),
        (("spec", "url"), "https://me:hush@registry.example", HIDDEN),
        (("metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"), "{}", HIDDEN),
        (("spec", "secretName"), "mesh", "mesh"),
        (("spec", "selector"), "app == 'token-server'", "app == 'token-server'"),
        (("spec", "password", "value"), "hush", HIDDEN),
        (("spec", "password", "secretKeyRef", "name"), "mesh", "mesh"),
        (("spec", "note"), "https://a0b1c2d3e4f5a6b7hush@git.example/x", HIDDEN),
        (("spec", "note"), "pushed with ghp_0123456789abcdefhush", HIDDEN),
        (("spec", "note"), "ask someone@example.org, see https://example.org/@x", None),
        (("spec", "key"), "-----BEGIN EC PRIVATE KEY-----\nhush", HIDDEN),
        (("spec", "order"), None, None),
    ],
    ids=str,
)
def test_no_secret_is_shown(path: tuple[str, ...], value: Any, shown: Any) -> None:
    """By the name of the field or the look of the text; a reference to a secret is none."""
    found = without_secrets(value, path)

    assert "hush" not in json.dumps(found)
    assert "abcdefgh123" not in json.dumps(found)
    assert shown is None or found == shown


def test_a_secret_is_in_no_output() -> None:
    """An annotation with a token, as old value, as new value, and in a new object."""
    before, after = (_policy(5, annotations={"example/token": word}) for word in ("hush-1", "hush-2"))
    for proposed in (_planned(after, before, before), _planned(after, None, None), _planned(None, before, before)):
        report = Report(proposed)
        told = json.dumps(report.to_json()) + markdown(report)
        assert "hush" not in told.replace("sha256", "")


def test_a_secret_that_drifts_and_is_left_is_in_no_output() -> None:
    """What is listed apart, because drift is only reported, shows no value of it either."""
    path = "metadata.annotations['example/token']"
    drifted = Drifted(_KEY, Mode.REPORT, (FieldChange(path, "hush-1", "hush-2"), FieldChange("spec.order", 1, 2)))
    report = Report(Plan("c1", drifted=(drifted,)))
    told = json.dumps(report.to_json()) + markdown(report)

    assert path in told
    assert "hush" not in told


def test_a_review_shows_text_and_nothing_else() -> None:
    """Names and values of others become no table, tag, link, mention or end of a fence."""
    nasty = "x|y <img src=x> @everyone [a](b) ![c](d) www.example.org https://example.org $x$"
    value = "```\n<script>"
    step = Step(Action.UPDATE, Key("Tier", nasty), Cause.CHANGE, Owner.US, {"metadata": {}}, place=nasty)
    changed = _planned(_policy(5, annotations={"a": value}), _policy(5, annotations={"a": "b"}), None).steps[0]
    text = markdown(Report(Plan("c1", (step, changed))))

    for raw in ("<img", "@everyone", "](", "![", "https://", "www.e", "x|y", "$x"):
        assert raw not in text
    assert "````diff\n" in text
    assert "+ metadata.annotations.a: ```\\n<script>" in text


def test_many_steps_are_counted_where_they_are_left_out() -> None:
    """A comment has an end: how many steps more there are is told, and `--full` shows them."""
    steps = tuple(Step(Action.CREATE, Key("Tier", f"t{at}"), Cause.CHANGE, Owner.NOBODY, {}) for at in range(130))
    report = Report(Plan("c1", steps))

    assert "30 steps more; `--full` shows all." in markdown(report)
    assert "Tier t129" in markdown(report, full=True)
    assert PlanReport.model_validate_json(json.dumps(report.to_json())).counts.create == 130


def test_many_lines_are_counted_where_they_are_left_out() -> None:
    """One object may be longer than any comment: the first lines are shown, and how many more there are is told."""
    annotations = {f"a{at:04}": "x" * 60 for at in range(2_000)}
    report = Report(_planned(_policy(5, annotations=annotations), None, None))
    text, whole = markdown(report), markdown(report, full=True)
    left = whole.count("\n+ ") - text.count("\n+ ")

    assert (len(text) < 22_000, left > 1_500) == (True, True)
    assert f"{left:,} lines more; `--full` shows all." in text
    assert "a1999: xxx" in whole
