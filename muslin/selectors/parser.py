"""Tokens to a tree. No recursion, so that no text can exhaust the stack.

Grammar (calico.md section 3): `!` binds tightest, then `&&`, then `||`; a run of `!` counts once or not at all; the
empty text means `all()`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

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
    Node,
    Not,
    NotEquals,
    NotIn,
    Or,
    StartsWith,
)
from muslin.selectors.selector import Selector
from muslin.selectors.tokens import Kind, Token, tokens

__all__ = ["DEEPEST", "LONGEST", "parse"]

DEEPEST = 100
"""Levels of parentheses. Calico has no bound; ours keeps printing and matching, which recurse, far from the stack's."""
LONGEST = 1_000_000
"""Characters. Etcd refuses whole objects over 1.5 MB."""

_COMPARISONS: dict[Kind, Callable[[str, str], Node]] = {
    Kind.EQUALS: Equals,
    Kind.NOT_EQUALS: NotEquals,
    Kind.CONTAINS: Contains,
    Kind.STARTS_WITH: StartsWith,
    Kind.ENDS_WITH: EndsWith,
}
_SETS = {Kind.IN: In, Kind.NOT_IN: NotIn}


@lru_cache(maxsize=4096)
def parse(text: str) -> Selector:
    """The selector that `text` means. Raises SelectorError with the column of the first fault."""
    if len(text) > LONGEST:
        raise SelectorError(
            text, LONGEST + 1, f"the selector has {len(text)} characters, at most {LONGEST} are allowed", "split it"
        )
    _refuse_half_characters(text)
    return Selector(_Parser(text).tree())


def _refuse_half_characters(text: str) -> None:
    """JSON can carry halves of surrogate pairs, which no encoding of the canonical form can."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise SelectorError(
            text, error.start + 1, "half of a surrogate pair is not a character", "write the character itself"
        ) from None


@dataclass(slots=True)
class _Group:
    """What was read so far between two parentheses, or of the whole."""

    column: int
    negated: bool
    alternatives: list[Node] = field(default_factory=list)
    terms: list[Node] = field(default_factory=list)

    def alternative_ends(self) -> None:
        self.alternatives.append(self.terms[0] if len(self.terms) == 1 else And(tuple(self.terms)))
        self.terms = []

    def closed(self) -> Node:
        self.alternative_ends()
        node = self.alternatives[0] if len(self.alternatives) == 1 else Or(tuple(self.alternatives))
        return Not(node) if self.negated else node


class _Parser:
    """One pass over one text's tokens."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: Iterator[Token] = tokens(text)
        self._ahead: Token | None = None

    def tree(self) -> Node:
        """The tree of the whole text."""
        if self._peek().kind is Kind.END:
            return All()
        groups = [_Group(column=1, negated=False)]
        while True:
            self._operand(groups)
            if not self._joined(groups):
                return groups[0].closed()

    def _peek(self) -> Token:
        """The next token; cut from the text no sooner than asked for, so that the first fault is told first."""
        if self._ahead is None:
            self._ahead = next(self._tokens)
        return self._ahead

    def _advance(self) -> Token:
        token = self._peek()
        if token.kind is not Kind.END:
            self._ahead = None
        return token

    def _skipped(self, kind: Kind) -> bool:
        """Whether the next token was of this kind; if so, it is read."""
        found = self._peek().kind is kind
        if found:
            self._advance()
        return found

    def _operand(self, groups: list[_Group]) -> None:
        """Reads up to one operand and puts it into the innermost group; opens groups on the way."""
        while True:
            negated = False
            while self._skipped(Kind.NOT):
                negated = not negated
            if self._peek().kind is not Kind.OPEN:
                leaf = self._leaf()
                groups[-1].terms.append(Not(leaf) if negated else leaf)
                return
            if len(groups) > DEEPEST:
                raise SelectorError(
                    self._text,
                    self._peek().column,
                    f"parentheses nest deeper than {DEEPEST} levels",
                    "remove parentheses that change nothing, or split the rule",
                )
            groups.append(_Group(self._advance().column, negated))

    def _joined(self, groups: list[_Group]) -> bool:
        """Reads what follows an operand, closing groups; whether another operand must follow."""
        while True:
            token = self._advance()
            if token.kind is Kind.AND:
                return True
            if token.kind is Kind.OR:
                groups[-1].alternative_ends()
                return True
            if token.kind is Kind.CLOSE and len(groups) > 1:
                node = groups.pop().closed()
                groups[-1].terms.append(node)
            elif token.kind is Kind.END and len(groups) == 1:
                return False
            elif token.kind is Kind.END:
                raise SelectorError(
                    self._text, token.column, f"the '(' at column {groups[-1].column} is not closed", "add a ')'"
                )
            else:
                raise SelectorError(
                    self._text,
                    token.column,
                    f"{token.kind.value} cannot follow a complete term",
                    "remove it" if token.kind is Kind.CLOSE else "join terms with && or ||",
                )

    def _leaf(self) -> Node:
        token = self._advance()
        match token.kind:
            case Kind.HAS:
                return Has(token.text)
            case Kind.ALL:
                return All()
            case Kind.GLOBAL:
                return Global()
            case Kind.LABEL:
                return self._comparison(token.text)
        raise SelectorError(
            self._text,
            token.column,
            f"a term must stand here, not {token.kind.value}",
            "write a comparison such as app == 'web', or has(app), or all()",
        )

    def _comparison(self, key: str) -> Node:
        operator = self._advance()
        if comparison := _COMPARISONS.get(operator.kind):
            return comparison(key, self._string(f"a value in quotes must follow {operator.kind.value}"))
        if membership := _SETS.get(operator.kind):
            return membership(key, self._set(operator))
        if operator.kind is Kind.OPEN and key in {"has", "all", "global"}:
            raise SelectorError(
                self._text, operator.column, f"a blank parts {key} from its '('", f"write {key}( without a blank"
            )
        raise SelectorError(
            self._text,
            operator.column,
            f"an operator must follow the label {key[:40]!r}, not {operator.kind.value}",
            f"write {key[:40]} == 'value', or has({key[:40]}) for any value",
        )

    def _string(self, problem: str) -> str:
        token = self._advance()
        if token.kind is not Kind.STRING:
            fix = f"write '{token.text[:40]}'" if token.kind is Kind.LABEL else "write the value in ' or \""
            raise SelectorError(self._text, token.column, problem, fix)
        return token.text

    def _set(self, operator: Token) -> tuple[str, ...]:
        """The values between braces; a comma may follow the last."""
        opened = self._advance()
        if opened.kind is not Kind.OPEN_SET:
            raise SelectorError(
                self._text, opened.column, f"a set must follow {operator.kind.value}", "write it as {'a', 'b'}"
            )
        values: list[str] = []
        while self._peek().kind is Kind.STRING:
            values.append(self._advance().text)
            if not self._skipped(Kind.COMMA):
                break
        closing = self._advance()
        if closing.kind is not Kind.CLOSE_SET:
            raise SelectorError(
                self._text,
                closing.column,
                f"{closing.kind.value} cannot stand in a set",
                "write values in quotes with commas between them, and close the set with }",
            )
        return tuple(values)
