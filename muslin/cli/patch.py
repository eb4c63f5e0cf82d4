"""`patch`: changes some fields of one object and leaves all others, also those that we do not know."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import click

from muslin.cli.client import Client
from muslin.cli.documents import Given
from muslin.cli.kinds import SHOWN_KINDS
from muslin.cli.options import Reach, reaching
from muslin.cli.scope import named_on_command_line, namespace_of
from muslin.cli.stored import mapping_at, text_at
from muslin.cli.strategic import PatchRefused, json_patch, merge_patch, strategic_merge
from muslin.cli.wording import Ended, reference_text
from muslin.datastore.protocol import Conflict, Entry, Json
from muslin.errors import BadInput, MuslinError, Problem
from muslin.resources.keys import Key

__all__ = ["patch", "worse"]

_KEPT = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


@click.command()
@click.argument("kind")
@click.argument("name")
@click.option("-p", "--patch", "text", metavar="PATCH", default="", help="The patch, as JSON or YAML.")
@click.option(
    "-t", "--type", "how", metavar="TYPE", default="strategic", show_default=True, help="strategic, merge or json.",
)  # fmt: skip
@click.option("-n", "--namespace", metavar="NAME", help="Of namespaced kinds. [default]")
@reaching
def patch(kind: str, name: str, *, text: str, how: str, namespace: str | None, reach: Reach) -> None:
    r"""Change fields of the object NAME of KIND that is there.

    In a strategic patch and a merge patch null removes a field; lists are replaced. A JSON patch is a list of
    operations. Called as calicoctl, every patch is a strategic one, whatever --type says.

    \b
    muslin patch node node1 -p '{"spec":{"bgp":{"asNumber":64496}}}'
    muslin patch gnp deny -t json -p '[{"op":"remove","path":"/spec/order"}]'

    Exit status: 0 changed, 1 the datastore refused it, 2 the patch or what would come of it is wrong.
    """
    how = "strategic" if reach.calicoctl else how
    if how not in ("strategic", "merge", "json"):
        raise BadInput(Problem(f"there is no type of patch {how!r}", "--type", "use strategic, merge or json"))
    shown = named_on_command_line(kind)
    if not name:
        problem = Problem("resource name may not be empty", "NAME", "give the name of an object")
        raise Ended("resource name may not be empty", problem, input_=True)
    parsed = _parsed(text, how)
    key = Key(shown.name, name, namespace_of(shown, None, namespace))
    try:
        asyncio.run(_patch(reach, key, parsed, how))
    except Ended:  # it has its line
        raise
    except MuslinError as error:
        line = f"hit error: {reference_text(error)}"
        raise Ended(line, error.problems, input_=isinstance(error, BadInput)) from error
    click.echo(f"Successfully patched 1 '{shown.name}' resource")


def worse(live: Json, changed: Json) -> tuple[Problem, ...]:
    """What is wrong with the changed object and was not wrong before: fields of a newer version stay as they are."""
    from muslin import resources  # noqa: PLC0415 - wrong usage is told before it is paid for

    def problems(value: Json) -> tuple[Problem, ...]:
        try:
            resources.load(value)
        except BadInput as error:
            return error.problems
        return ()

    before = {(problem.what, problem.where) for problem in problems(live)}
    return tuple(problem for problem in problems(changed) if (problem.what, problem.where) not in before)


def _parsed(text: str, how: str) -> Any:
    from muslin import yaml  # noqa: PLC0415

    documents = yaml.load(text, "--patch")
    value = documents[0].value if len(documents) == 1 else None
    if not isinstance(value, list if how == "json" else dict):
        what = "the patch is not a list of operations" if how == "json" else "the patch is not an object"
        example = '[{"op": "remove", "path": "/spec/order"}]' if how == "json" else '{"spec": {"order": 10}}'
        line = f"hit error: permorming strategic merge patch: {what}"
        raise Ended(line, Problem(what, "--patch", f"for example {example}"), input_=True)
    return value


async def _patch(reach: Reach, key: Key, wanted: Any, how: str) -> None:
    async with reach.store() as store:
        live = await store.get(key)
        try:
            match how:
                case "json":
                    changed = json_patch(json.loads(json.dumps(live.value)), wanted)
                case "merge":
                    changed = merge_patch(live.value, wanted)
                case _:
                    changed = strategic_merge(live.value, wanted)
        except PatchRefused as error:
            raise BadInput(
                Problem(str(error), f"--patch  {error.path}".rstrip(), "see `muslin patch --help`")
            ) from error
        if not isinstance(changed, dict) or not isinstance(changed.get("metadata"), dict):
            raise BadInput(Problem("nothing of the object is left", "--patch", "use `muslin delete` for that"))
        _check_identity(live, changed["metadata"])
        kept = {name: live.value["metadata"][name] for name in _KEPT if name in live.value["metadata"]}
        own = {name: held for name, held in changed["metadata"].items() if name not in _KEPT}
        named = {"kind": key.kind, "apiVersion": _version(live)}
        changed = {**changed, **named, "metadata": {**own, **kept}}
        if problems := worse({**live.value, **named}, changed):
            raise BadInput(problems)
        await Client(store, reach.settings()).write_over(live, _completed(Given(changed, "")))


def _check_identity(live: Entry, metadata: Json) -> None:
    """A patch can't make another object of this one, and holds for the version that it names. Raises BadInput."""
    before = mapping_at(live.value, "metadata")
    for name in _KEPT:
        if name in metadata and metadata[name] != before.get(name):
            if name == "resourceVersion":
                raise Conflict(live)
            what = f"the patch would change metadata.{name} from {before.get(name)!r} to {metadata[name]!r}"
            fix = "leave it out; create the other object, and delete this one"
            raise BadInput(Problem(what, f"--patch  metadata.{name}", fix))


def _version(live: Entry) -> str:
    """The object's apiVersion; somebody may have written it without one."""
    return text_at(live.value, "apiVersion") or SHOWN_KINDS[live.key.kind].api_version


def _completed(given: Given) -> Json:
    """The changed object in canonical form, unless it has fields that only a newer version knows."""
    from muslin.cli.client import checked  # noqa: PLC0415

    try:
        return {**checked(given), "metadata": given.value["metadata"]}
    except BadInput:
        return given.value
