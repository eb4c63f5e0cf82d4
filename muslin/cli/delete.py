"""`delete`: objects by name, or those that files name."""

from __future__ import annotations

import asyncio

import click

from muslin.cli.client import Client
from muslin.cli.documents import Given
from muslin.cli.options import Reach, reaching
from muslin.cli.outcome import Outcome, report_deleted
from muslin.cli.scope import key_of, named_on_command_line, namespace_of
from muslin.cli.stored import text_at
from muslin.cli.wording import Ended
from muslin.cli.write import file_options, in_order, read_given
from muslin.datastore.protocol import NotFound
from muslin.errors import MuslinError, Problem, Unavailable

__all__ = ["delete"]


@click.command()
@click.argument("kind", required=False)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@file_options
@click.option("-s", "--skip-not-exists", is_flag=True, help="Leave it at that if an object is not there.")
@reaching
def delete(
    kind: str | None,
    names: tuple[str, ...],
    filename: str | None,
    *,
    recursive: bool,
    skip_empty: bool,
    namespace: str | None,
    skip_not_exists: bool,
    reach: Reach,
) -> None:
    r"""Delete objects of KIND by NAME, or all that a file, a folder or standard input names.

    What others need goes last, whatever the order: policies before their tier. An object of a file with a
    resourceVersion is deleted only if it is still at that version.

    \b
    muslin delete gnp deny-all old
    muslin delete -f network/ -R --skip-not-exists

    Exit status: 0 all are gone, 1 one could not be deleted, 2 a file or a flag is wrong.
    """
    if filename is not None:
        if kind is not None:
            problem = Problem(f"both a file and {kind!r}", "KIND", "give a file, or a kind and names")
            raise Ended("No resources specified", problem, input_=True)
        given = in_order(read_given(filename, recursive=recursive, skip_empty=skip_empty), reverse=True)
    else:
        given = _named(kind, names, namespace)
    report_deleted(asyncio.run(_delete(reach, given, namespace, skip_not_exists=skip_not_exists)))


def _named(kind: str | None, names: tuple[str, ...], namespace: str | None) -> list[Given]:
    if kind is None or not names:
        problem = Problem("nothing to delete is named", "delete", "give a kind and names, or a file with -f")
        raise Ended("No resources specified", problem, input_=True)
    shown = named_on_command_line(kind)
    if not all(names):
        raise Ended(
            "resource name may not be empty",
            Problem("resource name may not be empty", "NAME", "give the names of objects"),
            input_=True,
        )
    own = namespace_of(shown, None, namespace)
    return [
        Given(
            {
                "apiVersion": shown.api_version,
                "kind": shown.name,
                "metadata": {"name": name} | ({"namespace": own} if own else {}),
            },
            "",
        )
        for name in names
    ]


async def _delete(reach: Reach, given: list[Given], namespace: str | None, *, skip_not_exists: bool) -> Outcome:
    outcome = Outcome([str(each.value.get("kind")) for each in given])
    async with reach.store() as store:
        client = Client(store, reach.settings())
        for each in given:
            try:
                revision = text_at(each.value, "metadata", "resourceVersion") or None
                outcome.done.append(await client.delete(key_of(each, namespace), revision))
            except NotFound as error:
                if skip_not_exists:
                    outcome.done.append(each.value)
                else:
                    outcome.errors.append(error)
            except Unavailable as error:  # it would be waited for again with every object
                outcome.errors.append(error)
                break
            except MuslinError as error:
                outcome.errors.append(error)
    return outcome
