"""`muslin plan`: what the files of a folder would change in a datastore. Reads, and never writes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from muslin.cli.options import Reach, reaching
from muslin.cli.printing import field_lines, printable, short_commit
from muslin.cli.stored import value_at
from muslin.datastore.protocol import NotFound
from muslin.errors import BadInput, Problem
from muslin.resources.keys import Key
from reconciler.ledger import Ledger
from reconciler.local import read_folder
from reconciler.manifests import Reading
from reconciler.plan import Action, Budget, Cause, Owner, Plan, Step, hold
from reconciler.preview import preview

__all__ = ["plan"]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--set", "set_name", default="default", show_default=True, help="Name of the ledger, as of `reconcile`.")
@click.option(
    "--max-deletes", type=click.FloatRange(0, 1), default=0.5, show_default=True, metavar="PART",
    help="Part of what is ours that one commit may remove, as of `reconcile`.",
)  # fmt: skip
@click.option("--allow-empty", is_flag=True, help="As of `reconcile`.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@reaching
def plan(folder: Path, *, set_name: str, max_deletes: float, allow_empty: bool, output: str, reach: Reach) -> int:
    r"""Show what the manifests in FOLDER, if they were pushed, would change in a datastore. Nothing is written.

    The files go through the checks that a commit goes through; FOLDER is what `reconcile --path` names. Steps are
    listed in the order in which they would be taken. Drift, what somebody else changed, is listed apart: the
    reconciler puts it back in any case.

    \b
    muslin plan . --datastore lab.db
    muslin plan clusters/a -o json | jq .counts

    Exit status: 0 the datastore is as the files say, 2 it is not, 1 a file is wrong or something failed.
    """
    reading = read_folder(folder, name=str(folder))
    if reading.problems:
        raise BadInput(reading.problems)
    look = asyncio.run(_look(reach, reading, set_name, Budget(part=max_deletes, allow_empty=allow_empty)))
    if output == "json":
        held = look.held and {"reason": look.held[0], "what": look.held[1].what, "fix": look.held[1].fix}
        told = look.plan.to_json() | {"accepted": look.accepted, "held": held, "paused": look.paused}
        click.echo(json.dumps(told, indent=2, default=str))
    else:
        _tell(look)
    return 2 if look.plan.steps or look.plan.blocked else 0


@dataclass(frozen=True, slots=True)
class _Look:
    """A plan, and what else decides whether the reconciler would take it."""

    plan: Plan
    accepted: str | None
    held: tuple[str, Problem] | None
    paused: bool


async def _look(reach: Reach, reading: Reading, set_name: str, budget: Budget) -> _Look:
    async with reach.store(gate=False) as store:
        ledger = await Ledger.load(store, set_name)
        proposed = await preview(store, reading, set_name)
        found = hold(proposed, len(reading.resources), len(ledger.owned), budget)
        try:
            cluster = (await store.get(Key("ClusterInformation", "default"))).value
        except NotFound:
            cluster = {}
        return _Look(
            proposed,
            ledger.accepted,
            None if found is None else (found[0].value, found[1]),
            value_at(cluster, "spec", "datastoreReady") is False,
        )


def _tell(look: _Look) -> None:
    proposed = look.plan
    click.echo(f"Files in {printable(proposed.commit)}; in force is {short_commit(look.accepted)}.")
    numbered = list(enumerate(proposed.steps, 1))
    width = len(str(len(numbered)))
    for heading, cause in (
        ("Changes, in this order:", Cause.CHANGE),
        ("Drift, which somebody else caused and the reconciler puts back:", Cause.DRIFT),
    ):
        steps = [(number, step) for number, step in numbered if step.cause is cause]
        if steps:
            click.echo(f"\n{heading}")
        for number, step in steps:
            click.echo(f"\n{number:>{width + 2}}. {_title(step)}")
            for line in _details(step):
                click.secho(f"{'':{width + 4}}{line}", fg={"+": "green", "-": "red", "~": "yellow"}.get(line[0]))
    if proposed.blocked:
        click.echo("\nNot done:")
    for each in proposed.blocked:
        click.echo(f"\n  {printable(each.problem.what)} ({each.why.value})\n    fix: {printable(each.problem.fix)}")
    if proposed.forget:
        click.echo("\nStay as they are, and are no longer ours:\n")
    for key in proposed.forget:
        click.echo(f"  {printable(str(key))}")
    if look.held is not None:
        reason, problem = look.held
        click.echo(f"\nThe reconciler would hold this commit: {printable(problem.what)} ({reason})")
        click.echo(f"  fix: {printable(problem.fix)}")
    if look.paused:
        click.echo("\nThe reconciler is paused: datastoreReady is false in ClusterInformation default.")
    click.echo(f"\n{_summary(proposed)}")


_DEEDS = {Action.CREATE: "create", Action.UPDATE: "change", Action.ADOPT: "take over", Action.DELETE: "remove"}


def _title(step: Step) -> str:
    place = "" if step.place is None else f"  {step.place}"
    return printable(f"{_DEEDS[step.action]} {step.key}{place}")


def _details(step: Step) -> Iterator[str]:
    if step.action is Action.DELETE:
        yield "- it is ours, and no file declares it any more"
    if step.owner is Owner.SOMEBODY_ELSE:
        yield "  it is there already and nobody's in this ledger: from now on it is ours"
    if step.action is Action.CREATE and step.cause is Cause.DRIFT:
        yield "  somebody removed it"
    for line in field_lines((each.path, each.old, each.new) for each in step.fields):
        if not line.startswith(("+ metadata.name: ", "+ metadata.namespace: ")):  # the title says it
            yield line


def _summary(proposed: Plan) -> str:
    counts = proposed.counts
    told = [f"{counts[action.value]} to {_DEEDS[action]}" for action in Action if counts[action.value]]
    drift = f", of these {counts['drift']} drift" if counts["drift"] else ""
    blocked = f"; {counts['blocked']} not possible now" if counts["blocked"] else ""
    return f"{', '.join(told) or 'Nothing to change'}{drift}; {counts['unchanged']} as declared{blocked}."
