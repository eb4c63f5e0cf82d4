"""From a template's parts to a tree. Source: the grammar of Go's text/template, as its documentation states it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeAlias

from muslin.cli.template.tokens import Action, TemplateFault, Text, Token, split

__all__ = ["Branch", "Chain", "Command", "Node", "Operand", "Output", "Parsed", "Pipeline", "Stop", "Use", "parse"]

_DEEPEST = 100


@dataclass(frozen=True, slots=True)
class Operand:
    """A value: a literal, the dot, a variable or a function's name, by `kind`."""

    kind: str
    value: Any
    token: Token


@dataclass(frozen=True, slots=True)
class Chain:
    """Fields of a value: `.Spec.CIDR`, `$x.Name`, `(index .items 0).metadata`."""

    base: Operand | Pipeline
    fields: tuple[str, ...]
    token: Token


Argument: TypeAlias = "Operand | Chain | Pipeline"


@dataclass(frozen=True, slots=True)
class Command:
    """A value, or a function with its arguments."""

    arguments: tuple[Argument, ...]
    token: Token


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands, each fed with the one before; the result may be given to variables."""

    commands: tuple[Command, ...]
    token: Token
    variables: tuple[str, ...] = ()
    declares: bool = True


@dataclass(frozen=True, slots=True)
class Output:
    """Print what the pipeline gives."""

    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Branch:
    """`if`, `with` or `range`: what is done with a value, and what without one."""

    word: str
    pipeline: Pipeline
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Use:
    """A template by its name, over a pipeline's value."""

    name: str
    pipeline: Pipeline | None
    token: Token


@dataclass(frozen=True, slots=True)
class Stop:
    """`break` or `continue`."""

    word: str


Node: TypeAlias = "Text | Output | Branch | Use | Stop"


@dataclass(frozen=True, slots=True)
class Parsed:
    """A template, and those that it defines."""

    nodes: tuple[Node, ...]
    defined: Mapping[str, tuple[Node, ...]] = field(default_factory=dict)


def parse(text: str, functions: Sequence[str]) -> Parsed:
    """The tree of a template. `functions` are the names that may be called. Raises TemplateFault."""
    parsing = _Parsing(iter(split(text)), frozenset(functions))
    nodes, ending = parsing.nodes(0, loop=False)
    if ending is not None:
        _refuse(f"unexpected {{{{{ending.text}}}}}", ending)
    return Parsed(nodes, parsing.defined)


class _Parsing:
    """One pass over the parts."""

    def __init__(self, parts: Iterator[Text | Action], functions: frozenset[str]) -> None:
        self._parts, self._functions = parts, functions
        self._variables: list[str] = ["$"]
        self._else: _Words | None = None
        self.defined: dict[str, tuple[Node, ...]] = {}

    def nodes(self, depth: int, *, loop: bool) -> tuple[tuple[Node, ...], Token | None]:
        """Everything up to `end` or `else`, and that word; None at the end of the text."""
        found: list[Node] = []
        for part in self._parts:
            if isinstance(part, Text):
                found.append(part)
                continue
            if not part.tokens:
                raise TemplateFault("missing value for command", part.line, part.column)
            words = _Words(part.tokens)
            first = part.tokens[0]
            if depth > _DEEPEST:
                _refuse("the template is nested too deeply", first)
            match first.text if first.kind == "word" else "":
                case "end":
                    words.take()
                    words.finish()
                    return tuple(found), first
                case "else":
                    words.take()
                    self._else = words
                    return tuple(found), first
                case "if" | "with" | "range":
                    words.take()
                    found.append(self._branch(first, words, depth, loop=loop))
                case "break" | "continue" if len(part.tokens) == 1:
                    if not loop:
                        _refuse(f"{{{{{first.text}}}}} outside {{{{range}}}}", first)
                    found.append(Stop(first.text))
                case "define" | "block":
                    found += self._definition(words, depth)
                case "template":
                    found.append(self._use(words))
                case _:
                    found.append(Output(self._pipeline(words)))
                    words.finish()
        return tuple(found), None

    def _branch(self, word: Token, words: _Words, depth: int, *, loop: bool) -> Branch:
        outer = len(self._variables)
        pipeline = self._pipeline(words, two=word.text == "range")
        words.finish()
        body, ending = self.nodes(depth + 1, loop=loop or word.text == "range")
        otherwise: tuple[Node, ...] = ()
        if ending is not None and ending.text == "else":
            rest, self._else = self._else, None
            following = rest.peek() if rest is not None else None
            if rest is not None and following is not None:
                if following.text not in ("if", "with") or following.text != word.text:
                    _refuse(f"unexpected {following.text!r} after else", following)
                rest.take()
                otherwise = (self._branch(following, rest, depth + 1, loop=loop),)
                del self._variables[outer:]
                return Branch(word.text, pipeline, body, otherwise)
            otherwise, ending = self.nodes(depth + 1, loop=loop)
            if ending is not None and ending.text == "else":
                _refuse("expected end; found {{else}}", ending)
        if ending is None:
            _refuse(f"{{{{{word.text}}}}} has no {{{{end}}}}", word)
        del self._variables[outer:]
        return Branch(word.text, pipeline, body, otherwise)

    def _definition(self, words: _Words, depth: int) -> list[Node]:
        word = words.take()
        name = words.take()
        if name.kind != "string":
            _refuse(f"a name in quotes must follow {word.text}", name)
        called = _text_of(name)
        pipeline = self._pipeline(words) if word.text == "block" else None
        words.finish()
        outer, self._variables = self._variables, ["$"]
        body, ending = self.nodes(depth + 1, loop=False)
        if ending is None or ending.text != "end":
            _refuse(f"{{{{{word.text}}}}} has no {{{{end}}}}", word)
        self._variables = outer
        self.defined[called] = body
        return [Use(called, pipeline, word)] if word.text == "block" else []

    def _use(self, words: _Words) -> Use:
        word, name = words.take(), words.take()
        if name.kind != "string":
            _refuse("a name in quotes must follow template", name)
        pipeline = self._pipeline(words) if words.peek() is not None else None
        words.finish()
        return Use(_text_of(name), pipeline, word)

    def _pipeline(self, words: _Words, *, two: bool = False, closing: bool = False) -> Pipeline:
        first = words.peek()
        if first is None:
            raise TemplateFault("missing value for command", words.line, words.column)
        variables, declares = self._declared(words, two=two)
        commands = [self._command(words)]
        while (mark := words.peek()) is not None and mark.text == "|" and mark.kind == "mark":
            words.take()
            commands.append(self._command(words))
        for command in commands[1:]:
            head = command.arguments[0]
            if not (isinstance(head, Operand) and head.kind == "function"):
                _refuse("only a function can stand behind |", command.token)
        rest = words.peek()
        if rest is not None and not (closing and rest.text == ")"):
            _refuse(f"unexpected {rest.text!r}", rest)
        if declares:
            self._variables += variables
        return Pipeline(tuple(commands), first, variables, declares)

    def _declared(self, words: _Words, *, two: bool) -> tuple[tuple[str, ...], bool]:
        """`$x :=`, `$x =`, and for range `$i, $x :=`."""
        names: list[str] = []
        look = 0
        while (token := words.peek(look)) is not None and token.kind == "variable":
            names.append(token.text)
            following = words.peek(look + 1)
            if following is not None and following.text in (":=", "="):
                if following.text == "=":
                    unknown = [name for name in names if name not in self._variables]
                    if unknown:
                        _refuse(f'undefined variable "{unknown[0]}"', token)
                words.skip(look + 2)
                return tuple(names), following.text == ":="
            if not (two and len(names) == 1 and following is not None and following.text == ","):
                break
            look += 2
        return (), True

    def _command(self, words: _Words) -> Command:
        first = words.peek()
        if first is None:
            raise TemplateFault("missing value for command", words.line, words.column)
        arguments: list[Argument] = []
        while (token := words.peek()) is not None and not (token.kind == "mark" and token.text in ("|", ")")):
            if arguments and not token.spaced and token.kind != "mark":
                _refuse(f"unexpected {token.text!r}", token)
            arguments.append(self._argument(words))
        if not arguments:
            _refuse("missing value for command", first)
        head = arguments[0]
        if len(arguments) > 1 and not (isinstance(head, Operand) and head.kind == "function"):
            _refuse(f"can't give argument to non-function {first.text}", first)
        return Command(tuple(arguments), first)

    def _argument(self, words: _Words) -> Argument:
        token = words.take()
        base: Operand | Pipeline
        fields: list[str] = []
        match token.kind:
            case "field":
                base, fields = Operand("dot", None, token), [token.text[1:]]
            case "variable":
                if token.text not in self._variables:
                    _refuse(f'undefined variable "{token.text}"', token)
                base = Operand("variable", token.text, token)
            case "mark" if token.text == ".":
                base = Operand("dot", None, token)
            case "mark" if token.text == "(":
                base = self._pipeline(words, closing=True)
                closing = words.peek()
                if closing is None or closing.text != ")":
                    _refuse("unclosed left paren", token)
                words.take()
            case "word":
                base = self._word(token)
            case "string" | "char" | "number":
                base = Operand("literal", _literal(token), token)
            case _:
                _refuse(f"unexpected {token.text!r} in operand", token)
        while (following := words.peek()) is not None and following.kind == "field" and not following.spaced:
            fields.append(words.take().text[1:])
        return Chain(base, tuple(fields), token) if fields else base

    def _word(self, token: Token) -> Operand:
        known = {"true": True, "false": False, "nil": None}
        if token.text in known:
            return Operand("literal", known[token.text], token)
        if token.text not in self._functions:
            _refuse(f'function "{token.text}" not defined', token)
        return Operand("function", token.text, token)


class _Words:
    """The words of one action, one after the other."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens, self._next = tokens, 0
        self.line, self.column = tokens[-1].line, tokens[-1].column

    def peek(self, ahead: int = 0) -> Token | None:
        at = self._next + ahead
        return self._tokens[at] if at < len(self._tokens) else None

    def take(self) -> Token:
        token = self.peek()
        if token is None:
            raise TemplateFault("unexpected end of the action", self.line, self.column)
        self._next += 1
        return token

    def skip(self, count: int) -> None:
        self._next += count

    def finish(self) -> None:
        token = self.peek()
        if token is not None:
            _refuse(f"unexpected {token.text!r}", token)


def _text_of(token: Token) -> str:
    return str(_literal(token))


def _literal(token: Token) -> Any:
    text = token.text
    if text.startswith("`"):
        return text[1:-1]
    try:
        if token.kind == "char":
            return ord(ast.literal_eval(text))
        if token.kind == "string":
            return ast.literal_eval(text.replace("\n", "\\n"))
        if text[:1] == "0" and text.isdigit() and len(text) > 1:
            return int(text, 8)
        return ast.literal_eval(text.lstrip("+"))
    except (ValueError, SyntaxError, TypeError):
        _refuse(f"bad literal {text}", token)


def _refuse(what: str, token: Token) -> NoReturn:
    raise TemplateFault(what, token.line, token.column)
