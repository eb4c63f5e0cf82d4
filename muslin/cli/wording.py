"""The reference's words for what went wrong, for those who call us `calicoctl`: scripts look for them.

`Ended` is how a verb ends badly: our problems, and the line that calicoctl prints first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from muslin.cli.kinds import SHOWN_KINDS
from muslin.datastore.protocol import AlreadyExists, Conflict, Forbidden, NotFound, NotSupported
from muslin.errors import BadInput, Failed, MuslinError, Problem
from muslin.resources.keys import Key

__all__ = ["Ended", "Unsupported", "first_line", "identity", "listed", "reference_text"]

_UNKNOWN_FIELD = re.compile(r"^unknown field '([^']+)'")
_FIELD = re.compile(r"(?:^|  )([A-Za-z][^\s:]*)$")
_RULE = re.compile(r"spec\.\w+\[[0-9]+\]")
_ENTITY = re.compile(r"spec\.\w+\[[0-9]+\]\.(source|destination)")


class Ended(MuslinError):
    """A verb that failed: `line` is calicoctl's, which may have several lines; the problems are ours.

    Args:
        line: what calicoctl prints.
        problems: ours, at least one.
        input_: whether somebody's input is at fault, and not the store.
    """

    def __init__(self, line: str, problems: Problem | Iterable[Problem], *, input_: bool = False) -> None:
        super().__init__(problems)
        self.line, self.input = line, input_


class Unsupported(Failed):
    """The store has no such operation for this kind: a Node of Kubernetes can't be created here."""

    def __init__(self, operation: str, what: Key | str, reason: str = "", fix: str = "use another verb") -> None:
        self.operation = operation
        told = f"operation {operation} is not supported on {identity(what)}{f': {reason}' if reason else ''}"
        super().__init__(Problem(told, str(what), fix))


def identity(key: Key | str) -> str:
    """An object as calicoctl names it: `IPPool(pods)`, `NetworkPolicy(shop/web)`."""
    if not isinstance(key, Key):
        return key
    return f"{key.kind}({key.namespace}/{key.name})" if key.namespace else f"{key.kind}({key.name})"


def reference_text(error: MuslinError) -> str:
    """One error in the reference's words."""
    match error:
        case Ended():
            return error.line
        case NotFound():
            return f"resource does not exist: {identity(error.key)} with error: {_cause(error)}"
        case AlreadyExists():
            return f"resource already exists: {identity(error.key)} with error: {_cause(error)}"
        case Conflict():
            return f"update conflict: {identity(error.key)}"
        case NotSupported():
            return error.problems[0].what.replace(str(error.key), identity(error.key))
        case Forbidden():
            return f"connection is unauthorized: {error.problems[0].what}"
        case BadInput():
            return _invalid(error.problems)
    return "; ".join(problem.what for problem in error.problems)


def listed(errors: Iterable[MuslinError]) -> str:
    """Several errors as Go prints a list of them."""
    return f"[{' '.join(reference_text(error) for error in errors)}]"


def first_line(error: MuslinError) -> str:
    """What calicoctl prints for an error that ended it, its own cosmetics done."""
    text = reference_text(error) if isinstance(error, Ended) or not isinstance(error, BadInput) else _plain(error)
    for problem in error.problems if "unknown field" in text else ():
        if found := _UNKNOWN_FIELD.match(problem.what):
            return f"field in document is not recognized or is in the wrong location: {found[1].rpartition('.')[2]}"
    return text.rstrip("\n")


def _plain(error: MuslinError) -> str:
    return "; ".join(problem.what for problem in error.problems)


def _cause(error: MuslinError) -> str:
    """What the server said, if one did: the other stores have no words of their own."""
    said = getattr(error.__cause__, "message", None)
    return said if isinstance(said, str) and said else "<nil>"


def _invalid(problems: Sequence[Problem]) -> str:
    fields = [_field(problem) for problem in problems]
    if len(fields) == 1:
        return f"error with field {fields[0]}"
    return "error with the following fields:\n" + "".join(f"-  {field}\n" for field in fields)


def _field(problem: Problem) -> str:
    """Field and reason; rules in CEL blame the object that they are about, and allowed values stand alone."""
    found = _FIELD.search(problem.where)
    _, marked, values = problem.what.partition("supported values: ")
    reason = f"{marked}{values}" if marked else problem.what
    if found is None:
        return f"({reason})"
    return f"{_blamed(problem.source, found[1])} ({reason})"


def _blamed(source: str | None, path: str) -> str:
    """The path that the reference blames: of the object that a rule in CEL is about, else the field's own."""
    model, _, rule = (source or "").partition(" ")
    if not rule or not _is_cel(model, rule):
        return path
    if path.startswith("spec") and model.endswith("Spec"):
        return "spec"
    if "Rule" in model:
        found = (_ENTITY if model == "EntityRule" else _RULE).match(path)
        return found[0] if found else path
    return model if model in SHOWN_KINDS else path


def _is_cel(model: str, rule: str) -> bool:
    from muslin.resources.part import Part, rules_of  # noqa: PLC0415 - whoever has such a problem has loaded it

    waiting: list[type[Part]] = [Part]
    while waiting:
        found = waiting.pop()
        if found.__name__ == model:
            return any(each.name == rule and each.cel is not None for each in rules_of(found))
        waiting += found.__subclasses__()
    return False
