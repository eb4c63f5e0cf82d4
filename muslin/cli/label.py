"""`label`: sets or removes one label of one object."""

from __future__ import annotations

import asyncio

import click

from muslin.cli.client import Client
from muslin.cli.options import Reach, reaching
from muslin.cli.printing import printable
from muslin.cli.scope import named_on_command_line, namespace_of
from muslin.cli.stored import mapping_at, text_of
from muslin.cli.wording import Ended, reference_text
from muslin.datastore.protocol import Conflict, NotFound
from muslin.errors import Failed, MuslinError, Problem
from muslin.resources.keys import Key

__all__ = ["label"]

_TRIES = 5


@click.command()
@click.argument("kind")
@click.argument("name")
@click.argument("text", metavar="KEY=VALUE | KEY")
@click.option("--overwrite", is_flag=True, help="Give a label that is there another value.")
@click.option("--remove", is_flag=True, help="Remove the label KEY.")
@click.option("-n", "--namespace", metavar="NAME", help="Of namespaced kinds. [default]")
@reaching
def label(
    kind: str, name: str, text: str, *, overwrite: bool, remove: bool, namespace: str | None, reach: Reach
) -> None:
    r"""Set the label KEY of the object NAME of KIND to VALUE, or remove it.

    \b
    muslin label nodes node1 rack=r1
    muslin label nodes node1 rack=r2 --overwrite
    muslin label nodes node1 rack --remove

    Exit status: 0 done, 1 the label is there with another value, or is not there to remove, or the datastore refused
    it, 2 wrong usage.
    """
    shown = named_on_command_line(kind)
    key_text, equals, value = text.partition("=")
    if remove:
        key_text, value = text, ""
    elif not equals:
        fix = f"write {text}=VALUE, or use --remove"
        raise Ended(f"invalid label {text}", Problem(f"invalid label {text}", "KEY=VALUE", fix), input_=True)
    if not remove and (problem := _problem(key_text, value)):
        line = f"failed to update {kind} {name}, label not changed\n{problem}"
        raise Ended(line, Problem(problem, f"label {text}", "use a key such as example.org/rack"), input_=True)
    key = Key(shown.name, name, namespace_of(shown, None, namespace))
    done = asyncio.run(_label(reach, key, kind, key_text, None if remove else value, overwrite=overwrite))
    click.echo(printable(f"Successfully {done} {kind} {name}"))


def _problem(key: str, value: str) -> str | None:
    from muslin.resources.names import label_problems  # noqa: PLC0415 - only this verb pays for it

    return next((what for _, what in label_problems({key: value})), None)


async def _label(reach: Reach, key: Key, kind: str, label_key: str, value: str | None, *, overwrite: bool) -> str:
    """What was done, for the line that is printed."""
    async with reach.store() as store:
        client = Client(store, reach.settings())
        for attempt in range(_TRIES):
            try:
                live = await store.get(key)
            except NotFound as error:
                line = f"failed to get {kind} {key.name}, error {reference_text(error)}"
                raise Ended(line, error.problems) from error
            labels = {name: text_of(held) for name, held in mapping_at(live.value, "metadata", "labels").items()}
            done = _changed(labels, kind, key.name, label_key, value, overwrite=overwrite)
            metadata = {**mapping_at(live.value, "metadata"), "labels": labels}
            if not labels:
                del metadata["labels"]
            try:
                await client.write_over(live, {**live.value, "metadata": metadata})
            except Conflict:
                if attempt < _TRIES - 1:
                    continue
                raise
            except MuslinError as error:
                line = f"failed to update {kind} {key.name}, label not changed\n{reference_text(error)}"
                raise Ended(line, error.problems) from error
            return done
    raise AssertionError  # the loop ends by itself


def _changed(labels: dict[str, str], kind: str, name: str, key: str, value: str | None, *, overwrite: bool) -> str:
    """Change the labels in place; says what was done. Raises Failed."""
    if value is None:
        if key not in labels:
            what = f"cannot remove label of {kind} {name}, key {key} does not exist"
            raise Failed(Problem(what, f"{kind} {name}  metadata.labels", f"there are: {', '.join(sorted(labels))}"))
        del labels[key]
        return f"removed label {key} from"
    former = labels.get(key)
    if former is not None and former != value and not overwrite:
        hint = "please use '--overwrite' to set a new value"
        what = f"failed to update label of {kind} {name}, key {key} is already present. {hint}"
        raise Failed(Problem(what, f"{kind} {name}  metadata.labels", f"it is {former!r} now"))
    labels[key] = value
    return f"{'set' if former is None else 'updated'} label {key} on"
