r"""Regular expressions as Go writes them, which is what every setting means that holds a pattern.

Go knows no lookaround and no references back, and has a few things that Python writes otherwise (`\z`, `\pL`,
`[[:alpha:]]`, flags in the middle). A pattern is translated once, when it is read; what Go refuses is refused.
Source: the syntax of RE2 (https://github.com/google/re2/wiki/Syntax).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, StrictStr

__all__ = ["Pattern", "PatternText", "parse_pattern"]

_MOST_REPEATS = 1000
_DEEPEST = 200
_CLASSES: Final = {
    "d": "0-9", "s": r"\t\n\f\r\x20", "w": "0-9A-Za-z_",
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": r"\x00-\x7f", "blank": r"\t\x20", "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9", "graph": r"\x21-\x7e", "lower": "a-z", "print": r"\x20-\x7e",
    "punct": r"\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e", "space": r"\t\n\v\f\r\x20", "upper": "A-Z", "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_COMPLEMENTS: Final = {"d": r"\x00-/:-\U0010ffff", "s": r"\x00-\x08\x0b\x0e-\x1f!-\U0010ffff",
                       "w": r"\x00-/:-@\[-\^`\{-\U0010ffff"}  # fmt: skip
_CONTROL: Final = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_CATEGORIES: Final = {"L": "A-Za-z", "Lu": "A-Z", "Ll": "a-z", "N": "0-9", "Nd": "0-9", "Any": r"\x00-\U0010ffff"}
"""Unicode's categories, as far as names of interfaces and files can tell: within ASCII."""
_REPEAT = re.compile(r"\{(\d+)(,?)(\d*)\}")
_GROUP = re.compile(r"\?(?:P?<(\w+)>|([imsU]*)(-[imsU]+)?([:)]))", re.ASCII)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression; equal to another if it is written alike."""

    text: str
    _compiled: re.Pattern[str] = field(compare=False, repr=False)

    def matches(self, name: str) -> bool:
        """Whether it is found anywhere in this text, as Go's MatchString says."""
        return self._compiled.search(name) is not None

    def __str__(self) -> str:
        return self.text


@lru_cache(maxsize=256)
def parse_pattern(text: str) -> Pattern:
    """A pattern from its text. Raises ValueError with what Go would not take."""
    try:
        return Pattern(text, re.compile(_Translation(text).whole(), re.ASCII))
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{text!r} is not a regular expression: {error}") from None


def _pattern_text(value: str) -> str:
    if value:
        parse_pattern(value)
    return value


PatternText: TypeAlias = Annotated[StrictStr, AfterValidator(_pattern_text)]
"""A field with a pattern, kept as written; empty means unset."""


class _Translation:
    """One pass over a text. Flags that begin in the middle become a group to the end of the one they stand in."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._depth = text, 0, 0
        self._copies = 1
        """How often what was read last stands for its innermost part: Go multiplies repeats inside each other."""

    def whole(self) -> str:
        written = self._alternatives(multiline=False)
        if self._at < len(self._text):
            raise self._wrong("a ) without its (")
        return written

    def _wrong(self, what: str) -> ValueError:
        return ValueError(f"{self._text!r} is not a regular expression: {what} (at {self._at + 1})")

    def _peek(self) -> str:
        return self._text[self._at] if self._at < len(self._text) else ""

    def _take(self) -> str:
        if self._at >= len(self._text):
            raise self._wrong("it ends too early")
        self._at += 1
        return self._text[self._at - 1]

    def _alternatives(self, *, multiline: bool) -> str:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._wrong("too many groups inside each other")
        done, opened = "", ""  # `opened` are the flag groups that the rest stands in
        repeatable, most, self._copies = False, 1, 1
        while (char := self._peek()) not in ("", ")"):
            if char == "|":
                self._at += 1
                done += ")" * opened.count("(") + "|" + opened
                repeatable = False
            elif char in "*+?" or (char == "{" and _REPEAT.match(self._text, self._at)):
                done += self._repetition(after_something=repeatable)
                repeatable = False
            else:
                flags = self._flags()
                if flags is not None:
                    opened += f"(?{flags}:" if flags else ""
                    done += f"(?{flags}:" if flags else ""
                    on, _, off = flags.partition("-")
                    multiline = "m" in on or (multiline and "m" not in off)
                else:
                    most, self._copies = max(most, self._copies), 1
                    done += self._atom(multiline=multiline)
                    repeatable = True
        self._copies = max(most, self._copies)
        self._depth -= 1
        return done + ")" * opened.count("(")

    def _repetition(self, *, after_something: bool) -> str:
        if not after_something:
            raise self._wrong("nothing to repeat")
        counted = _REPEAT.match(self._text, self._at)
        if counted is None:
            written = self._take()
        else:
            first, comma, last = counted.groups()
            low, high = int(first), int(last or first)
            self._copies = self._copies * high or 1
            if max(low, high) > _MOST_REPEATS or low > high or (max(low, high) > 1 and self._copies > _MOST_REPEATS):
                raise self._wrong(f"{counted.group()} repeats too often or backwards")
            self._at, written = counted.end(), f"{{{low}{comma}{last}}}"
        return written + (self._take() if self._peek() == "?" else "")

    def _flags(self) -> str | None:
        """Flags for the rest of a group, `(?i)`, None if something else stands here."""
        group = _GROUP.match(self._text, self._at + 1) if self._peek() == "(" else None
        if group is None or group.group(4) != ")":
            return None
        self._at = group.end()
        return _python_flags(group)

    def _atom(self, *, multiline: bool) -> str:
        char = self._take()
        match char:
            case "(":
                return self._group(multiline=multiline)
            case "[":
                return self._bracketed()
            case "\\":
                return self._escaped()
            case "^":
                return "(?:^)" if multiline else r"(?:\A)"
            case "$":
                return "(?:$)" if multiline else r"(?:\Z)"
            case ".":
                return "."
            case _:
                return re.escape(char)

    def _group(self, *, multiline: bool) -> str:
        head = "("
        if self._peek() == "?":
            group = _GROUP.match(self._text, self._at)
            if group is None:
                raise self._wrong("Go knows no such group")
            self._at = group.end()
            flags = "" if group.group(1) else _python_flags(group)
            head = f"(?{flags}:"
            on, _, off = flags.partition("-")
            multiline = "m" in on or (multiline and "m" not in off)
        inner = self._alternatives(multiline=multiline)
        if self._peek() != ")":
            raise self._wrong("a ( without its )")
        self._at += 1
        return f"{head}{inner})"

    def _escaped(self) -> str:
        char = self._take()
        if char in "AbBz":
            return f"(?:\\{'Z' if char == 'z' else char})"
        if char == "Q":
            end = self._text.find("\\E", self._at)
            literal = self._text[self._at : end if end >= 0 else None]
            self._at += len(literal) + (2 if end >= 0 else 0)
            return f"(?:{re.escape(literal)})"
        return f"[{self._member(char)}]"

    def _member(self, char: str) -> str:
        """What follows a backslash, as it stands in Python's brackets."""
        if char in "dsw":
            return _CLASSES[char]
        if char in "DSW":
            return _COMPLEMENTS[char.lower()]
        if char in "pP":
            name = self._take()
            if name == "{":
                end = self._text.find("}", self._at)
                name, self._at = (self._text[self._at : end], end + 1) if end >= 0 else ("", self._at)
            if name not in _CATEGORIES or char == "P":
                raise self._wrong(f"the Unicode class {name!r} is not known here")
            return _CATEGORIES[name]
        return re.escape(self._character(char))

    def _character(self, char: str) -> str:
        """The one character that an escape stands for."""
        digits = re.compile(r"x\{([0-9a-fA-F]{1,6})\}|x([0-9a-fA-F]{2})|(0[0-7]{0,2}|[1-7][0-7]{1,2})").match(
            self._text, self._at - 1
        )
        if digits is not None:
            self._at = digits.end()
            code = int(digits.group(3), 8) if digits.group(3) else int(digits.group(1) or digits.group(2), 16)
            if code > 0x10FFFF:
                raise self._wrong("there is no such character")
            return chr(code)
        if char in _CONTROL:
            return _CONTROL[char]
        if char.isascii() and not char.isalnum():
            return char
        raise self._wrong(f"Go knows no \\{char}")

    def _bracketed(self) -> str:
        written = "["
        if self._peek() == "^":
            self._at += 1
            written += "^"
        first = True
        while first or self._peek() != "]":
            if self._text.startswith("[:", self._at):
                written += self._named()
            else:
                written += self._range()
            first = False
        self._at += 1
        return written + "]"

    def _named(self) -> str:
        end = self._text.find(":]", self._at + 2)
        name = self._text[self._at + 2 : end] if end >= 0 else ""
        if name not in _CLASSES or len(name) == 1:
            raise self._wrong("no such class of characters")
        self._at = end + 2
        return _CLASSES[name]

    def _range(self) -> str:
        char = self._take()
        if char == "\\":
            char = self._take()
            if char in "dswDSWpP":
                return self._member(char)
            char = self._character(char)
        if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in ("]", ""):
            self._at += 1
            last = self._take()
            if last == "\\":
                last = self._character(self._take())
            if last < char:
                raise self._wrong("a range backwards")
            return f"{re.escape(char)}-{re.escape(last)}"
        return re.escape(char)


def _python_flags(group: re.Match[str]) -> str:
    on, off = (re.sub("U", "", each or "") for each in (group.group(2), group.group(3)))
    return on + (off if off != "-" else "")
