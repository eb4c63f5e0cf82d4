"""The two sources of events: PyYAML's scanner and parser in C, and the same in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import yaml
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

__all__ = ["EventSource", "ParserFactory", "fastest_parser", "python_parser"]


class EventSource(Protocol):
    """What is used of a parser."""

    def get_event(self) -> Any:
        """The next event; None behind the last. Raises yaml.YAMLError."""

    def dispose(self) -> None:
        """Let go of what the parser holds."""


ParserFactory: TypeAlias = Callable[[str], EventSource]
"""Makes the parser of one text."""


class _PythonParser(Reader, Scanner, Parser):
    """PyYAML's parser in Python, without composer and constructor."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)


def python_parser(text: str) -> EventSource:
    """The parser in Python: ten times slower, for machines where PyYAML came without C."""
    return _PythonParser(text)


def fastest_parser(text: str) -> EventSource:
    """The parser in C where PyYAML was built with it."""
    if not yaml.__with_libyaml__:
        return python_parser(text)
    source: EventSource = yaml.cyaml.CParser(text)  # type: ignore[attr-defined]
    return source
