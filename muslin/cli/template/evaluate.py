"""Executes a template's tree over data, and holds the functions that templates may call."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn
from urllib.parse import quote_plus

from muslin.cli.template.formatting import formatted
from muslin.cli.template.parser import Branch, Chain, Command, Node, Operand, Output, Parsed, Pipeline, Stop, Use, parse
from muslin.cli.template.tokens import TemplateFault, Text, Token
from muslin.cli.template.values import NO_VALUE, Absent, compare, field_of, is_true, printed, same

__all__ = ["render"]

_Function = Callable[..., Any]
_LARGEST = 64 << 20
"""Characters of output; a template that makes more has run away."""
_DEEPEST = 100


def render(template: str, data: Any, functions: Mapping[str, _Function] | None = None) -> str:
    """What a template makes of data.

    Args:
        template: the text.
        data: what JSON can say.
        functions: more of them, by name; they may raise TypeError and ValueError.

    Raises:
        TemplateFault: the template is wrong, or does not fit the data.
    """
    known = {**_FUNCTIONS, **(functions or {})}
    try:
        parsed = parse(template, (*known, "and", "or"))
        executing = _Executing(parsed, known)
        executing.nodes(parsed.nodes, data, [("$", data)], 0)
    except RecursionError:
        raise TemplateFault("the template is nested too deeply", 1, 1) from None
    return "".join(executing.written)


class _Stopped(Exception):
    """`break` or `continue` was met."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


_Variables = list[tuple[str, Any]]


class _Executing:
    """One execution; `written` is the output so far."""

    def __init__(self, parsed: Parsed, functions: Mapping[str, _Function]) -> None:
        self._parsed, self._functions = parsed, functions
        self.written: list[str] = []
        self._length = 0

    def nodes(self, nodes: Sequence[Node], dot: Any, variables: _Variables, depth: int) -> None:
        for node in nodes:
            match node:
                case Text(text):
                    self._write(text)
                case Output(pipeline):
                    value = self._value(pipeline, dot, variables)
                    if not pipeline.variables:
                        self._write(printed(value), pipeline.token)
                case Stop(word):
                    raise _Stopped(word)
                case Use():
                    self._use(node, dot, variables, depth)
                case Branch():
                    self._branch(node, dot, variables, depth)

    def _branch(self, branch: Branch, dot: Any, variables: _Variables, depth: int) -> None:
        outer = len(variables)
        if branch.word == "range":
            self._range(branch, dot, variables, depth)
        else:
            value = self._value(branch.pipeline, dot, variables)
            if is_true(value):
                self.nodes(branch.body, value if branch.word == "with" else dot, variables, depth)
            else:
                self.nodes(branch.otherwise, dot, variables, depth)
        del variables[outer:]

    def _range(self, branch: Branch, dot: Any, variables: _Variables, depth: int) -> None:
        outer = len(variables)
        pipeline = branch.pipeline
        value = self._value(Pipeline(pipeline.commands, pipeline.token), dot, variables)
        empty = True
        for key, item in _items(value, pipeline.token):
            empty = False
            del variables[outer:]
            given = (key, item) if len(pipeline.variables) == 2 else (item,)
            for name, held in zip(pipeline.variables, given, strict=False):
                self._assign(variables, name, held, declares=pipeline.declares)
            try:
                self.nodes(branch.body, item, variables, depth)
            except _Stopped as stopped:
                if stopped.word == "break":
                    break
        del variables[outer:]
        if empty:
            self.nodes(branch.otherwise, dot, variables, depth)

    def _use(self, use: Use, dot: Any, variables: _Variables, depth: int) -> None:
        body = self._parsed.defined.get(use.name)
        if body is None:
            _refuse(f'template "{use.name}" not defined', use.token)
        if depth >= _DEEPEST:
            _refuse("exceeded maximum template depth", use.token)
        value = None if use.pipeline is None else self._value(use.pipeline, dot, variables)
        self.nodes(body, value, [("$", value)], depth + 1)

    def _value(self, pipeline: Pipeline, dot: Any, variables: _Variables) -> Any:
        value: Any = None
        for index, command in enumerate(pipeline.commands):
            value = self._command(command, dot, variables, [value] if index else [])
        for name in pipeline.variables:
            self._assign(variables, name, value, declares=pipeline.declares)
        return value

    def _assign(self, variables: _Variables, name: str, value: Any, *, declares: bool) -> None:
        if not declares:
            for index in range(len(variables) - 1, -1, -1):
                if variables[index][0] == name:
                    variables[index] = (name, value)
                    return
        variables.append((name, value))

    def _command(self, command: Command, dot: Any, variables: _Variables, fed: list[Any]) -> Any:
        head, *rest = command.arguments
        if not (isinstance(head, Operand) and head.kind == "function"):
            return self._argument(head, dot, variables)
        if head.value in ("and", "or"):
            if not rest and not fed:
                _refuse(f"wrong number of args for {head.value}: want at least 1 got 0", head.token)
            return self._short(head.value, (*rest, *fed), dot, variables)
        arguments = [self._argument(each, dot, variables) for each in rest] + fed
        try:
            return self._functions[head.value](*arguments)
        except (TypeError, ValueError, IndexError, KeyError, OverflowError) as error:
            reason = str(error.args[0]) if error.args else str(error)
            if "positional argument" in reason:
                reason = f"wrong number of args: got {len(arguments)}"
            _refuse(f"error calling {head.value}: {reason}", head.token)

    def _short(self, word: str, arguments: Sequence[Any], dot: Any, variables: _Variables) -> Any:
        """`and` and `or` look no further than they must."""
        value: Any = None
        for each in arguments:
            value = self._argument(each, dot, variables) if isinstance(each, Operand | Chain | Pipeline) else each
            if is_true(value) == (word == "or"):
                return value
        return value

    def _argument(self, argument: Operand | Chain | Pipeline, dot: Any, variables: _Variables) -> Any:
        match argument:
            case Pipeline():
                outer = len(variables)
                value = self._value(argument, dot, variables)
                del variables[outer:]
                return value
            case Chain(base, fields, token):
                value = self._argument(base, dot, variables)
                for name in fields:
                    if value is None:
                        _refuse(f"nil pointer evaluating interface {{}}.{name}", token)
                    try:
                        value = field_of(value, name)
                    except TypeError as error:
                        _refuse(str(error), token)
                return value
            case Operand("dot"):
                return dot
            case Operand("variable", name):
                return next(value for known, value in reversed(variables) if known == name)
            case Operand("function", name, token):
                return self._command(Command((argument,), token), dot, variables, [])
            case Operand(value=value):
                return value

    def _write(self, text: str, token: Token | None = None) -> None:
        self._length += len(text)
        if self._length > _LARGEST:
            raise TemplateFault("the output is too long", token.line if token else 1, token.column if token else 1)
        self.written.append(text)


def _items(value: Any, token: Token) -> Iterator[tuple[Any, Any]]:
    match value:
        case None | Absent():
            return
        case Mapping():
            yield from ((key, value[key]) for key in sorted(value))
        case bool() | float() | str():
            _refuse(f"range can't iterate over {printed(value)}", token)
        case int():
            if value > _LARGEST:
                _refuse("the output is too long", token)
            yield from ((index, index) for index in range(value))
        case _:
            yield from enumerate(value)


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, Absent) or value is None:
            raise TypeError("index of untyped nil")
        if isinstance(value, Mapping):
            if not isinstance(key, str):
                raise TypeError(f"value has type {type(key).__name__}; should be string")
            value = value.get(key, NO_VALUE)
        elif isinstance(value, list | tuple | str):
            if not isinstance(key, int) or isinstance(key, bool):
                raise TypeError(f"cannot index slice/array with type {type(key).__name__}")
            if not 0 <= key < len(value):
                raise IndexError(f"index out of range: {key}")
            value = ord(value[key]) if isinstance(value, str) else value[key]
        else:
            raise TypeError(f"can't index item of type {type(value).__name__}")
    return value


def _slice(value: Any, *bounds: Any) -> Any:
    if not isinstance(value, list | tuple | str):
        raise TypeError(f"can't slice item of type {type(value).__name__}")
    start, stop = (*bounds, None, None)[:2]
    for bound in (start or 0, len(value) if stop is None else stop):
        if not isinstance(bound, int) or not 0 <= bound <= len(value):
            raise IndexError(f"index out of range: {bound}")
    return value[start or 0 : stop]


def _length(value: Any) -> int:
    if isinstance(value, Absent):
        return 0
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, Mapping | list | tuple):
        return len(value)
    raise TypeError(f"len of type {'nil' if value is None else type(value).__name__}")


def _any_equal(first: Any, *others: Any) -> bool:
    if not others:
        raise TypeError("missing argument for comparison")
    return any(same(first, other) for other in others)


def _print(*values: Any) -> str:
    """Blanks stand between two values of which neither is text."""
    made = ""
    for index, value in enumerate(values):
        if index and not isinstance(value, str) and not isinstance(values[index - 1], str):
            made += " "
        made += printed(value)
    return made


def _join(items: Any, separator: str, longest: int = 0) -> str:
    """Calicoctl's own functions: items in a row, cut with `...` where a length is given."""
    if items is None or isinstance(items, Absent):
        return ""
    if isinstance(items, Mapping):
        items = sorted(f"{key}={printed(value)}" for key, value in items.items())
    elif not isinstance(items, list | tuple):
        items = [items]
    made = separator.join(printed(item) for item in items)
    return made if longest <= 0 or len(made) <= longest else made[: max(longest - 3, 0)] + "..."


def _format(text: Any, *arguments: Any) -> str:
    if not isinstance(text, str):
        raise TypeError(f"wrong type for value; expected string; got {type(text).__name__}")
    return formatted(text, arguments)


_FUNCTIONS: dict[str, _Function] = {
    "not": lambda value: not is_true(value),
    "len": _length,
    "index": _index,
    "slice": _slice,
    "print": _print,
    "println": lambda *values: " ".join(printed(value) for value in values) + "\n",
    "printf": _format,
    "html": lambda *values: html.escape(_print(*values)).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
    "js": lambda *values: json.dumps(_print(*values))[1:-1],
    "urlquery": lambda *values: quote_plus(_print(*values)),
    "eq": _any_equal,
    "ne": lambda one, other: not same(one, other),
    "lt": lambda one, other: compare(one, other) < 0,
    "le": lambda one, other: compare(one, other) <= 0,
    "gt": lambda one, other: compare(one, other) > 0,
    "ge": lambda one, other: compare(one, other) >= 0,
    "join": _join,
    "joinAndTruncate": _join,
}


def _refuse(what: str, token: Token) -> NoReturn:
    raise TemplateFault(what, token.line, token.column)
