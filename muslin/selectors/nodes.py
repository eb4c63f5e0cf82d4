"""The parts of a selector as values: each prints itself canonically and gives its matcher.

Semantics rewrites selectors by building new trees from these; no node is ever changed. The printed form is an
interface, since the identity of IP sets is computed from it (reference: calico.md section 3).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, TypeAlias

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
    "Matcher",
    "Node",
    "Not",
    "NotEquals",
    "NotIn",
    "Or",
    "StartsWith",
]

Matcher: TypeAlias = Callable[[Mapping[str, str]], bool]
"""Judges one set of labels."""


def _quoted(value: str) -> str:
    """The value as a literal; the language has no escapes, so at most one kind of quote can occur in it."""
    return f"'{value}'" if '"' in value else f'"{value}"'


class Node(ABC):
    """Any part of a selector."""

    __slots__ = ()

    @abstractmethod
    def __str__(self) -> str: ...

    @abstractmethod
    def matcher(self) -> Matcher:
        """A function that judges labels; costs time to build, little to call."""

    @abstractmethod
    def rewritten(self, change: Callable[[Leaf], Node]) -> Node:
        """The same tree with every leaf replaced by what `change` makes of it; shape and order stay."""


class Leaf(Node):
    """A part without parts: a comparison of one label, `all()` or `global()`."""

    __slots__ = ()

    def rewritten(self, change: Callable[[Leaf], Node]) -> Node:
        """What `change` makes of this leaf."""
        return change(self)

    def with_prefix(self, prefix: str) -> Leaf:
        """This leaf asked of the label `prefix + key`; a leaf without a label stays as it is."""
        return self if isinstance(self, All | Global) else replace(self, key=prefix + self.key)  # type: ignore[attr-defined,type-var]


@dataclass(frozen=True, slots=True)
class All(Leaf):
    """`all()`: every set of labels."""

    def __str__(self) -> str:
        return "all()"

    def matcher(self) -> Matcher:
        """Always true."""
        return lambda _labels: True


@dataclass(frozen=True, slots=True)
class Global(Leaf):
    """`global()`: true by itself; as a namespace selector it means "not in a namespace" after rewriting."""

    def __str__(self) -> str:
        return "global()"

    def matcher(self) -> Matcher:
        """Always true; only scoping gives it another meaning."""
        return lambda _labels: True


@dataclass(frozen=True, slots=True)
class Has(Leaf):
    """`has(key)`: the label is there, whatever its value."""

    key: str

    def __str__(self) -> str:
        return f"has({self.key})"

    def matcher(self) -> Matcher:
        """True where the label is there."""
        key = self.key
        return lambda labels: key in labels


@dataclass(frozen=True, slots=True)
class _Comparison(Leaf):
    """One label compared with one value."""

    operator: ClassVar[str]

    key: str
    value: str

    def __str__(self) -> str:
        return f"{self.key} {self.operator} {_quoted(self.value)}"


class Equals(_Comparison):
    """`key == "value"`; false where the label is missing."""

    __slots__ = ()
    operator = "=="

    def matcher(self) -> Matcher:
        """True where the label has exactly this value."""
        key, value = self.key, self.value
        return lambda labels: labels.get(key) == value


class NotEquals(_Comparison):
    """`key != "value"`; true where the label is missing."""

    __slots__ = ()
    operator = "!="

    def matcher(self) -> Matcher:
        """True where the label has another value or is missing."""
        key, value = self.key, self.value
        return lambda labels: labels.get(key) != value


class Contains(_Comparison):
    """`key contains "value"`; false where the label is missing."""

    __slots__ = ()
    operator = "contains"

    def matcher(self) -> Matcher:
        """True where the label is there and has this part."""
        key, value = self.key, self.value
        return lambda labels: (found := labels.get(key)) is not None and value in found


class StartsWith(_Comparison):
    """`key starts with "value"`; false where the label is missing."""

    __slots__ = ()
    operator = "starts with"

    def matcher(self) -> Matcher:
        """True where the label is there and begins so."""
        key, value = self.key, self.value
        return lambda labels: (found := labels.get(key)) is not None and found.startswith(value)


class EndsWith(_Comparison):
    """`key ends with "value"`; false where the label is missing."""

    __slots__ = ()
    operator = "ends with"

    def matcher(self) -> Matcher:
        """True where the label is there and ends so."""
        key, value = self.key, self.value
        return lambda labels: (found := labels.get(key)) is not None and found.endswith(value)


@dataclass(frozen=True, slots=True)
class _Membership(Leaf):
    """One label compared with a set of values; kept sorted, each once, whatever was handed in."""

    operator: ClassVar[str]

    key: str
    values: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(sorted(set(self.values))))

    def __str__(self) -> str:
        return f"{self.key} {self.operator} {{{', '.join(map(_quoted, self.values))}}}"


class In(_Membership):
    """`key in {"a", "b"}`; false where the label is missing."""

    __slots__ = ()
    operator = "in"

    def matcher(self) -> Matcher:
        """True where the label has one of the values."""
        key, values = self.key, frozenset(self.values)
        return lambda labels: labels.get(key) in values


class NotIn(_Membership):
    """`key not in {"a", "b"}`; true where the label is missing."""

    __slots__ = ()
    operator = "not in"

    def matcher(self) -> Matcher:
        """True where the label has none of the values or is missing."""
        key, values = self.key, frozenset(self.values)
        return lambda labels: labels.get(key) not in values


@dataclass(frozen=True, slots=True)
class Not(Node):
    """`!x`."""

    operand: Node

    def __str__(self) -> str:
        return f"!{self.operand}"

    def matcher(self) -> Matcher:
        """The opposite of the operand's."""
        operand = self.operand.matcher()
        return lambda labels: not operand(labels)

    def rewritten(self, change: Callable[[Leaf], Node]) -> Node:
        """The negation of the rewritten operand."""
        return Not(self.operand.rewritten(change))


@dataclass(frozen=True, slots=True)
class And(Node):
    """`(x && y && ...)`: all of at least two operands; a group in a group stays a group."""

    operands: tuple[Node, ...]

    def __str__(self) -> str:
        return f"({' && '.join(map(str, self.operands))})"

    def matcher(self) -> Matcher:
        """True where every operand is."""
        operands = tuple(operand.matcher() for operand in self.operands)

        def every(labels: Mapping[str, str]) -> bool:
            for operand in operands:  # noqa: SIM110 -- all() would put a generator's frame on each level
                if not operand(labels):
                    return False
            return True

        return every

    def rewritten(self, change: Callable[[Leaf], Node]) -> Node:
        """The conjunction of the rewritten operands."""
        return And(tuple(operand.rewritten(change) for operand in self.operands))


@dataclass(frozen=True, slots=True)
class Or(Node):
    """`(x || y || ...)`: any of at least two operands; a group in a group stays a group."""

    operands: tuple[Node, ...]

    def __str__(self) -> str:
        return f"({' || '.join(map(str, self.operands))})"

    def matcher(self) -> Matcher:
        """True where some operand is."""
        operands = tuple(operand.matcher() for operand in self.operands)

        def some(labels: Mapping[str, str]) -> bool:
            for operand in operands:  # noqa: SIM110 -- any() would put a generator's frame on each level
                if operand(labels):
                    return True
            return False

        return some

    def rewritten(self, change: Callable[[Leaf], Node]) -> Node:
        """The disjunction of the rewritten operands."""
        return Or(tuple(operand.rewritten(change) for operand in self.operands))
