"""Which object is meant: kinds by their names, and calicoctl's rules about namespaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from muslin.cli.kinds import SHOWN_KINDS, ShownKind, kind_named
from muslin.cli.stored import text_at
from muslin.cli.wording import Ended
from muslin.errors import BadInput, Problem
from muslin.resources.keys import Key

if TYPE_CHECKING:
    from muslin.cli.documents import Given

__all__ = ["key_of", "named_on_command_line", "namespace_of"]


def named_on_command_line(kind: str) -> ShownKind:
    """The kind that a word means. Raises Ended in calicoctl's words."""
    try:
        return kind_named(kind)
    except BadInput as error:
        raise Ended(f"resource type '{kind}' is not supported", error.problems, input_=True) from error


def key_of(given: Given, namespace: str | None) -> Key:
    """The identity of a given object, its namespace filled in.

    Raises:
        BadInput: the namespace is wrong.
        Ended: it has no kind, or one that nobody knows: calicoctl reads no file with such an object.
    """
    shown = _kind_of(given)
    name = text_at(given.value, "metadata", "name")
    own = text_at(given.value, "metadata", "namespace") or None
    where = str(given.places.at(("metadata", "namespace"))) if given.places else "--namespace"
    return Key(shown.name, name, namespace_of(shown, own, namespace, where))


def namespace_of(kind: ShownKind, own: str | None, asked: str | None, where: str = "--namespace") -> str | None:
    """The namespace of an object: its own, the flag's, else `default`; None for cluster-scoped kinds. Raises BadInput.

    Args:
        kind: of the object.
        own: what the object says.
        asked: what the flag says.
        where: to blame for what the object says.
    """
    if not kind.namespaced:
        if own:
            what = "namespace should not be specified for a non-namespaced resource."
            raise BadInput(
                Problem(f"{what} {kind.name} is not a namespaced resource", where, "remove metadata.namespace")
            )
        if asked:
            raise BadInput(Problem(f"{kind.name} is not namespaced", "--namespace", "leave the flag out"))
        return None
    if own and asked and own != asked:
        what = f"resource namespace does not match client namespace. {own} != {asked}"
        raise BadInput(Problem(what, where, "leave --namespace out, or make them equal"))
    return own or asked or "default"


def _kind_of(given: Given) -> ShownKind:
    kind, version = given.value.get("kind"), given.value.get("apiVersion")
    shown = SHOWN_KINDS.get(kind) if isinstance(kind, str) else None
    if shown is not None and version == shown.api_version:
        return shown
    line = f"failed to execute command: Unknown resource type ({_word(kind)}) and/or version ({_word(version)})"
    raise Ended(line, _unknown(given.value, given), input_=True)


def _unknown(value: Mapping[str, Any], given: Given) -> tuple[Problem, ...]:
    from muslin import resources  # noqa: PLC0415 - it knows what is wrong and what was meant

    try:
        resources.load({"metadata": {}, "spec": {}, **value}, given.places, given.file)
    except BadInput as error:
        return error.problems
    return (Problem("this kind is not kept here", given.file, "use a kind of projectcalico.org/v3"),)


def _word(value: Any) -> str:
    return "" if value is None else str(value)
