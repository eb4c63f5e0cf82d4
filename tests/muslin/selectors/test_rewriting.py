"""Trees built from other trees, as scoping does."""

from __future__ import annotations

from muslin.selectors import All, And, Global, Has, Leaf, Node, Not, Selector, parse


def test_keys_get_a_prefix_and_all_is_replaced() -> None:
    """A rewriting sees every leaf once and leaves the shape alone."""

    def scoped(leaf: Leaf) -> Node:
        match leaf:
            case All():
                return Has("projectcalico.org/namespace")
            case Global():
                return Not(Has("projectcalico.org/namespace"))
        return leaf.with_prefix("pcns.")

    selector = parse("!(all() || a in {'x'}) && b == 'y' && global()").rewritten(scoped)

    assert selector.canonical == (
        '(!(has(projectcalico.org/namespace) || pcns.a in {"x"}) && pcns.b == "y" && !has(projectcalico.org/namespace))'
    )


def test_composing_trees_equals_composing_texts() -> None:
    """A group of two roots prints as the parenthesised texts joined do."""
    first, second = parse("a == 'x' && has(b)"), parse("has(c) || has(d)")

    composed = Selector(And((first.root, second.root)))

    assert composed == parse("(a == 'x' && has(b)) && (has(c) || has(d))")


def test_a_rewriting_leaves_the_original_alone() -> None:
    """Parsed selectors are shared by a cache, so none is ever changed."""
    before = parse("has(a)").canonical

    parse("has(a)").rewritten(lambda leaf: leaf.with_prefix("x."))

    assert parse("has(a)").canonical == before
