"""From a template's text to tokens: literal text, and inside `{{ }}` words, each with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

__all__ = ["Action", "TemplateFault", "Text", "Token", "split"]

_OPEN, _CLOSE = "{{", "}}"
_BLANKS = " \t\r\n"
_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\n]+)
      | (?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)
      | (?P<char>'(?:[^'\\\n]|\\.[^'\n]*)')
      | (?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|[0-9][0-9_]*(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?
                        |\.[0-9]+(?:[eE][+-]?[0-9]+)?))
      | (?P<field>\.[^\W\d]\w*)
      | (?P<variable>\$\w*)
      | (?P<word>[^\W\d]\w*)
      | (?P<mark>:=|[().|,=])
    """,
    re.VERBOSE,
)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


class TemplateFault(ValueError):
    """What is wrong with a template, or with what it does to its data, and where: line and column from 1."""

    def __init__(self, what: str, line: int, column: int) -> None:
        super().__init__(what)
        self.what, self.line, self.column = what, line, column


@dataclass(frozen=True, slots=True)
class Token:
    """One word of an action. `spaced` tells whether blanks stand before it: `.a .b` are two values, `.a.b` is one."""

    kind: str
    text: str
    line: int
    column: int
    spaced: bool


@dataclass(frozen=True, slots=True)
class Text:
    """Text that is printed as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class Action:
    """What stands between `{{` and `}}`."""

    tokens: tuple[Token, ...]
    line: int
    column: int


def split(text: str) -> Iterator[Text | Action]:
    """The parts of a template; comments are gone, and blanks that `{{-` and `-}}` take away. Raises TemplateFault."""
    position, trim = 0, False
    while position < len(text):
        start = text.find(_OPEN, position)
        literal = text[position:] if start < 0 else text[position:start]
        if trim:
            literal = literal.lstrip(_BLANKS)
        if start < 0:
            if literal:
                yield Text(literal)
            return
        inside = start + len(_OPEN)
        if text.startswith("-", inside) and text[inside + 1 : inside + 2] in tuple(_BLANKS):
            literal = literal.rstrip(_BLANKS)
            inside += 2
        if literal:
            yield Text(literal)
        tokens, position, trim = _action(text, inside, start)
        if tokens is not None:
            yield Action(tuple(tokens), *_place(text, start))


def _action(text: str, position: int, start: int) -> tuple[list[Token] | None, int, bool]:
    """The action's words (None for a comment), where it ends, and whether blanks after it go."""
    comment = re.compile(r"[ \t\r\n]*/\*").match(text, position)
    if comment:
        found = _COMMENT.search(text, position)
        if found is None:
            _refuse(text, start, "unclosed comment")
        rest = re.compile(r"(?:[ \t\r\n]+(-))?\}\}").match(text, found.end())
        if rest is None:
            _refuse(text, start, "comment ends before closing delimiter")
        return None, rest.end(), rest[1] is not None
    tokens: list[Token] = []
    spaced = False
    while True:
        if text.startswith(_CLOSE, position):
            return tokens, position + len(_CLOSE), False
        if spaced and text.startswith(f"-{_CLOSE}", position):
            return tokens, position + 1 + len(_CLOSE), True
        found = _TOKEN.match(text, position)
        if found is None:
            what = "unclosed action" if position >= len(text) else f"unexpected {text[position]!r} in action"
            if text[position : position + 1] in ('"', "`", "'"):
                what = "unterminated quoted string"
            _refuse(text, position if position < len(text) else start, what)
        kind = found.lastgroup or ""
        if kind != "blank":
            tokens.append(Token(kind, found[0], *_place(text, position), spaced))
        spaced = kind == "blank"
        position = found.end()


def _place(text: str, position: int) -> tuple[int, int]:
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)


def _refuse(text: str, position: int, what: str) -> NoReturn:
    raise TemplateFault(what, *_place(text, position))
