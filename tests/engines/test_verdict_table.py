"""The table of verdicts is true of the models, and leaves no rule out."""

from __future__ import annotations

import pytest

from muslin.errors import BadInput, Problem
from muslin.resources import load
from muslin.resources.crd_kinds import CUSTOM_KINDS
from tests.engines.verdicts import CASES, RULES, Case

_SEEN_ELSEWHERE = {"labels", "annotations", "name"}
"""Rules over metadata, which Kubernetes has by itself; names of kinds with a form of their own are in the table."""
_SAID_BY_THE_FIELD = {"IPPoolSpec strictly-masked"}
"""Rules that models never come to, because the field's own type refuses first."""


def _problems(case: Case) -> tuple[Problem, ...]:
    try:
        load(case.obj)
    except BadInput as refusal:
        return refusal.problems
    return ()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_models_verdict(case: Case) -> None:
    """A case is accepted or refused as the table says, and for the reason that it is named after."""
    problems = _problems(case)

    assert (not problems) == case.models_accept, problems
    if case.what in RULES and not case.models_accept:
        assert case.what in {problem.source for problem in problems}


def test_every_rule_is_broken_by_a_case() -> None:
    """A new rule needs a case that breaks it; a case that is named after a rule names one that exists."""
    broken = {case.what for case in CASES}
    wanted = {source for source in RULES if source.split()[1] not in _SEEN_ELSEWHERE or RULES[source].cel}
    named = {what for what in broken if what.split()[0] in {source.split()[0] for source in RULES}}

    assert (wanted - broken - _SAID_BY_THE_FIELD, named - set(RULES)) == (set(), set())


def test_every_kind_has_an_accepted_and_a_refused_case() -> None:
    """No kind is left out."""
    accepted = {case.kind for case in CASES if case.models_accept}
    refused = {case.kind for case in CASES if not case.server_accepts}

    assert (accepted, refused) == (set(CUSTOM_KINDS), set(CUSTOM_KINDS))


def test_what_only_models_refuse_is_not_in_cel() -> None:
    """A rule with a CEL text is never among those that the API server can not have."""
    excused = {case.what for case in CASES if case.server_accepts and not case.models_accept}

    assert {what for what in excused if what in RULES and RULES[what].cel is not None} == set()
