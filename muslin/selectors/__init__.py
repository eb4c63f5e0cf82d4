"""Calico's selector language: text to a value that prints canonically and matches labels.

Policies, peers, pools and tiers say with a selector whom they mean. Here it is decided what a selector's text means;
scoping one to a namespace (prefixed keys, `all()` replaced) is `muslin.semantics`' business, which rewrites the nodes.
Nothing here knows resources.
"""

from muslin.selectors.errors import SelectorError
from muslin.selectors.nodes import (
    All,
    And,
    Contains,
    EndsWith,
    Equals,
    Global,
    Has,
    In,
    Leaf,
    Node,
    Not,
    NotEquals,
    NotIn,
    Or,
    StartsWith,
)
from muslin.selectors.parser import parse
from muslin.selectors.selector import Selector

__all__ = [
    "All",
    "And",
    "Contains",
    "EndsWith",
    "Equals",
    "Global",
    "Has",
    "In",
    "Leaf",
    "Node",
    "Not",
    "NotEquals",
    "NotIn",
    "Or",
    "Selector",
    "SelectorError",
    "StartsWith",
    "parse",
]
