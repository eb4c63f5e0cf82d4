"""`create`, `apply`, `replace` and `validate`: objects of files into a datastore, or only checked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar

import click

from muslin.cli.client import Client, checked
from muslin.cli.documents import Given, read_objects
from muslin.cli.options import Reach, reaching
from muslin.cli.outcome import Outcome, report_written
from muslin.cli.scope import key_of
from muslin.cli.wording import Ended, reference_text
from muslin.datastore.initialize import ensure_initialized
from muslin.datastore.protocol import AlreadyExists, Json
from muslin.errors import BadInput, MuslinError, Problem, Unavailable
from muslin.resources.keys import Key

__all__ = ["apply", "create", "file_options", "in_order", "read_given", "refuse_unread", "replace", "validate"]

_Function = TypeVar("_Function", bound=Callable[..., Any])

_FIRST = ("Tier", "IPAMConfiguration", "BGPFilter", "Node", "Profile", "IPPool")
"""Kinds that others refer to, before them."""


def file_options(function: _Function) -> _Function:
    """Add `-f`, `-R`, `--skip-empty` and `-n`, which all verbs over files have."""
    for option in (
        click.option("-n", "--namespace", metavar="NAME", help="Of objects that do not say theirs. [default]"),
        click.option("--skip-empty", is_flag=True, help="Bear files without any object."),
        click.option("-R", "--recursive", is_flag=True, help="With a folder: also the folders inside it."),
        click.option("-f", "--filename", metavar="FILE", help="A file, a folder, or - for standard input."),
    ):
        function = option(function)
    return function


@click.command()
@file_options
@click.option("--skip-exists", is_flag=True, help="Leave objects that are there as they are, without failing.")
@reaching
def create(
    filename: str | None, *, recursive: bool, skip_empty: bool, namespace: str | None, skip_exists: bool, reach: Reach
) -> None:
    r"""Create the objects of a file, a folder or standard input; those that exist already fail.

    Every object is checked before anything of it is written. Order does not matter: tiers come before policies,
    filters before peers.

    \b
    muslin create -f pools.yaml
    muslin create -R -f network/ --skip-exists

    An embedded datastore that is named and not there yet is made.

    Exit status: 0 all done, 1 the datastore refused something, 2 an object or a flag is wrong.
    """
    given = read_given(filename, recursive=recursive, skip_empty=skip_empty)
    report_written("create", _written(reach, "create", given, namespace, skip_exists=skip_exists))


@click.command()
@file_options
@reaching
def apply(filename: str | None, *, recursive: bool, skip_empty: bool, namespace: str | None, reach: Reach) -> None:
    r"""Create or update the objects of a file, a folder or standard input.

    An object with a resourceVersion is updated only if it is still at that version. An embedded datastore that is named
    and not there yet is made.

    \b
    muslin apply -f network/
    muslin get gnp deny -o yaml --export | muslin apply -f - --context other

    Exit status: 0 all done, 1 the datastore refused something, 2 an object or a flag is wrong.
    """
    given = read_given(filename, recursive=recursive, skip_empty=skip_empty)
    report_written("apply", _written(reach, "apply", given, namespace))


@click.command()
@file_options
@reaching
def replace(filename: str | None, *, recursive: bool, skip_empty: bool, namespace: str | None, reach: Reach) -> None:
    r"""Update the objects of a file, a folder or standard input, which must be there; stops at the first that fails.

    \b
    muslin replace -f pool.yaml

    Exit status: 0 all done, 1 the datastore refused something, 2 an object or a flag is wrong.
    """
    given = read_given(filename, recursive=recursive, skip_empty=skip_empty)
    report_written("replace", _written(reach, "replace", given, namespace))


@click.command()
@file_options
@reaching
def validate(filename: str | None, *, recursive: bool, skip_empty: bool, namespace: str | None, reach: Reach) -> None:
    r"""Check the objects of a file, a folder or standard input. Needs no datastore, and looks at none.

    \b
    muslin validate -f network/ -R
    muslin render cluster.yaml | muslin validate -f -

    Exit status: 0 all are right, 2 something is wrong: every problem is told with its place.
    """
    del reach  # taken, so that a script that passes --config works
    given = read_given(filename, recursive=recursive, skip_empty=skip_empty)
    outcome = Outcome()
    refuse_unread(given)
    for each in given:
        outcome.kinds.append(str(each.value.get("kind")))
        try:
            key = key_of(each, namespace)
            value = each.value
            if key.namespace and isinstance(value.get("metadata"), Mapping):
                value = {**value, "metadata": {**value["metadata"], "namespace": key.namespace}}
            outcome.done.append(checked(each, value, stored=False))
        except BadInput as error:
            outcome.errors.append(error)
    report_written("validate", outcome)


def read_given(filename: str | None, *, recursive: bool, skip_empty: bool) -> list[Given]:
    """The objects of `--filename`. Raises Ended."""
    if filename is None:
        problem = Problem("No resources specified", "--filename", "give a file, a folder, or - for standard input")
        raise Ended("No resources specified", problem, input_=True)
    given = read_objects(filename, recursive=recursive, skip_empty=skip_empty)
    refuse_unread(given)
    return given


def in_order(given: Iterable[Given], *, reverse: bool = False) -> list[Given]:
    """Objects so that those come first that others need; otherwise as they were given."""
    rank = {kind: position for position, kind in enumerate(_FIRST)}
    ordered = sorted(given, key=lambda each: rank.get(str(each.value.get("kind")), len(rank)))
    return ordered[::-1] if reverse else ordered


def refuse_unread(given: Iterable[Given]) -> None:
    """Refuse all, if one can't be read as what it says it is: nothing of such a file is done. Raises Ended.

    The line is about the first such object; the problems are those of all objects.
    """
    from muslin import resources  # noqa: PLC0415 - wrong usage is told before it is paid for

    line, problems = "", list[Problem]()
    for each in given:
        try:
            key_of(each, None)
            resources.load(each.value, each.places, each.file, as_calicoctl=True)
        except Ended as error:
            line = line or error.line
            problems += error.problems
        except BadInput as error:  # told with the object itself, unless nothing is done
            unknown = [problem for problem in error.problems if problem.what.startswith("unknown field ")]
            if unknown:
                line = line or f"failed to execute command: {reference_text(BadInput(unknown))}"
            problems += error.problems
    if line:
        raise Ended(line, problems, input_=True)


def _written(
    reach: Reach, verb: str, given: list[Given], namespace: str | None, *, skip_exists: bool = False
) -> Outcome:
    return asyncio.run(_write(reach, verb, given, namespace, skip_exists=skip_exists)) if given else Outcome()


async def _write(reach: Reach, verb: str, given: list[Given], namespace: str | None, *, skip_exists: bool) -> Outcome:
    outcome = Outcome([str(each.value.get("kind")) for each in given])
    async with reach.store(make=verb != "replace") as store:
        with contextlib.suppress(MuslinError):  # who may write some kinds only still may
            await ensure_initialized(store)
        client = Client(store, reach.settings())
        deeds: dict[str, Callable[[Given, Key], Awaitable[Json]]] = {
            "create": client.create, "apply": client.apply, "replace": client.update,
        }  # fmt: skip
        for each in in_order(given):
            try:
                outcome.done.append(await deeds[verb](each, key_of(each, namespace)))
            except AlreadyExists as error:
                if skip_exists:
                    outcome.done.append(each.value)
                else:
                    outcome.errors.append(error)
            except MuslinError as error:
                outcome.errors.append(error)
            # a store that is away would be waited for again with every object
            if outcome.errors and (verb == "replace" or isinstance(outcome.errors[-1], Unavailable)):
                break
    return outcome
