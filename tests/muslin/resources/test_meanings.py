"""Every field has a sentence that explains it."""

from __future__ import annotations

import pytest

from muslin.resources.meanings import MEANINGS
from muslin.resources.openapi import field_meaning
from muslin.resources.registry import KINDS
from tests.engines.verdicts import parts_of

_OF_THEMSELVES = {"apiVersion", "kind", "metadata", "spec", "status"}
_OTHERS = {"ObjectMeta", "OwnerReference"}
"""Kubernetes' own."""


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_explained(kind: str) -> None:
    """A new field needs a sentence, from its own line or from its enum, model or default."""
    unexplained = [
        f"{part.__name__}.{field.alias}"
        for part in parts_of(KINDS[kind].model)
        if part.__name__ not in _OTHERS
        for name, field in part.model_fields.items()
        if field.alias not in _OF_THEMSELVES and not field_meaning(part, name, field)
    ]

    assert unexplained == []


def test_no_sentence_is_about_a_field_that_is_gone() -> None:
    """Models and fields that are explained exist."""
    models = {each.__name__: each for kind in KINDS for part in parts_of(KINDS[kind].model) for each in part.__mro__}
    fields = {
        (each.__name__, field.alias)
        for kind in KINDS
        for part in parts_of(KINDS[kind].model)
        for each in part.__mro__
        for field in part.model_fields.values()
    }

    assert {
        f"{model}.{field}"
        for model, sentences in MEANINGS.items()
        for field in sentences
        if model not in models or (model, field) not in fields
    } == set()
