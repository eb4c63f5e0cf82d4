"""A selector's text cut into tokens that know their column.

The language's one oddity lives here: what a word means depends on the token before it. After a label only an operator
can come, so `contains == "x"` asks for a label named `contains`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from muslin.selectors.errors import SelectorError

__all__ = ["LONGEST_LABEL", "Kind", "Token", "tokens"]

LONGEST_LABEL = 512
"""Characters of a label key; Calico's tokenizer has the same bound."""


class Kind(Enum):
    """What a token is; the value is how to call it in a message."""

    LABEL = "a label"
    STRING = "a quoted value"
    OPEN = "'('"
    CLOSE = "')'"
    OPEN_SET = "'{'"
    CLOSE_SET = "'}'"
    COMMA = "','"
    EQUALS = "'=='"
    NOT_EQUALS = "'!='"
    NOT = "'!'"
    AND = "'&&'"
    OR = "'||'"
    CONTAINS = "'contains'"
    STARTS_WITH = "'starts with'"
    ENDS_WITH = "'ends with'"
    IN = "'in'"
    NOT_IN = "'not in'"
    HAS = "has(...)"
    ALL = "all()"
    GLOBAL = "global()"
    END = "the end"


class Token(NamedTuple):
    """One token: `text` is a label's key, a string's content, the key in `has(key)`; else empty."""

    kind: Kind
    text: str
    column: int


_SIGNS = {
    "(": Kind.OPEN, ")": Kind.CLOSE, "{": Kind.OPEN_SET, "}": Kind.CLOSE_SET, ",": Kind.COMMA,
    "==": Kind.EQUALS, "!=": Kind.NOT_EQUALS, "!": Kind.NOT, "&&": Kind.AND, "||": Kind.OR,
}  # fmt: skip
_KEY = r"[A-Za-z0-9_./-]+"
_BLANKS = re.compile(r"[ \t]*")
_SIGN = re.compile(r"==|!=|&&|\|\||[(){},!]")
_STRING = re.compile(r'"([^"]*)"|\'([^\']*)\'')
_LABEL = re.compile(_KEY)
_CALL = re.compile(rf"has\([ \t]*(?P<key>{_KEY})[ \t]*\)|(?P<all>all)\([ \t]*\)|global\([ \t]*\)")
_OPEN_CALL = re.compile(r"(has|all|global)\([ \t]*")
_OPERATOR = re.compile(
    r"(?:(contains)|(starts[ \t]*with)|(ends[ \t]*with)|(not[ \t]*in)|(in))(?![A-Za-z0-9_./-])",
)
_OPERATORS = (Kind.CONTAINS, Kind.STARTS_WITH, Kind.ENDS_WITH, Kind.NOT_IN, Kind.IN)
_WORD = re.compile(r"[^ \t(){},=!&|\"']+")


def tokens(text: str) -> Iterator[Token]:
    """The tokens of `text`, the last of kind END. Raises SelectorError at the first that is none."""
    position = 0
    after_label = False
    while True:
        position = _BLANKS.match(text, position).end()  # type: ignore[union-attr]  # the pattern matches anything
        if position == len(text):
            yield Token(Kind.END, "", position + 1)
            return
        token, position = _next(text, position, after_label=after_label)
        after_label = token.kind is Kind.LABEL
        yield token


def _next(text: str, start: int, *, after_label: bool) -> tuple[Token, int]:
    column = start + 1
    if found := _SIGN.match(text, start):
        return Token(_SIGNS[found[0]], "", column), found.end()
    if found := _STRING.match(text, start):
        return Token(Kind.STRING, found[0][1:-1], column), found.end()
    if text[start] in "\"'=&|":
        raise _broken_sign(text, start)
    if text[start].isspace():
        raise SelectorError(
            text,
            column,
            f"{text[start]!r} cannot stand here; only space and tab are blanks",
            "write the selector on one line; in YAML use > instead of |, and >- at its end",
        )
    if after_label:
        if found := _OPERATOR.match(text, start):
            return Token(_OPERATORS[(found.lastindex or 1) - 1], "", column), found.end()
        raise SelectorError(
            text,
            column,
            f"{_word(text, start)} is not an operator, and one must follow a label",
            "write ==, !=, in, not in, contains, starts with or ends with; for a label alone has(label); "
            "join terms with && or ||",
        )
    if found := _CALL.match(text, start):
        if found["key"] is None:
            return Token(Kind.ALL if found["all"] else Kind.GLOBAL, "", column), found.end()
        return Token(Kind.HAS, _bounded(text, found["key"], found.start("key")), column), found.end()
    if found := _OPEN_CALL.match(text, start):
        raise _broken_call(text, found)
    if found := _LABEL.match(text, start):
        return Token(Kind.LABEL, _bounded(text, found[0], start), column), found.end()
    raise SelectorError(
        text,
        column,
        f"{text[start]!r} cannot stand here",
        "label keys consist of A-Z a-z 0-9 _ . / -; values stand in quotes",
    )


def _bounded(text: str, key: str, start: int) -> str:
    if len(key) > LONGEST_LABEL:
        raise SelectorError(
            text,
            start + 1,
            f"the label key has {len(key)} characters, at most {LONGEST_LABEL} are allowed",
            "shorten the key",
        )
    return key


def _word(text: str, start: int) -> str:
    found = _WORD.match(text, start)
    return repr(found[0][:40]) if found else repr(text[start])


def _broken_sign(text: str, start: int) -> SelectorError:
    sign = text[start]
    if sign in "\"'":
        return SelectorError(text, start + 1, "the quoted value does not end", f"close it with {sign}")
    return SelectorError(text, start + 1, f"{sign!r} alone is not an operator", f"write {sign * 2}")


def _broken_call(text: str, opened: re.Match[str]) -> SelectorError:
    column = opened.end() + 1
    if opened[1] != "has":
        return SelectorError(text, column, f"{opened[1]}( is not closed", f"write {opened[1]}(), nothing stands in it")
    if label := _LABEL.match(text, opened.end()):
        column = _BLANKS.match(text, label.end()).end() + 1  # type: ignore[union-attr]  # the pattern matches anything
        return SelectorError(text, column, "has( is not closed after its label", f"write has({label[0][:40]})")
    return SelectorError(text, column, "has( names no label", "write the label's key without quotes, as in has(app)")
