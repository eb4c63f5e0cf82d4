"""What came of a verb over several objects, and the lines that calicoctl prints about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import click

from muslin.cli.wording import Ended, listed, reference_text
from muslin.datastore.protocol import Json
from muslin.errors import BadInput, MuslinError, Problem

__all__ = ["Outcome", "report_deleted", "report_written"]

_PAST = {"create": "created", "apply": "applied", "validate": "validated", "replace": "replaced"}


@dataclass(slots=True)
class Outcome:
    """What was asked, what was done, what failed.

    Attributes:
        kinds: of every object that was asked for.
        done: objects as they are now, in order.
        errors: one for each object that failed.
    """

    kinds: list[str] = field(default_factory=list)
    done: list[Json] = field(default_factory=list)
    errors: list[MuslinError] = field(default_factory=list)

    @property
    def single_kind(self) -> str | None:
        """The kind, if all objects are of one."""
        return self.kinds[0] if len(set(self.kinds)) == 1 else None


def report_written(verb: str, outcome: Outcome) -> None:
    """Print calicoctl's result line of create, apply, replace or validate. Raises Ended where something failed."""
    kind, done, asked = outcome.single_kind, len(outcome.done), len(outcome.kinds)
    past = _PAST[verb]
    named = f"'{kind}' " if kind else ""
    if not asked:
        click.echo("No resources specified")
    elif not outcome.errors:
        click.echo(f"Successfully {past} {done} {named}resource(s)")
    elif not done:
        told = _told(verb, outcome)
        if asked == 1:
            raise _ended(f"failed to {verb} '{kind}' resource: {told}", outcome.errors)
        raise _ended(f"failed to {verb} any {named}resources: {told}", outcome.errors)
    else:
        click.echo(f"Partial success: {past} the first {done} out of {asked} {named}resources:")
        raise _ended(f"hit error: {_told(verb, outcome)}", outcome.errors)


def report_deleted(outcome: Outcome) -> None:
    """Print calicoctl's result line of delete. Raises Ended where something failed."""
    kind = outcome.single_kind
    named = f"'{kind}' " if kind else ""
    if not outcome.kinds:
        click.echo("No resources specified")
    elif outcome.done:
        click.echo(f"Successfully deleted {len(outcome.done)} {named}resource(s)")
    if outcome.errors:
        lines = [f"Failed to delete {named}resource: {reference_text(error)}" for error in outcome.errors]
        raise _ended("\n".join(lines), outcome.errors)


def _told(verb: str, outcome: Outcome) -> str:
    """The errors as a list; `replace` stops at the first one and shows it alone."""
    return reference_text(outcome.errors[0]) if verb == "replace" else listed(outcome.errors)


def _ended(line: str, errors: Iterable[MuslinError]) -> Ended:
    found = list(errors)
    problems: list[Problem] = [problem for error in found for problem in error.problems]
    wrong_input = all(isinstance(error, BadInput) or (isinstance(error, Ended) and error.input) for error in found)
    return Ended(line, problems, input_=wrong_input)
