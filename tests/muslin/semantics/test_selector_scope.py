"""Whom selectors of policies and rules can mean."""

from __future__ import annotations

from typing import Any

import pytest

from muslin.resources.policy_rules import EntityRule
from muslin.semantics.selector_scope import effective_selector, not_selector, rule_selector
from tests.support.clusters import global_policy, policy


@pytest.mark.parametrize(
    ("spec", "canonical"),
    [
        ({}, 'projectcalico.org/namespace == "red"'),
        ({"selector": "a == 'b'"}, '(a == "b" && projectcalico.org/namespace == "red")'),
        ({"selector": "a == 'b' || has(c)"}, '((a == "b" || has(c)) && projectcalico.org/namespace == "red")'),
        (
            {"selector": "all()", "serviceAccountSelector": "role == 'x'"},
            '((all() && projectcalico.org/namespace == "red") && pcsa.role == "x")',
        ),
    ],
)
def test_network_policy_sees_its_namespace_only(spec: dict[str, Any], canonical: str) -> None:
    """The namespace is added to the selector; service accounts are asked by prefixed labels."""
    assert canonical == effective_selector(policy("p", "red", **spec)).canonical


@pytest.mark.parametrize(
    ("spec", "canonical"),
    [
        ({}, "all()"),
        ({"selector": "a == 'b'"}, 'a == "b"'),
        ({"namespaceSelector": "all()"}, "has(projectcalico.org/namespace)"),
        ({"namespaceSelector": "team == 'x'"}, 'pcns.team == "x"'),
        (
            {"selector": "all()", "namespaceSelector": "has(team)"},
            "(has(projectcalico.org/namespace) && has(pcns.team))",
        ),
        ({"serviceAccountSelector": "all()"}, "has(projectcalico.org/serviceaccount)"),
        ({"selector": "a == 'all()'", "namespaceSelector": "has(b)"}, '(a == "all()" && has(pcns.b))'),
    ],
)
def test_global_policy_that_selects_namespaces_never_hits_hosts(spec: dict[str, Any], canonical: str) -> None:
    """`all()` beside a namespace or account selector means "in any"; a value that reads so is no selector."""
    assert canonical == effective_selector(global_policy("g", **spec)).canonical


@pytest.mark.parametrize(
    ("entity", "namespace", "canonical"),
    [
        ({}, "red", None),
        ({"nets": ["192.0.2.0/24"], "ports": [80]}, "red", None),
        ({"selector": "a == 'b'"}, "red", '(projectcalico.org/namespace == "red" && a == "b")'),
        ({"selector": "a == 'b'"}, None, 'a == "b"'),
        ({"notSelector": "a == 'b'"}, "red", 'projectcalico.org/namespace == "red"'),
        ({"notSelector": "a == 'b'"}, None, None),
        ({"namespaceSelector": "all()"}, "red", "has(projectcalico.org/namespace)"),
        ({"namespaceSelector": "global()"}, None, "!has(projectcalico.org/namespace)"),
        ({"namespaceSelector": "team == 'x'", "selector": "has(a)"}, "red", '(pcns.team == "x" && has(a))'),
        (
            {"serviceAccounts": {"names": ["b", "a"], "selector": "role == 'x'"}, "selector": "has(a)"},
            "red",
            (
                '(projectcalico.org/namespace == "red" && ((pcsa.role == "x" && '
                'projectcalico.org/serviceaccount in {"a", "b"}) && has(a)))'
            ),
        ),
    ],
)
def test_rule_is_scoped_as_soon_as_it_speaks_of_endpoints(
    entity: dict[str, Any], namespace: str | None, canonical: str | None
) -> None:
    """Nets and ports alone stay unscoped; any selector brings the policy's namespace or the namespaces chosen."""
    selector = rule_selector(EntityRule.model_validate(entity), namespace)

    assert canonical == (None if selector is None else selector.canonical)


def test_exclusion_is_never_scoped() -> None:
    """A notSelector holds for addresses outside the cluster too, so it has no namespace in it."""
    excluded = not_selector(EntityRule.model_validate({"notSelector": "a == 'b'"}))

    assert excluded is not None
    assert excluded.canonical == 'a == "b"'
