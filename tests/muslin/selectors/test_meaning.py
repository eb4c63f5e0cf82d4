"""What selectors match, against an evaluator that reads like the reference's table."""

from __future__ import annotations

from hypothesis import given

from muslin.selectors import Node, Selector, parse
from tests.muslin.selectors.trees import LABELS, TREES, holds


@given(TREES, LABELS)
def test_matcher_agrees_with_the_obvious_evaluator(tree: Node, labels: dict[str, str]) -> None:
    """The compiled matcher answers as the table of meanings does."""
    assert Selector(tree).matches(labels) == holds(tree, labels)


@given(TREES)
def test_canonical_form_is_a_fixed_point(tree: Node) -> None:
    """The canonical text parses to the same tree and prints the same again."""
    canonical = Selector(tree).canonical

    again = parse(canonical)

    assert (again.canonical, again.root) == (canonical, tree)


def test_a_missing_label_satisfies_only_negative_comparisons() -> None:
    """`!=` and `not in` hold where the label is missing, every other comparison does not."""
    texts = ["a == ''", "a != ''", "a contains ''", "a starts with ''", "a ends with ''", "a in {''}", "a not in {''}"]

    assert [text for text in texts if parse(text).matches({})] == ["a != ''", "a not in {''}"]


def test_no_text_means_everything() -> None:
    """Nothing but blanks is `all()`."""
    assert [parse(text).canonical for text in ("", " ", "\t \t")] == ["all()"] * 3


def test_equal_canonical_text_is_one_identity() -> None:
    """Writing style changes neither equality nor the id that IP sets are named by."""
    first, second = parse("a in {'y','x','y',}&&has( b )"), parse('((a   in {"x", "y"}) && (has(b)))')

    assert (first, first.uid, hash(first)) == (second, second.uid, hash(second))
    assert first != parse("has(b) && a in {'x', 'y'}")
