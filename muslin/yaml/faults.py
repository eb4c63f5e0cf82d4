"""What the YAML scanner refuses, in words for people, with a fix."""

from __future__ import annotations

import yaml

from muslin.errors import Place, Problem

__all__ = ["syntax_problem"]

_FIXES = (
    ("cannot start any token", "\t", "indent with spaces; a tab cannot indent in YAML"),
    ("cannot start any token", "", "put the value in quotes; it begins with a character that YAML keeps for itself"),
    (
        "mapping values are not allowed",
        "",
        "put the value in quotes where it has ': ' in it; else check the indentation",
    ),
    ("could not find expected ':'", "", "write ': ' after the key, with the blank; check the line above for a quote"),
    ("expected <block end>", "", "indent this line as its siblings; check that brackets and quotes above are closed"),
    ("unexpected end of stream", "", "close the quote"),
    ("did not find expected '-' indicator", "", "begin every item with '- ' in the same column"),
    ("did not find expected key", "", "indent this line as its siblings; check that quotes above are closed"),
    ("expected ',' or", "", "separate items with a comma, or close the bracket"),
    ("escape", "", "inside double quotes write \\\\ for a backslash, or use single quotes"),
    ("directive", "", "remove the line that begins with %"),
    ("document start", "", "begin the next document with a line of three dashes"),
    ("undefined tag handle", "", "remove the tag"),
)
"""Part of the scanner's message, character at the place, fix; the first that fits."""


def syntax_problem(error: yaml.YAMLError, text: str, file: str | None) -> Problem:
    """The scanner's complaint as a problem with its place."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return Problem(f"this is no YAML: {error}", str(Place(file)) if file else "the text", _default_fix())
    mark = error.problem_mark or error.context_mark
    what = ", ".join(part for part in (error.context, error.problem) if part) or "it cannot be read"
    line, column = (mark.line, mark.column) if mark else (0, 0)
    if error.context and error.context_mark and error.context_mark.line != line:
        what += f" (it begins at line {error.context_mark.line + 1})"
    return Problem(f"this is no YAML: {what}", str(Place(file, line + 1, column + 1)), _fix(what, text, line, column))


def _fix(what: str, text: str, line: int, column: int) -> str:
    lines = text.split("\n", line + 1)
    at_place = lines[line][column : column + 1] if line < len(lines) else ""
    for part, character, fix in _FIXES:
        if part in what and (not character or at_place == character):
            return fix
    return _default_fix()


def _default_fix() -> str:
    return "check indentation, quotes and brackets at this place and in the line above"
