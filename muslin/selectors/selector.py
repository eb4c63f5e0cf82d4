"""A selector as a value: its tree, its canonical text, its identity, its matcher."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from functools import cached_property

from muslin.selectors.nodes import Leaf, Node

__all__ = ["Selector"]


class Selector:
    """A parsed or composed selector; equal to another where the canonical texts are equal.

    Equality is of text, not of meaning: `(a && b)` and `(b && a)` differ, as their IP sets do in Calico.

    Args:
        root: the tree; compose one from other selectors' roots, for example `And((first.root, second.root))`.
    """

    def __init__(self, root: Node) -> None:
        self.root = root
        self._matches = root.matcher()

    @cached_property
    def canonical(self) -> str:
        """The one printed form: double quotes, sorted sets, every group in parentheses."""
        return str(self.root)

    @cached_property
    def uid(self) -> str:
        """Identity of the canonical form, `s:` and 38 characters; names of IP sets are made from it."""
        digest = hashlib.sha224(f"s:{self.canonical}".encode()).digest()
        return "s:" + base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected; inherited labels are the caller's to add."""
        return self._matches(labels)

    def rewritten(self, change: Callable[[Leaf], Node]) -> Selector:
        """A selector whose leaves are replaced by what `change` makes of each."""
        return Selector(self.root.rewritten(change))

    def __str__(self) -> str:
        return self.canonical

    def __repr__(self) -> str:
        return f"Selector({self.canonical})"

    def __eq__(self, other: object) -> bool:
        return self.canonical == other.canonical if isinstance(other, Selector) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.canonical)
