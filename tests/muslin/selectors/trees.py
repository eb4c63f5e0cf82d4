"""Hypothesis strategies for selectors' trees, and an evaluator that is obviously right and slow."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import strategies as st

from muslin.selectors import (
    All,
    And,
    Contains,
    EndsWith,
    Equals,
    Global,
    Has,
    In,
    Node,
    Not,
    NotEquals,
    NotIn,
    Or,
    StartsWith,
)

KEYS = st.sampled_from(["a", "b", "in", "not", "has", "contains", "projectcalico.org/namespace"])
VALUES = st.text(st.sampled_from("abc'€ \n"), max_size=3) | st.text(st.sampled_from('abc"'), max_size=3)
LABELS = st.dictionaries(KEYS, st.text(st.sampled_from("abc'\"€"), max_size=3), max_size=4)

LEAVES: st.SearchStrategy[Node] = st.one_of(
    st.builds(All),
    st.builds(Global),
    st.builds(Has, KEYS),
    *(st.builds(kind, KEYS, VALUES) for kind in (Equals, NotEquals, Contains, StartsWith, EndsWith)),
    *(st.builds(kind, KEYS, st.lists(VALUES, max_size=3).map(tuple)) for kind in (In, NotIn)),
)


def _negated(node: Node) -> Node:
    """The negation as the grammar can write it: a run of `!` collapses, so none is put before another."""
    return node.operand if isinstance(node, Not) else Not(node)


def _joined(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    operands = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(inner.map(_negated), st.builds(And, operands), st.builds(Or, operands))


TREES: st.SearchStrategy[Node] = st.recursive(LEAVES, _joined, max_leaves=12)


def holds(node: Node, labels: Mapping[str, str]) -> bool:
    """What the reference's table of meanings says, line by line."""
    match node:
        case All() | Global():
            return True
        case Has(key):
            return key in labels
        case Equals(key, value):
            return key in labels and labels[key] == value
        case NotEquals(key, value):
            return key not in labels or labels[key] != value
        case Contains(key, value):
            return key in labels and value in labels[key]
        case StartsWith(key, value):
            return key in labels and labels[key][: len(value)] == value
        case EndsWith(key, value):
            return (
                key in labels
                and labels[key][len(labels[key]) - len(value) :] == value
                and len(value) <= len(labels[key])
            )
        case In(key, values):
            return key in labels and labels[key] in values
        case NotIn(key, values):
            return key not in labels or labels[key] not in values
        case Not(operand):
            return not holds(operand, labels)
        case And(operands):
            return all(holds(operand, labels) for operand in operands)
        case Or(operands):
            return any(holds(operand, labels) for operand in operands)
    raise AssertionError(node)
